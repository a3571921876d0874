from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL
from worldrex.data import Transitions, aligned, holdout
from worldrex.dynamics import Features, Run, TrainingError, layout, train
from worldrex.dynamics.layout import tables_of

ALIGNMENT = 64


def at(offset: int, shape: tuple[int, ...], kind: type) -> np.ndarray:
    """Random values that begin so many bytes behind an aligned address."""
    rng = np.random.default_rng(0)
    values = (rng.normal(size=shape) > 0).astype(kind) if kind is bool else (100 * rng.normal(size=shape)).astype(kind)
    room = np.empty(values.nbytes + 2 * ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT + offset
    there = room[start : start + values.nbytes].view(kind).reshape(shape)
    there[...] = values
    return there


@pytest.mark.parametrize("shape", [(7,), (7, 3), (1, 1)])
@pytest.mark.parametrize("kind", [np.float32, np.int32, bool])
def test_what_lies_well_is_taken_as_it_lies_and_all_else_is_copied_equal(shape: tuple[int, ...], kind: type):
    x = at(0, shape, kind)
    assert np.shares_memory(aligned(x), x)
    for offset in (4, 32, 60):
        x = at(offset, shape, kind)
        there = aligned(x)
        assert x.ctypes.data % ALIGNMENT == offset
        assert there.ctypes.data % ALIGNMENT == 0
        assert not np.shares_memory(there, x)
        assert there.dtype == x.dtype
        assert there.flags.c_contiguous
        np.testing.assert_array_equal(there, x)


def test_columns_that_are_not_contiguous_are_copied_in_order():
    x = at(0, (6, 4), np.float32)
    for view in (x.T, x[:, ::2], x[::3]):
        there = aligned(view)
        assert there.flags.c_contiguous
        assert there.ctypes.data % ALIGNMENT == 0
        assert not np.shares_memory(there, x)
        np.testing.assert_array_equal(there, view)


def test_the_tables_are_the_log_itself_where_it_lies_well(log: Transitions):
    data = replace(log, **{name: aligned(getattr(log, name)) for name in ("obs", "action", "next_obs", "reward")})
    tables, _ = tables_of(data, [(), (2,)], SMALL)
    for name in ("obs", "action", "next_obs", "reward"):
        assert np.shares_memory(getattr(tables, name), getattr(data, name))
    assert tables.first is None
    longer, _ = tables_of(data.rows(slice(0, 1597)), [()], SMALL, 8)
    assert longer.obs.shape == (1600, 2)
    np.testing.assert_array_equal(longer.obs[:1597], log.obs[:1597])
    assert not longer.obs[1597:].any()


def test_the_past_begins_with_the_episode(log: Transitions):
    tables, _ = tables_of(log, [()], replace(SMALL, features=Features(history=2)))
    np.testing.assert_array_equal(tables.first, np.arange(len(log)) // 20 * 20)
    assert tables.first.dtype == np.int32


@pytest.mark.parametrize("block", [7, 40, 4096])
def test_blocks_hold_all_rows_of_each_fold(log: Transitions, monkeypatch: pytest.MonkeyPatch, block: int):
    monkeypatch.setattr(layout, "BLOCK", block)
    _, held_out = holdout(log, SMALL.holdout, seed=SMALL.seed)
    _, held = tables_of(log, [(), (2,)], SMALL)
    for fold, rows in enumerate((held_out, held_out[log.behavior[held_out] != 2])):
        np.testing.assert_array_equal(held.rows[fold].reshape(-1)[: held.number[fold]], rows)
        assert held.number[fold] == len(rows)
    assert held.rows.shape[2] == min(block, len(held_out))


def test_held_out_records_are_judged_alike_in_blocks_of_any_size(log: Transitions, monkeypatch: pytest.MonkeyPatch):
    runs = [Run("variance", 30.0), Run("irm", 10.0), Run("variance", 3.0, True, (2,))]
    config = replace(SMALL, members=2, elites=1, warmup_steps=5, steps=5)
    at_once = train(log, runs, config)
    monkeypatch.setattr(layout, "BLOCK", 7)
    in_blocks = train(log, runs, config)
    for x, y in zip(*(jax.tree.leaves(sweep.networks) for sweep in (in_blocks, at_once)), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_allclose(in_blocks.holdout_risk, at_once.holdout_risk, rtol=3e-6)
    np.testing.assert_allclose(in_blocks.holdout_objective, at_once.holdout_objective, rtol=2e-5)
    assert np.isfinite(at_once.holdout_risk[:2]).all()
    assert (np.isnan(at_once.holdout_risk[2]) == (np.arange(4) == 2)[None]).all()


@pytest.mark.parametrize("name", ["obs", "next_obs", "action", "reward"])
def test_values_that_a_disk_has_changed_since_are_found(log: Transitions, name: str):
    values = getattr(log, name).copy()
    values[1234] = np.nan
    with pytest.raises(TrainingError, match="not finite in float32, first at row 1234"):
        tables_of(replace(log, **{name: values}), [()], SMALL)
