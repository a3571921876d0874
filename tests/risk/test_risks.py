import inspect
import math
from statistics import NormalDist

import numpy as np
import pytest

from tests.risk.conftest import differences, loop_moments
from worldrex import risk
from worldrex.risk.moments import GroupMoments
from worldrex.risk.risks import cvar_shares, normal_quantile, standard_quantile

RNG = np.random.default_rng(0)
RISKS = np.array([[3.0, 0.0, 1.0, 7.0, 2.5], [4.0, 4.2, 0.0, 0.0, 9.0]])
COUNT = np.array([[2.0, 0, 1, 3, 4], [1, 2, 0, 0, 5]])
GROUPS = np.array([0, 0, 1, 1, 1, 2, 4, 4, 4, 4])


def moments(framework, mean=RISKS, count=COUNT, dtype="float32"):
    return GroupMoments(*(framework.array(x, dtype) for x in (count, mean, np.zeros_like(count))))


def present(row):
    return RISKS[row][COUNT[row] > 0]


def test_mean_sum_and_pooled(framework):
    m = moments(framework)
    rows = [present(0), present(1)]
    np.testing.assert_allclose(framework.numpy(risk.mean_risk(m)), [x.mean() for x in rows], rtol=1e-6)
    np.testing.assert_allclose(framework.numpy(risk.sum_risk(m)), [x.sum() for x in rows], rtol=1e-6)
    pooled = (COUNT * RISKS).sum(-1) / COUNT.sum(-1)
    np.testing.assert_allclose(framework.numpy(risk.pooled_risk(m)), pooled, rtol=1e-6)


def test_mean_over_models_skips_or_counts_models_without_records(framework):
    count = [[[1, 0, 0], [2, 4, 0]], [[5, 0, 0], [1, 0, 0]]]
    mean = [[[1, 0, 0], [2, 7, 0]], [[3, 0, 0], [6, 0, 0]]]
    m = moments(framework, mean, count)
    np.testing.assert_allclose(framework.numpy(risk.mean_over_models(m)), [3, 7, 0])
    np.testing.assert_allclose(framework.numpy(risk.mean_over_models(m, absent="zero")), [3, 7 / 4, 0])


def test_excess_over_a_baseline_is_that_of_the_losses(framework):
    losses, baseline = RNG.gamma(2, 1, (2, 10)), np.array([0.5, 1.5, -1.0, 3.0, 0.25])
    m = framework.moments(losses, GROUPS, 5)
    for floor in (baseline, np.stack([baseline, 2 * baseline])):
        floors = np.broadcast_to(floor, (2, 5))
        _, mean, m2 = loop_moments(losses - np.take_along_axis(floors, np.tile(GROUPS, (2, 1)), 1), GROUPS, 5)
        for given in (framework.array(floor), floor):
            found = risk.excess(m, given)
            np.testing.assert_allclose(framework.numpy(found.mean), mean, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(framework.numpy(found.m2), m2, rtol=1e-5, atol=1e-6)
            assert framework.numpy(found.mean)[0, 3] == 0, "absent"
    # Groups at their noise floors are equally good.
    at_floor = risk.excess(m, m.mean)
    np.testing.assert_array_equal(framework.numpy(risk.worst_excess(at_floor)), 0)


def worst_share(risks, alpha):
    """CVaR by a sort: the worst alpha K risks, the last of them in part."""
    worst = alpha * len(risks)
    total = 0.0
    for rank, x in enumerate(sorted(risks, reverse=True)):
        total += x * min(max(worst - rank, 0.0), 1.0)
    return total / worst


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.25, 0.3, 0.5, 0.8, 0.99, 1.0])
def test_cvar_is_the_mean_of_a_sort(framework, alpha):
    found = framework.numpy(risk.cvar(moments(framework), alpha=alpha))
    np.testing.assert_allclose(found, [worst_share(present(row), alpha) for row in range(2)], rtol=2e-6)


def test_cvar_goes_from_the_worst_to_the_mean(framework):
    m = moments(framework)
    np.testing.assert_allclose(framework.numpy(risk.cvar(m, alpha=1.0)), framework.numpy(risk.mean_risk(m)), rtol=1e-6)
    for alpha in (0.25, 0.1):
        np.testing.assert_allclose(framework.numpy(risk.cvar(m, alpha=alpha)), [7, 9], rtol=1e-6)
    negative = moments(framework, -np.where(COUNT > 0, RISKS + 1, 0))
    np.testing.assert_allclose(framework.numpy(risk.cvar(negative, alpha=0.1)), [-2, -5], rtol=1e-6)
    # Ties: any of them
    ties = moments(framework, [2.0, 2.0, 2.0, 1.0], [1.0, 1, 1, 1])
    np.testing.assert_allclose(framework.numpy(risk.cvar(ties, alpha=0.5)), 2)


