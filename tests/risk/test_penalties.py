import json
from functools import partial
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import CASES, RTOL, Framework, differences, objective_of_each
from worldrex import risk
from worldrex.risk.moments import GroupMoments

SEED_VALUES = Path(__file__).parents[3] / "shared" / "seed" / "values.json"

# Some of the seed notebook's numbers: four models of three records each, and what it printed for them.
NOTEBOOK = {
    "record_losses": [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5], [12.5, 14.5, 16.5], [18.5, 20.5, 22.5]],
    "groups": [[1, 1, 2], [1, 0, 0], [0, 2, 2], [0, 1, 1]],
    "num_groups": 3,
    "counts": [[0, 2, 1], [2, 1, 0], [1, 0, 2], [1, 2, 0]],
    "means_absent_zero": [[0, 1.5, 4.5], [9.5, 6.5, 0], [12.5, 0, 15.5], [18.5, 21.5, 0]],
    "derived_m2": [[0, 2, 0], [2, 0, 0], [0, 0, 2], [0, 2, 0]],
    "derived_mean_over_models_present_only": [13.5, 29.5 / 3, 10],
    "sum_of_risks": [6, 16, 28, 40],
    "derived_mean_of_risks": [3, 8, 14, 20],
    "variance": [2.25] * 4,
    "mean_absolute_deviation": [1.5] * 4,
    "derived_debiased_variance": [1.5] * 4,
    "sum_plus_variance": [8.25, 18.25, 30.25, 42.25],
    "rex_beta": 0.1,
    "derived_sum_plus_beta_variance": [6.225, 16.225, 28.225, 40.225],
    "derived_variance_plus_sum_over_beta": [62.25, 162.25, 282.25, 402.25],
}


def notebook_values():
    if not SEED_VALUES.exists():
        pytest.skip(f"third-party data is not at {SEED_VALUES}")
    return json.loads(SEED_VALUES.read_text())


@pytest.mark.parametrize("values", [lambda: NOTEBOOK, notebook_values], ids=["inline", "file"])
def test_values_of_the_seed_notebook(framework, values):
    values = values()
    beta, plain = values["rex_beta"], {"reduce": "sum", "debiased": False}

    def answers(losses, groups):
        m = risk.group_moments(losses, groups, values["num_groups"])
        return {
            "counts": m.count,
            "means_absent_zero": m.mean,
            "derived_m2": m.m2,
            "derived_mean_over_models_present_only": risk.mean_over_models(m),
            "sum_of_risks": risk.sum_risk(m),
            "derived_mean_of_risks": risk.mean_risk(m),
            "variance": risk.variance(m, debiased=False),
            "derived_debiased_variance": risk.variance(m),
            "mean_absolute_deviation": risk.mean_absolute_deviation(m),
            "sum_plus_variance": risk.objective(m, **plain),
            "derived_sum_plus_beta_variance": risk.objective(m, weight=beta, **plain),
            "derived_variance_plus_sum_over_beta": risk.objective(m, weight=beta, **plain) / beta,
        }

    for dtype in framework.dtypes:
        arrays = framework.array(values["record_losses"], dtype), framework.array(values["groups"], "int32")
        for name, got in framework.quick(answers)(*arrays).items():
            np.testing.assert_allclose(framework.numpy(got), values[name], rtol=RTOL[dtype], err_msg=name)


def test_the_inline_numbers_are_those_of_the_file():
    values = notebook_values()
    for name, inline in NOTEBOOK.items():
        np.testing.assert_allclose(inline, values[name], err_msg=name)


def moments(framework: Framework, count, mean, m2) -> GroupMoments:
    return GroupMoments(*(framework.array(x, "float32") for x in (count, mean, m2)))


def test_each_formula_by_hand_with_an_absent_group(framework):
    # Present risks 1, 2, 6: mean 3, gaps -2, -1, 3. s2 = 8/4, 3/1, and pooled 11/5 for the single record.
    m = moments(framework, [5, 0, 2, 1], [1, 0, 2, 6], [8, 0, 3, 0])
    plain, noise = 14 / 3, 2 / 5 + 3 / 2 + 2.2
    wanted = {
        risk.mean_risk: 3,
        risk.sum_risk: 9,
        risk.pooled_risk: 15 / 8,
        partial(risk.variance, debiased=False): plain,
        risk.variance: plain - 2 / 9 * noise,
        partial(risk.std, debiased=False): np.sqrt(plain),
        risk.std: np.sqrt(plain - 2 / 9 * noise),
        risk.mean_absolute_deviation: 2,
        risk.worst_excess: 3,
    }
    for got, want in zip(framework.quick(lambda m: [f(m) for f in wanted])(m), wanted.values(), strict=True):
        assert framework.numpy(got).shape == ()
        np.testing.assert_allclose(framework.numpy(got), want, rtol=1e-6)


