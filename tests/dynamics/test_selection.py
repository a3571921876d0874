from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL, arrays, same_bits
from tests.dynamics.recorder import Record, one, record_of
from worldrex.data import Transitions
from worldrex.dynamics import Progress, Run, Sweep, TrainConfig, TrainingError, programs, sweep, train
from worldrex.dynamics.ensemble import init_network
from worldrex.dynamics.selection import better, elites_of, no_best

RUNS = [Run("variance", 10.0, True, (), 0), Run("none", 0.0, True, (), 1)]
# So large a step at the switch that what the first phase left was better than anything after it.
ROUGH = replace(SMALL, members=3, warmup_steps=200, steps=200, learning_rate=0.05)
OFTEN = 10


def test_the_best_is_kept_with_its_bounds_until_a_better_one_comes():
    fresh = jax.jit(lambda seed: init_network(2, 2, (3,), key=jax.random.key(seed)))
    judge = jax.jit(better)
    networks = [fresh(seed)._replace(max_log_var=jnp.full(2, float(seed))) for seed in range(5)]
    best = no_best(networks[0], 3)
    kept = []
    for step, (network, objective) in enumerate(zip(networks, (3.0, np.nan, 2.0, 2.0, np.inf), strict=True)):
        best = judge(best, network, jnp.float32(objective), jnp.full(3, float(step)), jnp.int32(step))
        kept.append((int(best.step), int(best.stale)))
    assert kept == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]
    assert same_bits(best.network, networks[2])
    np.testing.assert_array_equal(best.risk, [2, 2, 2])


def test_elites_are_in_order_and_ties_go_to_the_first():
    objective = np.float32([2, 1, 3, 1, np.nan])
    for number, expected in enumerate(([1], [1, 3], [0, 1, 3], [0, 1, 2, 3]), start=1):
        np.testing.assert_array_equal(elites_of(objective, number), expected)


@pytest.fixture(scope="module")
def kept_best(log: Transitions) -> tuple[Sweep, Record, list[Progress]]:
    """Six networks that keep their best weights, evaluated every 10 steps."""
    return trained(log, replace(ROUGH, keep="best"))


def trained(log: Transitions, config: TrainConfig) -> tuple[Sweep, Record, list[Progress]]:
    if jax.local_device_count() > 1:
        pytest.skip("the recorder knows one device")
    reports: list[Progress] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "REPORT_STEPS", OFTEN)
        record = record_of(patch)
        return train(log, RUNS, config, report=reports.append), record, reports


def test_every_member_keeps_its_own_best_weights_of_the_second_phase(
    kept_best: tuple[Sweep, Record, list[Progress]],
) -> None:
    sweep, record, _ = kept_best
    steps = np.array([evaluation.step for evaluation in record.evaluations])
    objectives = np.array([evaluation.objective for evaluation in record.evaluations])
    early = steps <= ROUGH.warmup_steps
    # The record of the first phase would have won, had it been carried over; and members differ.
    assert (objectives[early].min(0) < objectives[~early].min(0)).any()
    best = len(steps[early]) + objectives[~early].argmin(0)
    assert len(np.unique(steps[best])) > 2
    for network in range(6):
        run, member = divmod(network, ROUGH.members)
        assert sweep.last_step[run, member] == steps[best[network]]
        np.testing.assert_array_equal(sweep.holdout_objective[run, member], objectives[best[network], network])
        own = one(record.evaluations[best[network]].before.state.network, network)
        assert same_bits(one(one(sweep.networks, run), member), own)
    bounds = sweep.networks.max_log_var.reshape(6, -1)
    assert (bounds != record.evaluations[-1].before.state.network.max_log_var).any(1).sum() >= 3


