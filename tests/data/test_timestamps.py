import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.logs import make_log
from worldrex.data.findings import Finding
from worldrex.data.readers import load, load_unchecked
from worldrex.data.transitions import COLUMNS, DataError

STEPS = 20


def columns(**more: np.ndarray) -> dict[str, np.ndarray]:
    data = make_log(behaviors=3, steps=STEPS)
    return {column: getattr(data, column) for column in COLUMNS} | more


def clock(swapped: bool) -> np.ndarray:
    """Seconds from the start of each episode; rows 45 and 46 may stand in the wrong order."""
    time = np.arange(180) % STEPS * 0.1
    if swapped:
        time[[45, 46]] = time[[46, 45]]
    return time


@pytest.mark.parametrize("name", ["timestamp", "time"])
@pytest.mark.parametrize("kind", ["float", "int", "date"])
def test_times_out_of_order_are_refused(name, kind):
    def times(swapped: bool) -> np.ndarray:
        time = clock(swapped)
        if kind == "float":
            return time
        ticks = (1e3 * time).astype(np.int64)
        return ticks if kind == "int" else ticks.astype("datetime64[ms]")

    assert len(load(columns(**{name: times(False)}))) == 180
    with pytest.raises(DataError, match=rf"{name} goes back within an episode at row 46 of the data.*1 such place"):
        load(columns(**{name: times(True)}))


def test_describe_is_told_and_goes_on():
    found: list[Finding] = []
    assert len(load_unchecked(columns(time=clock(True)), found=found.append)) == 180
    assert [(finding.severity, finding.column, finding.count, finding.first_row) for finding in found] == [
        ("error", "time", 1, 46)
    ]


def test_rows_that_would_be_dropped_are_judged_too():
    log = columns(time=clock(False))
    del log["next_obs"]
    log["time"][STEPS - 1] = 0
    with pytest.raises(DataError, match=f"at row {STEPS - 1}"):
        load(log)


def test_equal_times_and_those_of_another_episode_are_in_order():
    assert len(load(columns(time=np.arange(180) // 4))) == 180
    assert len(load(columns(time=-np.repeat(np.arange(9), STEPS)))) == 180


@pytest.mark.parametrize("write", ["csv", "npz", "frame", "parquet"])
def test_every_table_has_its_clock_looked_at(tmp_path, write):
    log = columns(timestamp=clock(True))
    wide = {name: values for name, values in log.items() if values.ndim == 1}
    wide |= {
        f"{name}_{i}": log[name][:, i] for name in ("obs", "action", "next_obs") for i in range(log[name].shape[1])
    }
    path = tmp_path / "log"
    source = path
    if write == "csv":
        pd.DataFrame(wide).to_csv(path, index=False)
    elif write == "npz":
        with open(path, "wb") as file:
            np.savez(file, **log)  # pyright: ignore[reportArgumentType]
    elif write == "frame":
        source = pd.DataFrame(wide)
    else:
        pq.write_table(pa.table(wide), path)
    with pytest.raises(DataError, match="timestamp goes back within an episode at row 46"):
        load(source)


@pytest.mark.parametrize("write", ["csv", "npz", "frame", "parquet"])
def test_a_clock_that_cannot_be_read_is_no_reason_to_refuse(tmp_path, write):
    times = np.array([f"at {i}" for i in range(180)], dtype=object)
    log = columns(timestamp=times)
    wide = {name: values for name, values in log.items() if values.ndim == 1}
    wide |= {
        f"{name}_{i}": log[name][:, i] for name in ("obs", "action", "next_obs") for i in range(log[name].shape[1])
    }
    path = tmp_path / "log"
    source = path
    if write == "csv":
        pd.DataFrame(wide).to_csv(path, index=False)
    elif write == "npz":
        with open(path, "wb") as file:
            np.savez(file, allow_pickle=True, **log)  # pyright: ignore[reportArgumentType]
    elif write == "frame":
        source = pd.DataFrame(wide)
    else:
        gaps = [None, *(datetime.datetime(2026, 1, 1) for _ in range(179))]
        pq.write_table(pa.table(wide | {"time": pa.array(gaps)}), path)
    lines: list[str] = []
    assert len(load(source, say=lines.append)) == 180
    name = "time" if write == "parquet" else "timestamp"
    assert lines[0].endswith(f"{name} not looked at")
    found: list[Finding] = []
    load_unchecked(source, found=found.append)
    assert [(finding.severity, finding.column) for finding in found if finding.column == name] == [("warning", name)]
    assert "does not have a number or a date in each record" in found[-1].message


def test_files_of_a_folder_may_have_a_clock_or_not(tmp_path):
    log = {name: values for name, values in columns().items() if values.ndim == 1}
    lists = {name: list(columns()[name]) for name in ("obs", "action", "next_obs")}
    for number in range(2):
        more = {"time": clock(False)} if number else {}
        pq.write_table(pa.table(log | lists | more), tmp_path / f"{number}.parquet")
    lines: list[str] = []
    assert len(load(tmp_path, say=lines.append)) == 360
    assert lines[0].endswith("360 records, time not looked at")


def test_columns_that_are_left_out_are_named():
    lines: list[str] = []
    load(columns(wind=np.zeros(180), **{"a\nb": np.zeros(180)}, time=clock(False)), say=lines.append)
    assert lines == ["in memory: a mapping of arrays, 180 records, 2 columns left out: 'wind', 'a\\nb'"]
