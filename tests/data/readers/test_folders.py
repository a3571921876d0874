"""Folders of Parquet files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.logs import make_log
from tests.data.readers.formats import arrow, parquet_hive, small_log
from tests.data.test_transitions import assert_identical
from worldrex.data import DataError, LoadOptions, load
from worldrex.data.transitions import COLUMNS, Transitions


def put(data: Transitions, path: Path, *without: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: getattr(data, name) for name in COLUMNS if name not in without}
    pq.write_table(pa.table({name: arrow(values) for name, values in columns.items()}), path)


def test_parts_of_one_table_in_natural_order(tmp_path: Path):
    data = small_log()
    for number in range(12):  # an episode may go on in the next part
        put(
            data.rows(slice(5 * number + 2 * (number > 0), 5 * number + 7)), tmp_path / "log" / f"part-{number}.parquet"
        )
    lines: list[str] = []
    assert_identical(load(tmp_path / "log", say=lines.append), data)
    assert lines == [f"{tmp_path / 'log'}: a folder of 12 Parquet files, 60 records"]


def test_files_that_number_their_episodes_alike_are_recordings_of_their_own(tmp_path: Path):
    first, second = make_log(behaviors=1, episodes=2, steps=4), make_log(behaviors=1, episodes=2, steps=4, seed=1)
    put(first, tmp_path / "log" / "a.parquet", "behavior")
    put(second, tmp_path / "log" / "b.parquet", "behavior")
    data = load(tmp_path / "log")
    np.testing.assert_array_equal(data.episode, np.repeat(np.arange(4), 4))
    assert data.behavior_names == ("log",)
    # One episode each, of the same number: the second does not go on where the first one stopped.
    for name, log in (("a", first), ("b", second)):
        put(log.rows(slice(4)), tmp_path / "single" / f"{name}.parquet", "truncated", "terminated")
    np.testing.assert_array_equal(load(tmp_path / "single").episode, np.repeat([0, 1], 4))


def test_without_next_obs_no_file_goes_on_in_the_next(tmp_path: Path):
    data = small_log()
    for number in range(4):
        part = replace(data.rows(slice(5 * number, 5 * number + 5)), episode=np.zeros(5, np.int32))
        put(part, tmp_path / "log" / f"{number}.parquet", "next_obs", "terminated", "truncated")
    lines: list[str] = []
    read = load(tmp_path / "log", say=lines.append)
    assert "16 records, 4 steps dropped" in lines[0]
    np.testing.assert_array_equal(read.obs, data.obs[:20].reshape(4, 5, 3)[:, :4].reshape(16, 3))
    np.testing.assert_array_equal(read.next_obs, data.next_obs[:20].reshape(4, 5, 3)[:, :4].reshape(16, 3))


def test_partitions_and_their_names(tmp_path: Path):
    data = make_log(behaviors=1)
    put(data, tmp_path / "log" / "behavior=a%2Fb" / "x.parquet", "behavior")
    put(data, tmp_path / "log" / "behavior=c" / "x.parquet", "behavior")
    assert load(tmp_path / "log").behavior_names == ("a/b", "c")
    put(data, tmp_path / "log" / "behavior=__HIVE_DEFAULT_PARTITION__" / "x.parquet", "behavior")
    with pytest.raises(DataError, match=r"behavior has 120 missing values|behavior has 60 missing values"):
        load(tmp_path / "log")
    put(data, tmp_path / "twice" / "behavior=c" / "x.parquet")
    with pytest.raises(DataError, match="column behavior more than once"):
        load(tmp_path / "twice")


def test_a_pattern_finds_the_behavior_in_the_files_names(tmp_path: Path):
    for name in ("run-fast-1", "run-slow-1", "run-fast-2"):
        put(make_log(behaviors=1, episodes=1, steps=4), tmp_path / "log" / f"{name}.parquet", "behavior")
    data = load(tmp_path / "log", options=LoadOptions(behavior_pattern=r"run-(\w+)-\d+"))
    assert data.behavior_names == ("fast", "slow")
    np.testing.assert_array_equal(data.behavior, np.repeat([0, 0, 1], 4))


def test_labels_of_several_files_become_one_numbering(tmp_path: Path):
    for number, names in enumerate([("b", "c"), ("a", "b")]):
        make_log(names=names, episodes=1, steps=3).save(tmp_path / f"{number}.parquet")
    data = load(tmp_path)
    assert data.behavior_names == ("b", "c", "a")
    np.testing.assert_array_equal(data.behavior, np.repeat([0, 1, 2, 0], 3))


def test_files_that_differ_are_named(tmp_path: Path):
    put(make_log(), tmp_path / "log" / "a.parquet")
    put(make_log(obs=4), tmp_path / "log" / "b.parquet", "episode")
    with pytest.raises(DataError, match=r"b\.parquet' and .*a\.parquet' differ in episode, next_obs, obs"):
        load(tmp_path / "log")


@pytest.mark.parametrize("place", ["behavior=1", "behavior=1/part-1.parquet"])
def test_links_are_refused(place: str, tmp_path: Path):
    path = parquet_hive({name: getattr(small_log(), name) for name in COLUMNS}, tmp_path)
    (path / place).rename(tmp_path / "elsewhere")
    (path / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="it is a link"):
        load(path)


def test_a_column_that_repeats_one_value_a_billion_times_is_refused(tmp_path: Path):
    table = pa.table({"reward": pa.repeat(np.float64(0), 2**20)})
    with pq.ParquetWriter(tmp_path / "bomb", table.schema) as writer:
        for _ in range(64):
            writer.write_table(table)
    with pytest.raises(DataError, match="declares 512 MiB of data"):
        load(tmp_path / "bomb")


def test_lists_that_repeat_one_value_are_refused_before_the_end(tmp_path: Path):
    lists = pa.ListArray.from_arrays(np.arange(0, 2**22 + 1, 64, dtype=np.int32), pa.repeat(np.float64(0), 2**22))
    table = pa.table({"obs": lists})
    with pq.ParquetWriter(tmp_path / "bomb", table.schema) as writer:
        for _ in range(12):
            writer.write_table(table)
    with pytest.raises(DataError, match=r"declares 3[2-9] MiB of data"):  # of 384
        load(tmp_path / "bomb")
