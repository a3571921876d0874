import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data.readers import load
from worldrex.data.transitions import DataError
from worldrex.data.validate import validate

THIRD_PARTY = Path(__file__).parents[4] / "shared" / "data" / "neorl2"
needs_third_party = pytest.mark.skipif(
    not THIRD_PARTY.is_dir(), reason=f"NeoRL-2 data (CC BY 4.0, not part of this project) are not in {THIRD_PARTY}"
)


def save(path: Path, **columns) -> Path:
    data = make_log()
    present = {name: getattr(data, name) for name in ("obs", "action", "reward", "next_obs", "truncated")} | columns
    np.savez(path, **present)
    return path


class Exploit:
    def __reduce__(self):
        return (Path.touch, (Path("exploited"),))


def test_pickled_arrays_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "log.npz", action=np.array([Exploit()] * 120, dtype=object))
    with pytest.raises(DataError, match=r"holds action as pickled Python objects.*numeric dtype"):
        load(path)
    assert not (tmp_path / "exploited").exists()


def test_objects_in_columns_that_nobody_needs_do_no_harm(tmp_path):
    assert len(load(save(tmp_path / "log.npz", infos=np.array([{}] * 120, dtype=object)))) == 120


def test_a_member_that_declares_terabytes_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 16)})
    save(tmp_path / "log.npz")
    with zipfile.ZipFile(tmp_path / "log.npz", "a") as archive:
        archive.writestr("behavior.npy", header.getvalue() + bytes(64))
    with pytest.raises(DataError, match=r"truncated or damaged: its member behavior declares 70,368,744,177,664 bytes"):
        load(tmp_path / "log.npz")


def test_a_member_that_is_no_array_and_an_archive_of_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("obs", "hello")
    with pytest.raises(DataError, match="obs is not an array"):
        load(tmp_path / "text.npz")
    with zipfile.ZipFile(tmp_path / "nothing.npz", "w"):
        pass
    with pytest.raises(DataError, match="there came no columns"):
        load(tmp_path / "nothing.npz")


def test_other_names_are_listed(tmp_path):
    np.savez(tmp_path / "log.npz", observations=np.ones(3), actions=np.ones(3))
    with pytest.raises(
        DataError, match="missing are obs, action, reward, next_obs; there came 'observations', 'actions'"
    ):
        load(tmp_path / "log.npz")


@needs_third_party
def test_pipeline_has_100_episodes_of_1000_steps_by_3_behaviors():
    data = load(THIRD_PARTY / "Pipeline-high-100000-train.npz", behavior_cycle=3)
    assert data.obs.shape == (100_000, 52)
    assert data.action.shape == (100_000, 1)
    np.testing.assert_array_equal(np.unique(data.episode, return_counts=True)[1], [1000] * 100)
    assert data.behavior_names == ("behavior 0", "behavior 1", "behavior 2")
    np.testing.assert_array_equal(data.behavior[::1000], np.arange(100) % 3)
    assert data.truncated.sum() == 100
    assert not data.terminated.any()
    # What the labels say, the actions show: two of the three policies hold the valve.
    assert [len(np.unique(data.action[data.behavior == i].round(4))) == 1 for i in range(3)] == [True, False, True]
    # Past measurements in obs, a valve at its stop, two constant policies that never meet the third, a fluid's category.
    assert {finding.column for finding in validate(data)} == {"action", "next_obs", "behavior", "obs"}


@needs_third_party
@pytest.mark.parametrize(
    ("name", "episodes", "steps"),
    [("Pipeline-high-20000-val", 20, 1000), ("DMSD-high-100000-train", 1000, 100), ("DMSD-high-20000-val", 200, 100)],
)
def test_the_other_third_party_logs_load_under_their_own_names(name, episodes, steps):
    data = load(THIRD_PARTY / f"{name}.npz")
    assert data.behavior_names == (name,)
    np.testing.assert_array_equal(np.unique(data.episode, return_counts=True)[1], [steps] * episodes)


def test_zip_bombs_are_refused_before_anything_is_allocated(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (20 * 2**22,)})
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("reward.npy", "w") as member,
    ):
        member.write(header.getvalue())
        for _ in range(20):
            member.write(bytes(2**24))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"declares 320 MiB of data and has .*made to fill the memory"):
        load(tmp_path / "bomb.npz")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_columns_of_one_component_each(tmp_path):
    data = make_log()
    wide = {f"obs_{i}": data.obs[:, i] for i in range(3)} | {f"next_obs_{i}": data.next_obs[:, i] for i in range(3)}
    np.savez(
        tmp_path / "log.npz", action_0=data.action[:, 0], reward=data.reward, truncated=data.truncated, allow_pickle=False,
        **wide,
    )  # fmt: skip
    read = load(tmp_path / "log.npz")
    np.testing.assert_array_equal(read.next_obs, data.next_obs)
    assert read.action.shape == (120, 1)
