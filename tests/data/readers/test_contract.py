"""One contract for all readers: the same log in any format is the same Transitions; what is broken is one DataError."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.readers.formats import FORMATS, Format, small_log, with_last_frames
from tests.data.test_transitions import assert_identical
from worldrex.data import DataError, load

every_format = pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
every_file = pytest.mark.parametrize("format", [f for f in FORMATS if not f.in_memory], ids=lambda format: format.name)


@pytest.fixture(autouse=True)
def _library(request: pytest.FixtureRequest) -> None:
    name = request.getfixturevalue("format").name
    if name in ("pandas", "polars"):
        pytest.importorskip(name)


def main_file(log: Path) -> Path:
    """The file with most of the records."""
    return log if log.is_file() else max((p for p in log.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def refused(log: object, format: Format) -> str:
    with pytest.raises(DataError) as caught:
        load(log, options=format.options)
    message = str(caught.value)
    assert "Type-check" not in message  # beartype's, which would hide among the libraries' errors
    return message


@every_format
def test_the_same_log_is_the_same_transitions(format: Format, tmp_path: Path):
    data = small_log()
    lines: list[str] = []
    read = load(format.written(data, tmp_path), options=format.options, say=lines.append)
    assert_identical(read, format.expected(data))
    assert len(lines) == 1
    assert "60 records" in lines[0]
    assert ("12 steps dropped" in lines[0]) == format.frames


@every_file
@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_one_error(format: Format, part: float, tmp_path: Path):
    log = format.written(small_log(), tmp_path)
    file = main_file(log)
    content = file.read_bytes()
    length = int(part * len(content))
    # A text that ends with a whole row cannot be told from a shorter one.
    file.write_bytes(content[: content.rfind(b",", 0, length) if format.name.startswith("csv") else length])
    assert str(log) in refused(log, format)


@every_file
def test_an_empty_file_is_one_error(format: Format, tmp_path: Path):
    log = format.written(small_log(), tmp_path)
    main_file(log).write_bytes(b"")
    assert str(log) in refused(log, format)


@every_format
def test_text_for_numbers_is_one_error_that_names_the_column(format: Format, tmp_path: Path):
    data = small_log()
    length = len(data) + 12 * format.frames
    message = refused(format.written(data, tmp_path, action=np.full((length, 2), "left")), format)
    assert "numbers" in message
    assert "action" in message


@every_format
def test_columns_without_records_are_one_error(format: Format, tmp_path: Path):
    columns = {name: values[:0] for name, values in with_last_frames(small_log()).items()}
    if not format.frames:
        columns["next_obs"] = columns["obs"]
    if format.name in ("minari", "parquet-hive", "lerobot-v2", "lerobot-v2-operators"):
        (tmp_path / "log" / "data").mkdir(parents=True)  # whose files are the episodes
        refused(tmp_path / "log", format)
    else:
        assert "there are no records" in refused(format.write(columns, tmp_path), format)


@every_format
def test_values_that_are_not_finite_are_found_in_every_format(format: Format, tmp_path: Path):
    data = small_log()
    reward = np.zeros(len(data) + 12 * format.frames, np.float32)
    reward[8] = np.nan
    message = refused(format.written(data, tmp_path, reward=reward), format)
    assert "reward has 1" in message
    assert "row 8" in message or "row 7" in message  # one step was dropped before it