def test_an_absent_group_has_no_say_even_where_all_risks_are_negative(framework):
    with_absent = moments(framework, [[3, 0, 2]], [[-4, 0, -2]], [[1, 0, 1]])
    without = moments(framework, [[3, 2]], [[-4, -2]], [[1, 1]])
    every = product(risk.PENALTIES, ("mean", "sum", "pooled"))
    of_each = framework.quick(lambda m, every=tuple(every): [risk.objective(m, penalty=p, reduce=r) for p, r in every])
    for a, b in zip(of_each(with_absent), of_each(without), strict=True):
        np.testing.assert_allclose(framework.numpy(a), framework.numpy(b), rtol=1e-6)
    np.testing.assert_allclose(framework.numpy(risk.worst_excess(with_absent)), 1)


def test_mean_over_models_leaves_out_models_without_records_of_the_group(framework):
    count = [[[1, 0, 0], [2, 4, 0]], [[5, 0, 0], [1, 0, 0]]]
    mean = [[[1, 0, 0], [2, 7, 0]], [[3, 0, 0], [6, 0, 0]]]
    m = moments(framework, count, mean, np.zeros((2, 2, 3)))
    np.testing.assert_allclose(framework.numpy(risk.mean_over_models(m)), [3, 7, 0])


def test_one_present_group_or_none_has_no_penalty_and_a_finite_gradient(differentiable):
    # One noisy group, one of equal losses, one of a single record, two absent ones: the objective is the risk alone.
    losses = np.array([[0.3, 1.7, 0.1], [0.3, 0.3, 0.3], [0.7, 9.0, 9.0], [1.0, 2.0, 3.0]])
    groups = np.array([[1, 1, 1], [0, 0, 0], [2, 0, 0], [0, 1, 1]])
    mask = np.array([[True] * 3, [True] * 3, [True, False, False], [False] * 3])
    slopes = mask / np.maximum(mask.sum(-1, keepdims=True), 1)
    tile = (len(CASES), 1, 1)
    ids, counted = (
        differentiable.array(np.tile(groups, tile), "int32"),
        differentiable.array(np.tile(mask, tile), "bool"),
    )

    def values(x):
        return objective_of_each(risk.group_moments(x, ids, 3, counted))

    tiled = differentiable.array(np.tile(losses, tile))
    for case, value in zip(CASES, differentiable.quick(values)(tiled), strict=True):
        want = (slopes * losses).sum(-1)
        np.testing.assert_allclose(differentiable.numpy(value), want, rtol=1e-6, err_msg=str(case))
    gradient = differentiable.grad(lambda x: sum(value[row] for value in values(x) for row in range(4)), tiled)
    for case, got in zip(CASES, gradient, strict=True):
        np.testing.assert_allclose(got, slopes, rtol=1e-5, atol=1e-6, err_msg=str(case))


def test_no_present_group_has_no_risk_and_no_gradient(differentiable):
    ids, nothing = differentiable.array([0, 1], "int32"), differentiable.array([False, False], "bool")

    def total(x):
        m = risk.group_moments(x, ids, 3, nothing)
        return risk.objective(m, reduce="mean") + risk.objective(m, reduce="sum") + risk.objective(m, reduce="pooled")

    assert differentiable.numpy(differentiable.quick(total)(differentiable.array([1.0, 2.0]))) == 0
    np.testing.assert_array_equal(differentiable.grad(total, differentiable.array([1.0, 2.0])), 0)


def test_gradients_are_those_of_central_differences(differentiable):
    rng = np.random.default_rng(0)
    groups = np.r_[np.zeros(6, int), np.full(5, 1), 3, 3, 4]
    losses = rng.gamma(2, 1, (len(CASES), 14)) + np.array([0, 2, 0, 5, 3])[groups]

    def total(x, ids):
        return sum(objective_of_each(risk.group_moments(x, ids, 5)))

    assert risk.variance(risk.group_moments(losses, groups, 5)).min() > 0.1
    got = differentiable.grad(lambda x: total(x, differentiable.array(groups, "int32")), differentiable.array(losses))
    expected = differences(lambda x: total(x, groups), losses)
    for row, case in enumerate(CASES):
        np.testing.assert_allclose(got[row], expected[row], rtol=2e-4, atol=2e-5, err_msg=str(case))


