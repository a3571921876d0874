"""Training on a log that lies on disk: the batches are those of the same log in memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL
from worldrex.data import Transitions, maps_of, read_mapped, write_mapped
from worldrex.dynamics import Features, Run, Sweep, records, sweep, train

RUNS = [Run("variance", 30.0, seed=3), Run("variance", 3.0, left_out=(2,), seed=4)]
# All that a batch may ask of the tables: a past, ends, and the rows of one behavior.
CONFIG = replace(
    SMALL, warmup_steps=130, steps=270, batch=16, hidden=(8,), sampler="balanced", bootstrap=True,
    features=Features(history=3),
)  # fmt: skip
ROWS_OF_STEP = len(RUNS) * SMALL.members * CONFIG.batch
BYTES_OF_STEP = ROWS_OF_STEP * 3 * (4 * (1 + 2 + 1 + 2 + 1 + 1 + 1) + 1)
"""With the past, of each row: its number, obs, action, next_obs, reward, behavior, first; terminated."""


@pytest.fixture(scope="module")
def on_disk(log: Transitions, tmp_path_factory: pytest.TempPathFactory) -> Transitions:
    path = tmp_path_factory.mktemp("log") / "mapped"
    write_mapped([replace(log, terminated=log.obs[:, 0] > 1)], path)
    return read_mapped(path)


@pytest.fixture(scope="module")
def in_memory(on_disk: Transitions) -> Sweep:
    """The training on the same log in memory."""
    data = Transitions(**{name: x.copy() if isinstance(x, np.ndarray) else x for name, x in vars(on_disk).items()})
    assert maps_of(on_disk)
    assert not maps_of(data)
    return train(data, RUNS, CONFIG)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """Of windows of 200 steps: rows asked for, and room, of all tables that are read."""
    read: list[tuple[int, int | None]] = []
    tables = records.OnDisk._tables

    def noted(self: records.OnDisk, rows: np.ndarray, room: int | None = None):
        read.append((len(rows), room))
        return tables(self, rows, room)

    monkeypatch.setattr(records.OnDisk, "_tables", noted)
    monkeypatch.setattr(records, "WINDOW_BYTES", 210 * BYTES_OF_STEP)
    monkeypatch.setattr(records, "ROWS_AT_ONCE", 100)
    return read


def assert_same(one: Sweep, other: Sweep) -> None:
    for name in ("networks", "normalizers", "holdout_risk", "holdout_objective", "last_step"):
        for x, y in zip(jax.tree.leaves(getattr(one, name)), jax.tree.leaves(getattr(other, name)), strict=True):
            np.testing.assert_array_equal(x, y, err_msg=name)


def test_from_disk_a_training_is_that_in_memory_to_the_bit(
    on_disk: Transitions, in_memory: Sweep, windows: list[tuple[int, int | None]]
):
    assert_same(train(on_disk, RUNS, CONFIG), in_memory)
    (_, held), *read = windows
    assert held is None
    assert read == [(200 * ROWS_OF_STEP, 200 * ROWS_OF_STEP * 3)] * 2


def test_windows_hold_just_the_rows_of_their_steps(
    on_disk: Transitions, in_memory: Sweep, monkeypatch: pytest.MonkeyPatch
):
    # Those of two steps are a tenth of the log: a row that is missing would show.
    monkeypatch.setattr(records, "WINDOW_BYTES", 2 * BYTES_OF_STEP)
    assert_same(train(on_disk, RUNS, CONFIG), in_memory)


def test_a_resumed_training_reads_on_where_it_stopped(
    on_disk: Transitions, in_memory: Sweep, windows: list[tuple[int, int | None]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr(sweep, "REPORT_STEPS", 100)

    def interrupted(step: int, total: int) -> None:
        if step > 300:
            raise KeyboardInterrupt

    more: dict[str, Any] = {"checkpoint": tmp_path / "state", "checkpoint_seconds": 0.0}
    with pytest.raises(KeyboardInterrupt):
        train(on_disk, RUNS, CONFIG, tick=interrupted, **more)
    begun: list[int] = []
    again = train(on_disk, RUNS, CONFIG, begins=begun.append, **more)
    assert begun == [300]
    for one, other in zip(jax.tree.leaves(again.networks), jax.tree.leaves(in_memory.networks), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_fails_while_reading_is_raised_by_the_training(
    on_disk: Transitions, windows: list[tuple[int, int | None]], monkeypatch: pytest.MonkeyPatch
):
    tables = records.OnDisk._tables

    def failing(self: records.OnDisk, rows: np.ndarray, room: int | None = None):
        if room is not None:
            raise OSError("the disk is gone")
        return tables(self, rows, room)

    monkeypatch.setattr(records.OnDisk, "_tables", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        train(on_disk, RUNS, CONFIG)