def by_bisection(risks, alpha):
    """The kernel density's quantile in Python floats."""
    spread = np.std(risks, ddof=1)
    width = 1.06 * spread * len(risks) ** -0.2
    low, high = min(risks) - 40 * width, max(risks) + 40 * width
    for _ in range(200):
        middle = (low + high) / 2
        share = np.mean([NormalDist(x, width).cdf(middle) for x in risks])
        low, high = (middle, high) if share < alpha else (low, middle)
    return middle


ALPHAS = (0.01, 0.1, 0.5, 0.75, 0.9, 0.99)


def test_quantile_is_that_of_the_density(framework):
    def each(m):
        return [risk.quantile(m, alpha=a, density=d) for a in ALPHAS for d in ("kernel", "gaussian")]

    with framework.precise():
        found = framework.values(each)(moments(framework, dtype="float64"))
        for at, alpha in enumerate(ALPHAS):
            wanted = [by_bisection(present(row), alpha) for row in range(2)]
            np.testing.assert_allclose(framework.numpy(found[2 * at]), wanted, rtol=1e-7)
            normal = [NormalDist(x.mean(), x.std(ddof=1)).inv_cdf(alpha) for x in (present(0), present(1))]
            np.testing.assert_allclose(framework.numpy(found[2 * at + 1]), normal, rtol=1e-9)


def test_the_quantiles_gradient_is_the_implicit_one(differentiable):
    losses = RNG.gamma(2, 1, (2, 10)) + np.array([0, 2, 0, 0, 5])[GROUPS]

    def value(x, groups, alpha, density):
        return risk.quantile(risk.group_moments(x, groups, 5), alpha=alpha, density=density)

    ids = np.tile(GROUPS, (2, 1))
    alphas = [(a, d) for a in ALPHAS for d in ("kernel", "gaussian")]
    tiled = np.tile(losses, (len(alphas), 1, 1))

    def each(x, groups, stack):
        return stack([value(x[at], groups[at], *options) for at, options in enumerate(alphas)])

    wanted = differences(lambda x, groups: each(x, groups, np.stack), tiled, np.tile(ids, (len(alphas), 1, 1)))
    with differentiable.precise():
        x, groups = differentiable.arrays(tiled, np.tile(ids, (len(alphas), 1, 1)), dtype="float64")[:2]
        got = differentiable.gradient(lambda x: each(x, groups, differentiable.stack), x)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8)
    assert np.abs(wanted[1]).max() > 0.01


def test_the_quantile_of_one_group_or_of_equal_risks_is_their_risk(framework):
    for count in ([0.0, 3, 0], [0.0, 1, 1], [0.0, 0, 0]):
        mean = np.where(np.array(count) > 0, 2.5, 0)
        m = moments(framework, mean, np.array(count))
        for density in ("kernel", "gaussian"):
            for alpha in (0.01, 0.9):
                got = framework.numpy(
                    framework.values(lambda m, a=alpha, d=density: risk.quantile(m, alpha=a, density=d))(m)
                )
                np.testing.assert_allclose(got, 2.5 if sum(count) else 0)


def test_an_alpha_that_is_no_share_or_probability_is_refused():
    m = risk.group_moments(np.arange(4.0), np.arange(4), 4)
    for alpha in (0.0, -0.5, 1.1, math.nan):
        with pytest.raises(risk.RiskError, match=f"alpha is {alpha}; expected a share of the groups"):
            risk.cvar(m, alpha=alpha)
    for alpha in (0.0, 1.0, -0.5, math.nan):
        with pytest.raises(risk.RiskError, match=f"alpha is {alpha}; expected a probability"):
            risk.quantile(m, alpha=alpha)
    # Past the annotations that tests enforce.
    with pytest.raises(risk.RiskError, match="alpha is 'half'; expected a share of the groups: a Python number"):
        inspect.unwrap(cvar_shares)(m, "half")
    with pytest.raises(risk.RiskError, match="alpha is 'half'; expected a probability: a Python number"):
        inspect.unwrap(standard_quantile)(m.mean, m.mean[:1], m.count > 0, m.mean[:1], "half", "kernel")
    with pytest.raises(risk.RiskError, match="unknown density 'box'; expected kernel, gaussian"):
        inspect.unwrap(standard_quantile)(m.mean, m.mean[:1], m.count > 0, m.mean[:1], 0.75, "box")


def test_the_normal_quantile():
    for probability in (1e-300, 1e-9, 0.01, 0.3, 0.5, 0.75, 0.99, 1 - 1e-6):
        wanted = NormalDist().inv_cdf(probability)
        assert normal_quantile(probability) == pytest.approx(wanted, rel=1e-9, abs=1e-15)