@pytest.mark.parametrize("debiased", [True, False])
def test_the_gradient_of_the_standard_deviation_is_0_where_the_variance_is_not_positive(differentiable, debiased):
    # Equal risks: with equal losses both variances are 0, with noisy ones the debiased one is negative.
    losses = differentiable.array([[2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 3.0, 1.0]])
    groups = differentiable.array([0, 0, 1, 1], "int32")

    def value(x):
        return risk.std(risk.group_moments(x, groups, 2), debiased=debiased)

    np.testing.assert_array_equal(differentiable.numpy(differentiable.quick(value)(losses)), 0)
    np.testing.assert_array_equal(differentiable.grad(lambda x: value(x)[0] + value(x)[1], losses), 0)


def test_debiased_variance_may_be_negative(framework):
    m = framework.moments(framework.array([1.0, 3.0, 3.0, 1.0]), framework.array([0, 0, 1, 1], "int32"), 2)
    np.testing.assert_allclose(framework.numpy(risk.variance(m)), -0.5)  # 0 - 1/4 * (2/2 + 2/2)


def test_single_records_alone_leave_the_variance_plain(framework):
    m = framework.moments(framework.array([1.0, 2.0, 6.0]), framework.array([0, 1, 2], "int32"), 3)
    np.testing.assert_allclose(framework.numpy(risk.variance(m)), 14 / 3, rtol=1e-6)


BATCHES = 20_000
COUNTS = np.array([2, 3, 8, 19])
TRUE_RISKS, NOISE = np.array([1.0, 1.3, 0.8, 1.1]), np.array([0.5, 1.0, 2.0, 1.5])


def batches(counts=COUNTS, noise=NOISE, seed=0):
    """Mini-batches of skewed losses, their records in any order: [batch, record] of unit noise, and the groups."""
    rng = np.random.default_rng(seed)
    groups = rng.permuted(np.tile(np.repeat(np.arange(4), counts), (BATCHES, 1)), axis=1)
    return (rng.exponential(size=groups.shape) - 1) * noise[groups], groups


def assert_mean(values, expected):
    """The mean is the expected one within 3 standard errors."""
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - expected) < 3 * error, (np.mean(values), expected, error)


def excess(counts, noise):
    """By how much the plain variance of noisy risks exceeds that of the true ones, on average."""
    return 3 / 16 * (noise**2 / counts).sum()


def test_the_debiased_variance_is_unbiased_and_the_plain_one_is_not():
    noise, groups = batches()
    m = risk.group_moments(TRUE_RISKS[groups] + noise, groups, 4)
    true = np.var(TRUE_RISKS)
    assert_mean(risk.variance(m), true)
    assert_mean(risk.variance(m, debiased=False), true + excess(COUNTS, NOISE))
    assert excess(COUNTS, NOISE) > 3 * true


def test_with_single_records_it_is_unbiased_where_groups_are_equally_noisy():
    counts, level = np.array([1, 1, 8, 5]), np.full(4, 0.8)
    noise, groups = batches(counts, level, seed=1)
    m = risk.group_moments(TRUE_RISKS[groups] + noise, groups, 4)
    assert_mean(risk.variance(m), np.var(TRUE_RISKS))
    assert_mean(risk.variance(m, debiased=False), np.var(TRUE_RISKS) + excess(counts, level))


def test_the_gradient_of_the_debiased_variance_is_unbiased_and_that_of_the_plain_one_is_not():
    # The risks and the noise of each group depend on a parameter x, here 1: risk g x^2 / 4, noise NOISE_g x.
    noise, groups = batches(seed=2)
    slope = jnp.arange(4, dtype=jnp.float32) / 4

    def gradients(debiased):
        def value(x, noise, groups):
            return risk.variance(risk.group_moments(slope[groups] * x**2 + noise * x, groups, 4), debiased=debiased)

        per_batch = jax.jit(jax.vmap(jax.grad(value), (None, 0, 0)))
        return np.asarray(per_batch(1.0, jnp.asarray(noise, jnp.float32), jnp.asarray(groups)), np.float64)

    true = 4 * np.var(np.arange(4) / 4)  # d/dx of var * x^4
    assert_mean(gradients(True), true)
    assert_mean(gradients(False), true + 2 * excess(COUNTS, NOISE))
