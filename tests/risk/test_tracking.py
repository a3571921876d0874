"""Risks that are tracked over batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import (
    CASES,
    MARKS,
    assert_mean,
    assert_moments,
    assert_runs_alone,
    loop_moments,
    objective_of,
    options_of,
    use,
)
from worldrex import risk
from worldrex.risk import tracking

RNG = np.random.default_rng(5)
NUM_GROUPS, DECAY = 4, 0.7
GROUPS = np.array([[0, 1, 1, 2, 0, 2, 2], [2, 0, 0, 0, 2, 2, 0], [1, 0, 2, 2, 1, 2, 0], [2, 2, 0, 0, 0, 0, 2]])
"""Of four batches: group 1 is absent in two of them, in the last one, too, and group 3 in all."""
LOSSES = RNG.gamma(2.0, 0.5, GROUPS.shape) + np.array([0.5, 2.5, 1.5, 0.0])[GROUPS]
WEIGHTS = RNG.uniform(0.5, 2.0, GROUPS.shape)


def followed(framework, losses, groups, weights=None, decay=DECAY):
    """The state and the tracked moments after the last of these batches."""
    moments = [
        risk.group_moments(x, ids, NUM_GROUPS, weights=None if weights is None else weights[at])
        for at, (x, ids) in enumerate(zip(losses, groups, strict=True))
    ]
    state, tracked = tracking.init(moments[0]), None
    for m in moments:
        state, tracked = tracking.step(state, m, decay=decay)
    return state, tracked, moments[-1]


@pytest.mark.parametrize("with_weights", [False, True])
def test_they_are_those_of_all_records_that_weigh_less_with_age(framework, with_weights):
    age = DECAY ** np.arange(len(GROUPS))[::-1, None]
    share = age * (WEIGHTS if with_weights else 1) * np.ones(GROUPS.shape)
    wanted = loop_moments(LOSSES.reshape(-1), GROUPS.reshape(-1), NUM_GROUPS, weights=share.reshape(-1))
    with framework.precise():
        losses, groups, _, weights = framework.arrays(LOSSES, GROUPS, None, WEIGHTS, dtype="float64")
        state, tracked, _ = followed(framework, losses, groups, weights if with_weights else None)
        for found in (state, tracked):
            assert isinstance(found.mean, framework.kind)
            assert framework.dtype_of(found.mean) == "float64"
            assert_moments(found, wanted, rtol=1e-12, framework=framework)


def referee(case, losses, groups, decay=DECAY, weight=3.0):
    """The slope in the last batch's losses: dP/dT_g by differences, m2's by the docstring's formula, and the mean risk's."""
    _, tracked, m = followed(None, losses, groups, decay=decay)
    options = {**options_of(tracked, case), "reduce": "none", "weight": weight}

    def slopes(name):
        found, step = [], 1e-5
        for group in range(NUM_GROUPS):
            move = step * (np.arange(NUM_GROUPS) == group)
            ends = [tracked._replace(**{name: getattr(tracked, name) + sign * move}) for sign in (1, -1)]
            up, down = (
                risk.objective(end, **options, **({"scales": end} if case.endswith("irm") else {})) for end in ends
            )
            found.append((up - down) / (2 * step))
        return np.array(found)

    total, square, own = tracked.count, tracked.square, m.count
    with np.errstate(all="ignore"):
        ratio = np.where(own > 1, (total - square / total) * total / square / (own - 1), 0)
    of_mean, of_m2 = slopes("mean") + (own > 0) / (own > 0).sum(), slopes("m2") * ratio
    return (of_mean / np.maximum(own, 1))[groups[-1]] + 2 * of_m2[groups[-1]] * (losses[-1] - m.mean[groups[-1]])


@pytest.mark.parametrize("case", CASES)
def test_the_slope_is_the_penaltys_at_the_tracked_risks(differentiable, case):
    def value(last, before, groups):
        losses = [*(before[at] for at in range(len(GROUPS) - 1)), last]
        _, tracked, m = followed(differentiable, losses, [groups[at] for at in range(len(GROUPS))])
        options = {**options_of(m, case), "weight": 3.0}
        own = {"scales": tracked} if case.endswith("irm") else {"tracked": tracked}
        return risk.objective(m, **options, **own)

    wanted = referee(case, LOSSES, GROUPS)
    with differentiable.precise():
        losses, groups, *_ = differentiable.arrays(LOSSES, GROUPS, dtype="float64")
        found = differentiable.gradient(value, losses[-1], losses[:-1], groups)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_micro_batches_add_up_with_them(framework, case):
    parts = (slice(0, 3), slice(3, 4), slice(4, 7))
    with framework.precise():
        losses, groups, *_ = framework.arrays(LOSSES, GROUPS, dtype="float64")
        _, tracked, m = followed(framework, losses, groups)
        options = {**options_of(m, case), "weight": 3.0}
        found = []
        for part in parts:
            x, ids = losses[-1][part], groups[-1][part]
            if case.endswith("irm"):
                of_risk = risk.record_weights(x, ids, m, penalty="none")
                more = risk.record_weights(x, ids, m, **options, reduce="none", tracked=tracked)
                found.append(framework.numpy(of_risk + more))
            else:
                found.append(framework.numpy(risk.record_weights(x, ids, m, **options, tracked=tracked)))
    np.testing.assert_allclose(np.concatenate(found), referee(case, LOSSES, GROUPS), rtol=1e-6, atol=1e-8)


def twice(framework, case):
    """The objective after two batches with decay 0, and of the second alone."""

    def after(x, before, groups):
        _, tracked, m = followed(framework, [before, x], [groups, groups], decay=0.0)
        own = {"scales": tracked} if case.endswith("irm") else {"tracked": tracked}
        return risk.objective(m, **{**options_of(m, case), "weight": 3.0}, **own)

    def alone(x, before, groups):
        return objective_of(risk.group_moments(x, groups, NUM_GROUPS), case, weight=3.0)

    ids = np.array([0, 1, 2, 3, 3, 2, 1, 0, 0])
    first, second = np.random.default_rng(1).gamma(2.0, 0.5, (2, 9)) + ids
    return after, alone, (framework.array(second), framework.array(first), framework.array(ids, "int32"))


def assert_same(framework, found, wanted):
    for got, want in zip(found, wanted, strict=True):
        want = framework.numpy(want)
        np.testing.assert_allclose(framework.numpy(got), want, rtol=1e-4, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("case", CASES)
def test_with_decay_0_and_all_groups_there_it_is_the_batch_alone(differentiable, case):
    after, alone, arrays = twice(differentiable, case)
    both = differentiable.modes[differentiable.quick]
    assert_same(differentiable, both(after)(*arrays), both(alone)(*arrays))


def agree_compiled(framework, modes):
    """Each mode's values and slopes are those of the quick one."""
    after, alone, arrays = twice(framework, "variance")
    wanted = framework.modes[framework.quick](alone)(*arrays)
    for mode in modes:
        assert_same(framework, framework.modes[mode](after)(*arrays), wanted)


