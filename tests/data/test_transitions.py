import os
import stat

import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data.readers import load
from worldrex.data.transitions import COLUMNS, DataError, Transitions, concatenate
from worldrex.runs import RunError


def assert_identical(a: Transitions, b: Transitions) -> None:
    assert a.behavior_names == b.behavior_names
    for column in COLUMNS:
        left, right = getattr(a, column), getattr(b, column)
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes(), column


def test_what_was_saved_reads_back_identical_to_the_bit(tmp_path):
    data = make_log(behaviors=3, episodes=4, steps=25)
    data.obs[0, 0] = -0.0  # equal to 0.0, yet other bits
    data.obs[1, 0] = 0.0
    data.obs[2, 0] = np.float32(1e-42)  # subnormal
    data.next_obs[:-1][data.episode[1:] == data.episode[:-1]] = data.obs[1:][data.episode[1:] == data.episode[:-1]]
    data.save(tmp_path / "log.parquet")
    assert_identical(load(tmp_path / "log.parquet"), data)


def test_not_a_number_keeps_its_bits_in_the_file(tmp_path):
    # load refuses NaN; the file itself must still not change what it was given.
    import pyarrow.parquet as pq

    data = make_log()
    data.reward.view(np.uint32)[:2] = [0x7FC00001, 0xFFC00002]
    data.save(tmp_path / "log.parquet")
    stored = pq.read_table(tmp_path / "log.parquet")["reward"].to_numpy()
    assert stored.tobytes() == data.reward.tobytes()


@pytest.mark.parametrize("index", [slice(3, 9), np.array([5, 2, 2]), np.arange(80) % 3 == 0, np.array([], int)])
def test_rows_takes_the_same_records_of_every_column(index):
    data = make_log(behaviors=2, episodes=4, steps=10)
    some = data.rows(index)
    assert some.behavior_names == data.behavior_names
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(some, column), getattr(data, column)[index])


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "log.parquet"
    data = make_log()
    data.save(path)
    before = path.read_bytes()

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(RunError, match="No space left on device"):
        make_log(steps=30).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["log.parquet"]


def test_a_save_into_a_missing_folder_says_so(tmp_path):
    with pytest.raises(RunError, match=r"cannot write .*No such file or directory.*choose a folder that exists"):
        make_log().save(tmp_path / "missing" / "log.parquet")


def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path):
    make_log().save(tmp_path / "log.parquet")
    (tmp_path / "other").touch()
    assert stat.S_IMODE((tmp_path / "log.parquet").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_concatenate_merges_behaviors_by_name_and_renumbers_episodes():
    a = make_log(behaviors=2, episodes=3, steps=5, names=("slow", "fast"))
    b = make_log(behaviors=2, episodes=2, steps=4, names=("fast", "new"), seed=1)
    both = concatenate([a, b])
    assert both.behavior_names == ("slow", "fast", "new")
    assert len(both) == len(a) + len(b)
    names = [both.behavior_names[i] for i in both.behavior]
    assert names == [d.behavior_names[i] for d in (a, b) for i in d.behavior]
    assert list(np.unique(both.episode)) == list(range(2 * 3 + 2 * 2))
    np.testing.assert_array_equal(both.obs, np.concatenate([a.obs, b.obs]))


def test_concatenate_refuses_other_widths_and_nothing():
    with pytest.raises(
        DataError, match="data set 2 has obs of width 4 and actions of width 2, the first one has 3 and 2"
    ):
        concatenate([make_log(obs=3), make_log(obs=4)])
    with pytest.raises(DataError, match="nothing to concatenate"):
        concatenate([])
