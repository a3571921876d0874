import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.data.readers.formats import minari, small_log
from worldrex.data import DataError, LoadOptions, load
from worldrex.data.transitions import COLUMNS


def written(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return minari({name: getattr(small_log(), name) for name in COLUMNS}, folder)


def edit(path: Path) -> h5py.File:
    return h5py.File(path / "data" / "main_data.hdf5", "a")


def without_labels(path: Path) -> Path:
    with edit(path) as file:
        for group in file.values():
            del group["infos/behavior"]
    return path


def test_the_data_set_is_the_behavior_where_nothing_else_is(tmp_path: Path):
    path = without_labels(written(tmp_path))
    assert load(path).behavior_names == ("arm/expert-v0",)
    assert load(path / "data" / "main_data.hdf5").behavior_names == ("arm/expert-v0",)
    (path / "data" / "metadata.json").unlink()
    assert load(path).behavior_names == ("expert-v0",)


def test_any_step_column_and_any_attribute_of_the_episodes(tmp_path: Path):
    path = without_labels(written(tmp_path))
    with edit(path) as file:
        for name, group in file.items():
            number = int(name.split("_")[1])
            group.attrs["pilot"] = ["Ada", "Bo"][number % 2]
            group["infos/policy"] = np.full(5, number // 4)
            group["infos/nested/policy"] = np.array([b"x", b"y"], dtype=object)[np.full(6, number // 6)]
    by_episode = load(path, options=LoadOptions(behavior_column="pilot"))
    assert by_episode.behavior_names == ("Ada", "Bo")
    np.testing.assert_array_equal(by_episode.behavior, by_episode.episode % 2)
    by_step = load(path, options=LoadOptions(behavior_column="policy"))
    np.testing.assert_array_equal(by_step.behavior, small_log().behavior)
    nested = load(path, options=LoadOptions(behavior_column="infos/nested/policy"))
    assert nested.behavior_names == ("x", "y")
    with pytest.raises(DataError, match=r"neither a step column nor an attribute 'pilto' in 'episode_0'.*infos/policy"):
        load(path, options=LoadOptions(behavior_column="pilto"))
    with edit(path) as file:
        file["episode_3"].attrs["behavior"] = "odd"
    with pytest.raises(DataError, match="behavior of 1 of its 12 episodes"):
        load(path)


def test_episode_10_comes_after_episode_9(tmp_path: Path):
    assert list(dict.fromkeys(load(written(tmp_path)).episode.tolist())) == list(range(12))


def test_dictionaries_and_tuples_are_flattened_in_sorted_order(tmp_path: Path):
    path = written(tmp_path)
    with edit(path) as file:
        for group in file.values():
            values = group["observations"][()]
            del group["observations"]
            group["observations/b/_index_0"] = values[:, 1]
            group["observations/b/_index_1"] = values[:, 2:]
            group["observations/a"] = values[:, :1]
    np.testing.assert_array_equal(load(path).obs, small_log().obs)


def test_many_by_a_folder_of_them_and_by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("b", "a"):
        path = without_labels(written(tmp_path / name))
        (path / "data" / "metadata.json").write_text(json.dumps({"dataset_id": f"{name}/arm/expert-v0"}))
    assert load(tmp_path).behavior_names == ("a/arm/expert-v0", "b/arm/expert-v0")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert load("minari:b/arm/expert-v0").behavior_names == ("b/arm/expert-v0",)
    assert len(load("minari:b")) == 60
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "b"))
    with pytest.raises(DataError, match=r"no Minari data set 'arm/export-v0' in .*; there: arm/expert-v0"):
        load("minari:arm/export-v0")
    for name in ("minari:../a", "minari:", f"minari:{tmp_path}/a"):
        with pytest.raises(DataError, match="leads out of Minari's folder"):
            load(name)


def test_lengths_that_are_not_minaris(tmp_path: Path):
    path = written(tmp_path)
    with edit(path) as file:
        values = file["episode_2/observations"][:-1]
        del file["episode_2/observations"]
        file["episode_2/observations"] = values
    with pytest.raises(
        DataError, match=r"'episode_2' has 5 observations, 5 actions and 5 rewards.*one observation more"
    ):
        load(path)
    with edit(path) as file:
        del file["episode_2/observations"]
    with pytest.raises(DataError, match="no array 'episode_2/observations'"):
        load(path)


def test_another_of_minaris_formats(tmp_path: Path):
    path = written(tmp_path)
    (path / "data" / "main_data.hdf5").unlink()
    with pytest.raises(DataError, match=r"Minari data set without data/main_data\.hdf5.*data_format='hdf5'"):
        load(path)


def test_a_width_that_changes(tmp_path: Path):
    path = written(tmp_path)
    with edit(path) as file:
        del file["episode_2/actions"]
        file["episode_2/actions"] = np.zeros((5, 7))
    with pytest.raises(DataError, match="action has different widths"):
        load(path)


@pytest.mark.parametrize("place", ["data", "data/main_data.hdf5", "data/metadata.json"])
def test_links_are_refused(place: str, tmp_path: Path):
    path = written(tmp_path)
    (path / place).rename(tmp_path / "elsewhere")
    (path / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="it is a link"):
        load(path)


def test_links_within_hdf5_are_refused(tmp_path: Path):
    path = written(tmp_path)
    with edit(path) as file:
        file.move("episode_3", "kept")
        file["episode_3"] = h5py.ExternalLink(str(written(tmp_path / "other") / "data" / "main_data.hdf5"), "episode_3")
    with pytest.raises(DataError, match=r"episode_3.* is a link to another place"):
        load(path)