@pytest.mark.parametrize(
    ("name", "mode"), [("jax", "eager"), pytest.param("tensorflow", "function", marks=MARKS["tensorflow"])]
)
def test_compiled_or_not_it_is_the_same(name, mode):
    agree_compiled(use(name), [mode])


@pytest.mark.torch
def test_under_torch_compile_it_is_the_same():
    pytest.importorskip("torch", reason="torch is not installed")
    assert_runs_alone("from tests.risk.test_tracking import *; agree_compiled(use('torch'), ['compile', 'aot'])")


SIMULATIONS, BATCHES = 40_000, 5
SIZES = np.array([2, 3, 7])
NOISE, MEANS, MOVES, GROWTH = (
    np.array(x) for x in ((1.0, 2.0, 0.5), (1.0, 1.4, 1.7), (0.3, -0.5, 0.2), (0.5, 1.0, 0.8))
)


@jax.jit
def simulated(key):
    """Of many histories with resting parameters: value and slope of both penalties, debiased and plain.

    The losses are mean + move x + noise (1 + growth x) z at the parameter x = 0, the noise skewed: its variance moves, too.
    """
    ids = jnp.asarray(np.repeat(np.arange(3), SIZES))

    def one(key):
        z = jax.random.exponential(key, (BATCHES, len(ids))) - 1

        def values(x):
            spread = jnp.asarray(NOISE, jnp.float32) * (1 + jnp.asarray(GROWTH, jnp.float32) * x)
            mean = jnp.asarray(MEANS, jnp.float32) + jnp.asarray(MOVES, jnp.float32) * x
            losses = mean[ids][None] + spread[ids][None] * z
            moments = [risk.group_moments(losses[at], ids, 3) for at in range(BATCHES)]
            state = tracking.init(moments[0])
            for m in moments:
                state, tracked = tracking.step(state, m, decay=DECAY)
            return jnp.stack([f(tracked, debiased=d) for f in (risk.variance, risk.irm) for d in (True, False)])

        return values(0.0), jax.jacfwd(values)(0.0)

    return jax.lax.map(one, jax.random.split(key, SIMULATIONS), batch_size=2000)


def test_debiased_values_and_slopes_are_the_truth_and_the_plain_ones_exceed_it_by_the_formula():
    values, slopes = (np.asarray(x, np.float64) for x in simulated(jax.random.key(0)))
    gap, move = MEANS - MEANS.mean(), MOVES - MOVES.mean()
    truth = [(gap**2).mean(), (MEANS**2).mean()]
    truth_slope = [2 * (gap * move).mean(), 2 * (MEANS * MOVES).mean()]
    ages = DECAY ** np.arange(BATCHES)
    total, square = SIZES * ages.sum(), SIZES * (ages**2).sum()
    noise, noise_slope = NOISE**2 * square / total**2, 2 * NOISE**2 * GROWTH / total
    for row, shares in ((0, 2 / 9), (1, 1 / 3)):
        assert_mean(values[:, 2 * row], truth[row])
        assert_mean(values[:, 2 * row + 1], truth[row] + shares * noise.sum())
        assert_mean(slopes[:, 2 * row], truth_slope[row])
        assert_mean(slopes[:, 2 * row + 1], truth_slope[row] + shares * noise_slope.sum())
        # What is told apart is larger than what chance leaves.
        assert shares * noise_slope.sum() > 6 * slopes[:, 2 * row + 1].std() / SIMULATIONS**0.5


