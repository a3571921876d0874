from pathlib import Path

import numpy as np
import pytest

from tests.data.readers.formats import small_log, text, with_last_frames
from tests.data.test_transitions import assert_identical
from worldrex.data import DataError, LoadOptions, load
from worldrex.data.readers import csv
from worldrex.data.transitions import COLUMNS


def written(folder: Path, **changed: np.ndarray | None) -> Path:
    columns = {name: getattr(small_log(), name) for name in COLUMNS} | changed
    return text({name: values for name, values in columns.items() if values is not None}, folder)


@pytest.mark.parametrize(
    "change", [lambda s: s.replace(",", ";"), lambda s: s.replace(",", "\t"), lambda s: "\ufeff" + s]
)
def test_other_delimiters_and_a_byte_order_mark(change, tmp_path: Path):
    path = written(tmp_path)
    path.write_text(change(path.read_text()), encoding="utf-8")
    assert_identical(load(path), small_log())


def test_behaviors_by_name_and_columns_of_others(tmp_path: Path):
    names = np.array(["slow, old", "fast", "odd"])[small_log().behavior]
    path = written(tmp_path, behavior=names, comment=np.full(60, "n/a"))
    assert load(path).behavior_names == ("fast", "odd", "slow, old")


def test_eleven_components_are_in_numeric_order(tmp_path: Path):
    wide = np.arange(60 * 11, dtype=np.float32).reshape(60, 11)
    path = written(tmp_path, obs=wide, next_obs=wide + 11)
    np.testing.assert_array_equal(load(path).obs, wide)


def test_without_next_obs_and_ends_nothing_is_guessed(tmp_path: Path):
    columns = with_last_frames(small_log())
    for name in ("episode", "terminated", "truncated"):
        del columns[name]
    with pytest.raises(
        DataError, match=r"no next_obs, and no column that says where an episode ends.*add next_obs, or"
    ):
        load(text(columns, tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("obs_1", "obs_7", "3 columns obs_N and no obs_1"),
        ("obs_1", "obs_00", "both 'obs_0' and 'obs_00'"),
        ("obs_1", "obs", "both 'obs' and 'obs_0'|both 'obs' and 'obs_2'"),
        ("action_0,", "action_0,reward,", "the column reward more than once"),
        ("\n", "\n1,2\n", r"(?s)truncated or damaged: CSV parse error.*Expected \d+ columns, got 2"),
    ],
)
def test_headers_and_rows_that_do_not_fit(old: str, new: str, message: str, tmp_path: Path):
    path = written(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        load(path)


def test_empty_cells_are_missing_values(tmp_path: Path):
    path = written(tmp_path)
    lines = path.read_text().splitlines()
    lines[5] = "," + lines[5].split(",", 1)[1]
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"obs_0 has 1 missing value \(null; first at row 4\)"):
        load(path)


def test_bytes_that_are_no_text(tmp_path: Path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes() + b"\xff\xfe,1\n")
    with pytest.raises(DataError):
        load(path)
    path.write_bytes(b"obs_0,action_0\n\0\0\0,1\n")
    with pytest.raises(DataError, match="none of what worldrex reads"):
        load(path)


@pytest.mark.parametrize("length", [1, csv.SAMPLE], ids=["short", "longer than what is looked at first"])
@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-32", "WINDOWS-1252"])
def test_another_encoding_is_named(encoding: str, length: int, tmp_path: Path):
    names = np.array(["Zoë", "Ann", "Bob"])[small_log().behavior]
    path = written(tmp_path, behavior=names)
    header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_bytes("".join([header, *rows * -(-length // sum(map(len, rows)))]).encode(encoding))
    with pytest.raises(DataError, match=rf"text in {encoding}.*`iconv -f {encoding} -t UTF-8 OLD > NEW`"):
        load(path)


def test_a_character_may_be_cut_where_the_first_look_ends(tmp_path: Path):
    path = tmp_path / "log.csv"
    start = b"obs_0,action_0,comment\n1,2,"
    for cut, is_one in (("ë".encode(), True), (b"\xeb,", False)):
        path.write_bytes(start + b"x" * (csv.SAMPLE - 1 - len(start)) + cut + b"\n")
        assert csv.is_csv(path) or not is_one
        path.write_bytes(start + b"x" * (csv.SAMPLE - 2 - len(start)) + cut + b"\n")
        assert csv.is_csv(path) == is_one


def test_late_text_that_is_not_utf_8(tmp_path: Path):
    path = written(tmp_path, behavior=np.array(["steady", "Ann", "Bob"])[small_log().behavior])
    rows = path.read_bytes().splitlines(keepends=True)
    body = rows[1:] * (csv.SAMPLE // sum(map(len, rows[1:])) + 2)
    path.write_bytes(b"".join([rows[0], *body, body[0].rstrip() + b"\xeb\n"]))
    with pytest.raises(DataError, match="text that is not UTF-8 in 'behavior'"):
        load(path)


def test_a_column_may_be_the_behavior_and_something_else(tmp_path: Path):
    data = load(written(tmp_path, behavior=None), options=LoadOptions(behavior_column="episode"))
    assert data.num_behaviors == len(np.unique(data.episode))


@pytest.mark.parametrize(
    "names",
    [("2026-01-30", "2026-01-31", "2026-02-01"), ("false", "true", "True"), ("07:00:00", "08:00:00", "09:30:00")],
)
@pytest.mark.parametrize("column", ["behavior", "shift"])
def test_what_looks_like_dates_or_truths_is_a_name(names: tuple[str, ...], column: str, tmp_path: Path):
    path = written(tmp_path, **{"behavior": None, column: np.array(names)[small_log().behavior]})
    data = load(path, options=LoadOptions(behavior_column=column))
    assert np.array(data.behavior_names)[data.behavior].tolist() == np.array(names)[small_log().behavior].tolist()


def test_a_flag_may_be_the_behavior(tmp_path: Path):
    log = small_log()
    path = written(tmp_path, behavior=None, terminated=np.array(["false", "true"])[log.terminated.astype(int)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:1] + [line for line in lines[1:] if ",true," in line]))
    data = load(path, options=LoadOptions(behavior_column="terminated"))
    assert data.terminated.all()
    assert data.behavior_names == ("behavior 1",)