def test_the_last_weights_are_kept_where_these_are_asked_for(
    log: Transitions, kept_best: tuple[Sweep, Record, list[Progress]]
) -> None:
    """And what is kept changes no training."""
    last, record, _ = trained(log, ROUGH)
    assert (last.last_step == 400).all()
    assert same_bits(record.evaluations[-1].before.state, kept_best[1].evaluations[-1].before.state)
    own = jax.tree.map(lambda x: x.reshape(2, 3, *x.shape[1:]), record.evaluations[-1].before.state.network)
    assert same_bits(last.networks, own)
    np.testing.assert_array_equal(last.holdout_objective.ravel(), record.evaluations[-1].objective)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_members_that_find_nothing_better_stop_and_cost_nothing(
    log: Transitions, kept_best: tuple[Sweep, Record, list[Progress]], keep: str
) -> None:
    patience = 2
    stopped, record, reports = trained(log, replace(ROUGH, keep=keep, patience=patience))
    full = kept_best[1]
    steps = [evaluation.step for evaluation in full.evaluations]
    late = [number for number, step in enumerate(steps) if step > ROUGH.warmup_steps]
    ends = []
    for network in range(6):
        best, stale, end = np.inf, 0, 400
        for number in late:
            improved = full.evaluations[number].objective[network] < best
            best, stale = (full.evaluations[number].objective[network], 0) if improved else (best, stale + 1)
            if stale >= patience:
                end = min(end, steps[number])
        ends.append(end)
    assert len(set(ends)) > 2  # they stop each by itself
    for advance in record.advances:
        assert advance.active == sum(end > advance.first for end in ends)
    for report in reports:
        np.testing.assert_array_equal(
            report.active, (np.array(ends).reshape(2, 3) > report.step).sum(1) if report.step < 400 else report.active
        )
    assert record.advances[-1].first < max(ends)
    if keep == "last":
        np.testing.assert_array_equal(stopped.last_step.ravel(), ends)
        for network, end in enumerate(ends):
            # Its weights are those that the training without patience had there: nobody's stop changes another.
            own = one(full.evaluations[steps.index(end)].before.state.network, network)
            assert same_bits(one(one(stopped.networks, network // 3), network % 3), own)
            np.testing.assert_array_equal(
                stopped.holdout_objective.ravel()[network], full.evaluations[steps.index(end)].objective[network]
            )
    else:
        assert (stopped.last_step.ravel() <= ends).all()


def side_by_side(
    log: Transitions, patch: pytest.MonkeyPatch, number: int, memory: int | None = None
) -> list[np.ndarray]:
    patch.setattr(sweep, "side_by_side", lambda per_device: number)
    return arrays(train(log, RUNS, SMALL, memory=memory))


def test_networks_side_by_side_are_those_one_after_the_other(log: Transitions, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit for any number side by side; one alone is another program, whose products round otherwise."""
    if jax.local_device_count() > 1:
        pytest.skip("six networks on one device")
    alone, two, four, all_at_once = (side_by_side(log, monkeypatch, number) for number in (1, 2, 4, 6))
    assert same_bits(two, all_at_once)
    assert same_bits(two, four)
    for x, y in zip(alone, two, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-6)


def test_a_memory_that_holds_fewer_networks_changes_nothing_but_their_number(
    log: Transitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    if jax.local_device_count() > 1:
        pytest.skip("six networks on one device")
    tried: dict[int, tuple[Any, int]] = {}
    used: list[int] = []
    compiled = programs._compiled

    def remembered(*arguments: Any) -> Any:
        used.append(arguments[-1])
        if used[-1] not in tried:
            tried[used[-1]] = compiled(*arguments)
        return tried[used[-1]]

    monkeypatch.setattr(programs, "_compiled", remembered)
    # More than enough, and not None: those programs may be compiled already.
    free = {number: side_by_side(log, monkeypatch, number, 2**50) for number in (6, 3, 2)}
    assert same_bits(free[6], free[3])
    assert same_bits(free[6], free[2])
    needed = {number: size for number, (_, size) in tried.items()}
    assert needed[6] > needed[3] > needed[2] > 0
    for memory, expected in ((needed[6], [6]), (needed[6] - 1, [6, 3]), (needed[3] - 1, [6, 3, 2])):
        used.clear()
        assert same_bits(side_by_side(log, monkeypatch, 6, memory), free[6])
        assert used[0] == 6
        assert used[-1] == expected[-1]
    told = f"needs {needed[2] / 1e6:,.0f} MB beside the log, and {(needed[2] - 1) / 1e6:,.0f} MB were given"
    with pytest.raises(TrainingError, match=f"training 2 networks at a time {told}: give more"):
        side_by_side(log, monkeypatch, 6, needed[2] - 1)
    used.clear()
    with pytest.raises(TrainingError, match=r"training 1 network at a time needs .* and 0 MB were given"):
        side_by_side(log, monkeypatch, 1, 1)
    assert used == [1]