def test_the_risks_are_less_noisy_the_longer_the_memory():
    def noise(decay):
        rng, ids = np.random.default_rng(0), np.repeat([0, 1], 8)
        state, found = None, []
        for _ in range(300):
            m = risk.group_moments(rng.normal(ids, 1.0), ids, 2)
            state, tracked = tracking.step(state or tracking.init(m), m, decay=decay)
            found.append(tracked.mean[1] - tracked.mean[0])
        return np.std(found[100:])

    # (1 - decay) / (1 + decay) of the variance is left.
    assert 0.15 < noise(0.9) / noise(0.0) < 0.32


def test_a_group_that_stays_away_keeps_its_risk_and_comes_back(framework):
    both = framework.moments([1.0, 3.0, 10.0, 14.0], [0, 0, 1, 1], 2)
    state, _ = tracking.step(tracking.init(both), both, decay=0.5)
    one = framework.moments([2.0, 6.0], [0, 0], 2)
    step = framework.values(lambda state, m: tracking.step(state, m, decay=0.5))
    for _ in range(200):  # 0.5^200 is no float32
        state, tracked = step(state, one)
    np.testing.assert_allclose(framework.numpy(tracked.mean), [4, 12])
    np.testing.assert_allclose(framework.numpy(risk.variance(tracked, debiased=False)), 16)  # still compared
    for debiased in (True, False):
        assert np.isfinite(framework.numpy(risk.variance(tracked, debiased=debiased)))
        assert np.isfinite(framework.numpy(risk.irm(tracked, debiased=debiased)))
    _, tracked = step(state, framework.moments([2.0, 6.0, 20.0, 24.0], [0, 0, 1, 1], 2))
    np.testing.assert_allclose(framework.numpy(tracked.mean), [4, 22], rtol=1e-5)


@pytest.mark.parametrize("weight", [1e-8, 1.0, 1e8])
def test_how_large_the_weights_are_does_not_matter(framework, weight):
    def moments(losses, groups):
        return framework.moments(losses, groups, 2, weights=weight * np.ones(len(losses)))

    state, _ = tracking.step(
        tracking.init(moments([1.0], [0])), moments([1.0, 3.0, 10.0, 14.0], [0, 0, 1, 1]), decay=0.5
    )
    step = framework.values(lambda state, m: tracking.step(state, m, decay=0.5))
    for _ in range(60):
        state, _ = step(state, moments([2.0, 6.0], [0, 0]))
    _, tracked = step(state, moments([2.0, 6.0, 20.0, 24.0], [0, 0, 1, 1]))
    np.testing.assert_allclose(framework.numpy(tracked.mean), [4, 22], rtol=1e-5)


def test_a_risk_that_is_not_finite_is_told_and_not_remembered(framework):
    good = framework.moments([1.0, 3.0, 10.0, 14.0], [0, 0, 1, 1], 2)
    state, _ = tracking.step(tracking.init(good), good)
    for bad in (np.nan, np.inf):
        after, tracked = tracking.step(state, framework.moments([1.0, 3.0, 10.0, bad], [0, 0, 1, 1], 2))
        assert not np.isfinite(framework.numpy(tracked.mean)[1])
        np.testing.assert_allclose(framework.numpy(after.mean), [2, 12])
        assert np.isfinite(framework.numpy(after.m2)).all()


def test_what_cannot_be_tracked_is_refused(framework):
    m = framework.moments([1.0, 3.0, 10.0], [0, 0, 1], 2)
    state = tracking.init(m)
    for match, call in (
        ("decay is 1.0; expected a Python number", lambda: tracking.step(state, m, decay=1.0)),
        ("decay is -0.1", lambda: tracking.step(state, m, decay=-0.1)),
        ("decay is '0.9'", lambda: tracking.step.__wrapped__(state, m, decay="0.9")),
        ("decay is nan", lambda: tracking.step(state, m, decay=float("nan"))),
        ("state has shape .*5.* and m .*2", lambda: tracking.step(tracking.init(framework.moments([1.0], [0], 5)), m)),
        (
            "scales has 1 groups and m 2",
            lambda: risk.objective(m, penalty="irm", scales=framework.moments([1.0], [0], 1)),
        ),
        ("tracked has shape", lambda: risk.objective(m, tracked=framework.moments([1.0], [0], 1))),
        ("track their moments", lambda: risk.objective(m, penalty="irm", scales=m, tracked=state)),
        ("same .*group", lambda: tracking.step(tracking.init(framework.moments([1.0], [0], 1)), m)),
    ):
        with pytest.raises(risk.RiskError, match=match):
            call()
