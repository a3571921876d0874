from functools import partial
from itertools import product

import numpy as np
import pytest

from tests.risk.conftest import CASES, Framework, for_each_case, objective_of, objective_of_each
from worldrex import risk
from worldrex.risk.moments import GroupMoments


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
        partial(risk.irm, debiased=False): 41 / 3,
        risk.irm: (1 - 8 / 4 / 5 + 4 - 3 / 2) / 3,
        risk.std: np.sqrt(plain - 2 / 9 * noise),
        risk.mean_absolute_deviation: 2,
        risk.worst_excess: 3,
    }
    for got, want in zip(framework.values(lambda m: [f(m) for f in wanted])(m), wanted.values(), strict=True):
        assert framework.numpy(got).shape == ()
        np.testing.assert_allclose(framework.numpy(got), want, rtol=1e-6)


def test_an_absent_group_has_no_say_even_where_all_risks_are_negative(framework):
    with_absent = moments(framework, [[3, 0, 2]], [[-4, 0, -2]], [[1, 0, 1]])
    without = moments(framework, [[3, 2]], [[-4, -2]], [[1, 1]])
    every = [(case, r) for case, r in product(CASES, ("mean", "sum", "pooled")) if case != "group_dro"]
    of_each = framework.values(lambda m: [objective_of(m, case, reduce=r) for case, r in every])
    for a, b in zip(of_each(with_absent), of_each(without), strict=True):
        np.testing.assert_allclose(framework.numpy(a), framework.numpy(b), rtol=1e-6)
    np.testing.assert_allclose(framework.numpy(risk.worst_excess(with_absent)), 1)


def test_one_present_group_or_none_has_no_penalty_and_a_finite_gradient(differentiable):
    # One noisy group, one of equal losses, one of a single record, two absent ones: the objective is the risk alone.
    losses = np.array([[0.3, 1.7, 0.1], [0.3, 0.3, 0.3], [0.7, np.nan, 9.0], [1.0, np.inf, 3.0]])
    groups = np.array([[1, 1, 1], [0, 0, 0], [2, 0, 0], [0, 1, 1]])
    mask = np.array([[True] * 3, [True] * 3, [True, False, False], [False] * 3])
    slopes = mask / np.maximum(mask.sum(-1, keepdims=True), 1)

    def values(x, groups, mask):
        return differentiable.stack(objective_of_each(risk.group_moments(x, groups, 3, mask)))

    arrays = differentiable.arrays(*map(for_each_case, (losses, groups, mask)))[:3]
    value, gradient = map(differentiable.numpy, differentiable.modes[differentiable.quick](values)(*arrays))
    assert np.isfinite(gradient).all()
    for row, case in enumerate(CASES):
        if "irm" not in case:  # whose d_g^2 one group has too
            want = (slopes * np.where(mask, losses, 0)).sum(-1)
            np.testing.assert_allclose(value[row], want, rtol=1e-6, err_msg=case)
            np.testing.assert_allclose(gradient[row], slopes, rtol=1e-5, atol=1e-6, err_msg=case)


def test_no_present_group_has_no_risk_and_no_gradient(differentiable):
    ids, nothing = differentiable.array([0, 1], "int32"), differentiable.array([False, False], "bool")

    def total(x):
        m = risk.group_moments(x, ids, 3, nothing)
        return risk.objective(m, reduce="mean") + risk.objective(m, reduce="sum") + risk.objective(m, reduce="pooled")

    assert differentiable.numpy(total(differentiable.array([1.0, 2.0]))) == 0
    np.testing.assert_array_equal(differentiable.gradient(total, differentiable.array([1.0, 2.0])), 0)


@pytest.mark.parametrize("debiased", [True, False])
def test_the_gradient_of_the_standard_deviation_is_0_where_the_variance_is_not_positive(differentiable, debiased):
    # Equal risks: with equal losses both variances are 0, with noisy ones the debiased one is negative.
    losses = differentiable.array([[2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 3.0, 1.0]])
    groups = differentiable.array([0, 0, 1, 1], "int32")

    def value(x):
        return risk.std(risk.group_moments(x, groups, 2), debiased=debiased)

    np.testing.assert_array_equal(differentiable.numpy(value(losses)), 0)
    np.testing.assert_array_equal(differentiable.gradient(lambda x: value(x)[0] + value(x)[1], losses), 0)


def test_debiased_variance_may_be_negative(framework):
    m = framework.moments(framework.array([1.0, 3.0, 3.0, 1.0]), framework.array([0, 0, 1, 1], "int32"), 2)
    np.testing.assert_allclose(framework.numpy(risk.variance(m)), -0.5)  # 0 - 1/4 * (2/2 + 2/2)


def test_single_records_alone_leave_the_variance_plain(framework):
    m = framework.moments(framework.array([1.0, 2.0, 6.0]), framework.array([0, 1, 2], "int32"), 3)
    np.testing.assert_allclose(framework.numpy(risk.variance(m)), 14 / 3, rtol=1e-6)


def test_irm_is_the_mean_product_of_two_different_records(framework):
    derivatives, groups = np.random.default_rng(0).normal(1, 1, (3, 12)), np.array([0] * 5 + [1] * 2 + [3] * 4 + [4])
    wanted = np.zeros(3)
    for group in (0, 1, 3):
        own = derivatives[:, groups == group]
        n = own.shape[1]
        wanted += (own.sum(1) ** 2 - (own**2).sum(1)) / (n * (n - 1))
    m = framework.moments(derivatives, groups, 5)
    np.testing.assert_allclose(framework.numpy(risk.irm(m)), wanted / 4, rtol=1e-4, atol=1e-6)
    # or of the means of two halves, over all the ways to halve
    own = derivatives[0, groups == 3]
    pairs = [own[[0, i]].mean() * np.delete(own, [0, i]).mean() for i in (1, 2, 3)]
    alone = risk.irm(risk.group_moments(own, np.zeros(4, int), 1))
    np.testing.assert_allclose(alone, np.mean(pairs))
