"""Logs beyond memory: a folder of columns, used where they lie on disk."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from worldrex.data import (
    DataError,
    LoadOptions,
    Transitions,
    describe,
    load,
    maps_of,
    read_mapped,
    release,
    write_mapped,
)
from worldrex.data.mapped import FILE, LABELS, part_of
from worldrex.data.transitions import COLUMNS
from worldrex.runs import RunError


@pytest.fixture(scope="module")
def log() -> Transitions:
    data = gust_log()
    return replace(data, terminated=data.obs[:, 0] > 1, behavior_names=("a", "<b>", "c\n", "ü/../d"))


@pytest.fixture
def folder(log: Transitions, tmp_path: Path) -> Path:
    write_mapped([log], tmp_path / "log")
    return tmp_path / "log"


def assert_same(one: Transitions, other: Transitions) -> None:
    for name in COLUMNS:
        there = getattr(one, name)
        assert there.dtype == getattr(other, name).dtype
        np.testing.assert_array_equal(there, getattr(other, name), err_msg=name)
    assert one.behavior_names == other.behavior_names


def test_what_was_written_is_read_where_it_lies(log: Transitions, folder: Path):
    there = load(folder)
    assert_same(there, log)
    assert len(maps_of(there)) == 1 + len(LABELS)
    assert not maps_of(log)
    assert all(
        type(getattr(there, name)) is np.ndarray and not getattr(there, name).flags.writeable for name in COLUMNS
    )
    assert there.checksum() == log.checksum() != log.rows(slice(1, None)).checksum()
    assert describe(there).findings == describe(log).findings


def test_what_was_given_back_is_read_again(log: Transitions, folder: Path):
    there = read_mapped(folder)
    for _ in range(2):
        assert_same(there, log)
        release(there)


def test_parts_are_one_log_whose_behaviors_of_one_name_are_one(log: Transitions, tmp_path: Path):
    swapped = replace(log, behavior_names=tuple(reversed(log.behavior_names)))
    assert write_mapped(iter([log, swapped]), tmp_path / "log") == 2 * len(log)
    there = read_mapped(tmp_path / "log")
    assert there.behavior_names == log.behavior_names
    np.testing.assert_array_equal(there.behavior, np.concatenate([log.behavior, 3 - log.behavior]))
    np.testing.assert_array_equal(there.episode, np.concatenate([log.episode, log.episode + log.episode.max() + 1]))


@pytest.mark.parametrize("of", [1, 2, 3, 7, 80])
def test_parts_are_whole_episodes_and_together_the_log(log: Transitions, folder: Path, of: int):
    parts = [load(folder, part=(number, of)) for number in range(of)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 20  # an episode's steps
    for name in COLUMNS:
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(log, name))
    for one, other in pairwise(parts):
        assert one.episode[-1] != other.episode[0]
    assert {part.behavior_names for part in parts} == {log.behavior_names}
    assert all(maps_of(part) for part in parts)


def test_more_parts_than_episodes_are_refused(log: Transitions):
    with pytest.raises(DataError, match=r"3 processes share a log of 40 records, .* start fewer processes"):
        [part_of(log.rows(slice(0, 40)), number, 3) for number in range(3)]


def test_a_log_in_place_stands_alone_and_has_its_behaviors(folder: Path, tmp_path: Path, log: Transitions):
    log.save(tmp_path / "more.parquet")
    with pytest.raises(DataError, match=r"2 logs at once.*`worldrex convert`"):
        load(folder, tmp_path / "more.parquet")
    with pytest.raises(DataError, match=r"behavior_cycle.*`worldrex convert`"):
        load(folder, options=LoadOptions(behavior_cycle=2))


def test_nothing_is_overwritten_and_nothing_half_written(log: Transitions, folder: Path, tmp_path: Path):
    with pytest.raises(RunError, match="never overwritten"):
        write_mapped([log], folder)
    assert_same(read_mapped(folder), log)

    def fails():
        yield log
        raise KeyboardInterrupt

    for parts, error in (([], DataError), ([log, narrow(log)], DataError), (fails(), KeyboardInterrupt)):
        with pytest.raises(error):
            write_mapped(parts, tmp_path / "other")
    assert {path.name for path in tmp_path.iterdir()} == {"log"}


def narrow(log: Transitions) -> Transitions:
    return replace(log, action=np.repeat(log.action, 2, 1))


def content(folder: Path) -> dict:
    return json.loads((folder / FILE).read_text())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"format": 1}, "is of format '1', and this worldrex reads 2"),
        ({"records": 1599}, "records.npy"),
        ({"records": True}, "'True' records"),
        ({"obs": 1}, "records.npy"),
        ({"action": -1}, "widths"),
        ({"behavior_names": ["a"]}, "numbers from 0 to 3, and columns.json 1 names"),
        ({"behavior_names": [1, 2, 3, 4]}, "are no names"),
        ({"behavior_names": "abcd"}, "are no names"),
        ({"behavior_names": ["a", "a", "b", "c"]}, "twice"),
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, changed: dict, told: str):
    (folder / FILE).write_text(json.dumps(content(folder) | changed))
    with pytest.raises(DataError, match=told):
        load(folder)


@pytest.mark.parametrize("name", ["records", *LABELS])
@pytest.mark.parametrize("how", ["missing", "short", "link", "other type", "objects"])
def test_damaged_files_are_refused(folder: Path, name: str, how: str):
    file = folder / f"{name}.npy"
    values = np.load(file)
    size = file.stat().st_size
    if how == "missing":
        file.unlink()
    elif how == "short":
        file.write_bytes(file.read_bytes()[: size - 1])
    elif how == "link":
        file.rename(folder.parent / "elsewhere.npy")
        file.symlink_to(folder.parent / "elsewhere.npy")
    elif how == "other type":
        np.save(file, values.astype(np.float64))
    else:
        np.save(file, values.astype(object), allow_pickle=True)
    with pytest.raises(DataError, match=f"{folder.name}' is a converted log that is not whole: .*{name}.npy.* again"):
        load(folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "columns.json is no JSON"),
        ("[]", "columns.json does not tell format, records, obs, action, behavior_names"),
        ('{"format": 2, "obs": 1}', "does not tell records, action, behavior_names"),
        (None, "has records.npy, as a converted log has, and no columns.json"),
    ],
)
def test_a_folder_whose_description_is_gone_says_what_it_was(folder: Path, text: str | None, told: str):
    (folder / FILE).unlink() if text is None else (folder / FILE).write_text(text)
    with pytest.raises(DataError, match=told):
        load(folder)
