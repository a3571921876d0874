from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.data.readers.formats import d4rl, small_log, with_last_frames
from worldrex.data import DataError, LoadOptions, load


def frames() -> dict[str, np.ndarray]:
    return with_last_frames(small_log())


def written(folder: Path, **changed: np.ndarray | None) -> Path:
    columns = {name: values for name, values in (frames() | changed).items() if values is not None}
    return d4rl(columns, folder)


def test_ends_are_never_taken_from_the_next_row_and_the_line_says_what_was_dropped(tmp_path: Path):
    lines: list[str] = []
    path = written(tmp_path)
    data = load(path, say=lines.append)
    assert lines == [
        f"{path}: D4RL HDF5, 60 records, 12 steps dropped (the last of their episode, next_obs unknown; 6 of them terminal)"
    ]
    assert not (data.action == 99).any()
    np.testing.assert_array_equal(data.next_obs, small_log().next_obs)
    np.testing.assert_array_equal(np.flatnonzero(data.truncated), np.arange(4, 60, 5))


def test_a_log_that_was_cut_off_loses_its_last_row_too(tmp_path: Path):
    columns = {name: values[:-3] for name, values in frames().items()}
    data = load(d4rl(columns, tmp_path))
    np.testing.assert_array_equal(data.next_obs, small_log().next_obs[:-3])
    assert data.truncated[-1]


def test_next_observations_keep_every_row_and_both_kinds_of_ends(tmp_path: Path):
    log = small_log()
    lines: list[str] = []
    data = load(d4rl({name: getattr(log, name) for name in (*frames(), "next_obs")}, tmp_path), say=lines.append)
    assert lines[0].endswith("D4RL HDF5, 60 records")
    np.testing.assert_array_equal(data.terminated, log.terminated)
    np.testing.assert_array_equal(data.truncated, log.truncated)


def test_an_episode_of_one_step_vanishes(tmp_path: Path):
    columns = {name: np.concatenate([values, values[-1:]]) for name, values in frames().items()}
    assert len(load(d4rl(columns, tmp_path))) == 60
    alone = {name: values[-1:] for name, values in frames().items()}
    with pytest.raises(DataError, match="all its 1 records are the last of their episode"):
        load(d4rl(alone, tmp_path))


def test_without_timeouts_and_next_observations_ends_are_unknown(tmp_path: Path):
    with pytest.raises(DataError, match=r"neither next_observations nor timeouts.*export the log with timeouts"):
        load(written(tmp_path, truncated=None))


def test_the_behavior_may_be_any_array(tmp_path: Path):
    path = written(tmp_path, behavior=None)
    assert load(path).behavior_names == ("log",)
    with h5py.File(path, "a") as file:
        file["infos/policy"] = frames()["behavior"] + 5
    data = load(path, options=LoadOptions(behavior_column="infos/policy"))
    assert data.behavior_names == ("behavior 5", "behavior 6", "behavior 7")
    np.testing.assert_array_equal(data.behavior, small_log().behavior)
    with pytest.raises(DataError, match=r"no column 'infos/pilot' for the behavior; there came .*'infos/policy'"):
        load(path, options=LoadOptions(behavior_column="infos/pilot"))


def external_link(file: h5py.File, other: Path) -> None:
    file["observations"] = h5py.ExternalLink(str(other), "observations")


def soft_link(file: h5py.File, other: Path) -> None:
    file["elsewhere"] = h5py.ExternalLink(str(other), "/")
    file["observations"] = h5py.SoftLink("/elsewhere/observations")


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((72, 3), np.float32)
    layout[:] = h5py.VirtualSource(str(other), "observations", (72, 3))
    file.create_virtual_dataset("observations", layout)


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("observations", (72, 3), np.float32, external=[(str(other), 0, 72 * 12)])


@pytest.mark.parametrize("link", [external_link, soft_link, virtual, external_storage])
def test_what_lies_in_other_files_is_refused(link, tmp_path: Path):
    (tmp_path / "other").mkdir()
    other = written(tmp_path / "other")
    path = written(tmp_path)
    with h5py.File(path, "a") as file:
        del file["observations"]
        link(file, other)
        assert file["observations"].shape == (72, 3)  # it would be readable
    with pytest.raises(
        DataError, match=r"'observations' (is a link|takes its values).*only what lies in the file itself"
    ):
        load(path)


def test_arrays_that_declare_more_than_the_file_can_hold_are_refused(tmp_path: Path):
    path = written(tmp_path)
    with h5py.File(path, "a") as file:
        del file["observations"]
        file.create_dataset("observations", (2**40, 3), np.float32, chunks=(1024, 3))
    with pytest.raises(DataError, match="declares 12,582,912 MiB of data and has"):
        load(path)


def test_objects_are_refused(tmp_path: Path):
    path = written(tmp_path)
    with h5py.File(path, "a") as file:
        del file["rewards"]
        ragged = file.create_dataset("rewards", (72,), h5py.vlen_dtype(np.float32))
        ragged[0] = [1, 2, 3]
    with pytest.raises(DataError, match=r"'rewards' has values of type 'object'.*plain numbers"):
        load(path)
