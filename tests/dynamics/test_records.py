"""Training on a log that lies on disk: the batches are those of the same log in memory."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL
from worldrex.data import Transitions, maps_of, read_mapped, write_mapped
from worldrex.dynamics import Features, Run, Sweep, TrainConfig, records, train

RUNS = [Run("variance", 30.0, seed=3), Run("variance", 3.0, left_out=2, seed=4)]
CONFIG = replace(SMALL, warmup_steps=130, steps=270, batch=16, hidden=(8,))
ROWS_OF_STEP = len(RUNS) * SMALL.members * 16
BYTES_OF_STEP = ROWS_OF_STEP * 4 * (1 + 2 + 1 + 2 + 1 + 1)
"""Row, obs, action, next_obs, reward, behavior."""


@pytest.fixture(scope="module")
def on_disk(log: Transitions, tmp_path_factory: pytest.TempPathFactory) -> Transitions:
    path = tmp_path_factory.mktemp("log") / "mapped"
    write_mapped([replace(log, terminated=log.obs[:, 0] > 1)], path)
    return read_mapped(path)


def in_memory(data: Transitions) -> Transitions:
    return Transitions(**{name: x.copy() if isinstance(x, np.ndarray) else x for name, x in vars(data).items()})


def assert_same(one: Sweep, other: Sweep) -> None:
    for name in ("networks", "normalizers", "holdout_risk", "holdout_objective", "last_step"):
        for x, y in zip(jax.tree.leaves(getattr(one, name)), jax.tree.leaves(getattr(other, name)), strict=True):
            np.testing.assert_array_equal(x, y, err_msg=name)


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, sampler="balanced", bootstrap=True, termination="none"),
        replace(CONFIG, features=Features(history=3)),
    ],
    ids=["balanced bootstrap", "history and ends"],
)
def test_from_disk_a_training_is_that_in_memory_to_the_bit(
    on_disk: Transitions, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    assert maps_of(on_disk)
    monkeypatch.setattr(records, "WINDOW_BYTES", 4 * 210 * BYTES_OF_STEP)
    monkeypatch.setattr(records, "ROWS_AT_ONCE", 100)
    assert_same(train(on_disk, RUNS, config), train(in_memory(on_disk), RUNS, config))


def test_windows_are_read_in_turn_and_hold_few_steps(on_disk: Transitions, monkeypatch: pytest.MonkeyPatch):
    read: list[tuple[int, int]] = []
    tables = records.OnDisk._tables

    def noted(self: records.OnDisk, rows: np.ndarray, room: int | None = None):
        read.append((len(rows), room or 0))
        return tables(self, rows, room)

    monkeypatch.setattr(records.OnDisk, "_tables", noted)
    monkeypatch.setattr(records, "WINDOW_BYTES", 210 * BYTES_OF_STEP)
    train(on_disk, RUNS, CONFIG)
    held, *windows = read
    assert held[1] == 0
    assert windows == [(200 * ROWS_OF_STEP, 200 * ROWS_OF_STEP)] * 2


def test_a_window_smaller_than_a_stretch_changes_nothing_but_the_reports(
    on_disk: Transitions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(records, "WINDOW_BYTES", 33 * BYTES_OF_STEP)
    assert_same(train(on_disk, RUNS, CONFIG), train(in_memory(on_disk), RUNS, CONFIG))


def test_a_resumed_training_reads_on_where_it_stopped(
    on_disk: Transitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(records, "WINDOW_BYTES", 110 * BYTES_OF_STEP)
    whole = train(on_disk, RUNS, replace(CONFIG, steps=1000))

    def interrupted(step: int, total: int) -> None:
        if step >= 800:
            raise KeyboardInterrupt

    more = {"checkpoint": tmp_path / "state", "checkpoint_seconds": 0.0}
    with pytest.raises(KeyboardInterrupt):
        train(on_disk, RUNS, replace(CONFIG, steps=1000), tick=interrupted, **more)
    begun: list[int] = []
    assert_same(train(on_disk, RUNS, replace(CONFIG, steps=1000), begins=begun.append, **more), whole)
    assert begun[0] > 0


def test_what_fails_while_reading_is_raised_by_the_training(on_disk: Transitions, monkeypatch: pytest.MonkeyPatch):
    tables = records.OnDisk._tables

    def failing(self: records.OnDisk, rows: np.ndarray, room: int | None = None):
        if room is not None:
            raise OSError("the disk is gone")
        return tables(self, rows, room)

    monkeypatch.setattr(records.OnDisk, "_tables", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        train(on_disk, RUNS, CONFIG)
