import inspect
from functools import reduce

import numpy as np
import pytest

from tests.risk.conftest import assert_moments
from worldrex import risk
from worldrex.risk import group_dro
from worldrex.risk.moments import GroupMoments

RNG = np.random.default_rng(0)


def moments(framework, mean, count=None, dtype="float32"):
    count = np.ones_like(mean, float) if count is None else count
    mean = np.where(np.asarray(count) > 0, mean, 0)
    return GroupMoments(*(framework.array(x, dtype) for x in (count, mean, np.zeros_like(mean, float))))


def test_it_starts_with_equal_weights(framework):
    state = group_dro.init(moments(framework, np.ones((2, 4)), np.array([[1, 0, 2, 3], [0, 0, 0, 1]])))
    assert isinstance(state.log_q, framework.kind)
    np.testing.assert_allclose(np.exp(framework.numpy(state.log_q)), np.full((2, 4), 0.25), rtol=1e-6)


def test_a_step_is_the_papers(framework):
    q = np.full(4, 0.25)
    state = group_dro.init(moments(framework, np.ones(4)))
    for _ in range(5):
        risks = RNG.gamma(2, 1, 4)
        state, info = group_dro.step(state, moments(framework, risks), eta=0.3)
        q = q * np.exp(0.3 * risks)
        q = q / q.sum()
        np.testing.assert_allclose(framework.numpy(info.q), q, rtol=1e-5)
        np.testing.assert_allclose(framework.numpy(info.risk), (q * risks).sum(), rtol=1e-5)
        np.testing.assert_allclose(np.exp(framework.numpy(state.log_q)), q, rtol=1e-5)


def test_absent_groups_keep_their_weight_and_the_present_share_the_rest(framework):
    state = group_dro.State(framework.array(np.log([0.1, 0.2, 0.3, 0.4])))
    m = moments(framework, np.array([1.0, 9.0, 3.0, 9.0]), np.array([2, 0, 5, 0]))
    raised = np.array([0.1, 0.3]) * np.exp([1.0, 3.0])
    wanted = 0.4 * raised / raised.sum()
    state, info = group_dro.step(state, m, eta=1.0)
    np.testing.assert_allclose(framework.numpy(info.q), [wanted[0], 0.2, wanted[1], 0.4], rtol=1e-6)
    risk_ = (wanted * [1, 3]).sum() / 0.4
    np.testing.assert_allclose(framework.numpy(info.risk), risk_, rtol=1e-6)
    # The objective is that risk, at weight 1.
    value = risk.objective(m, penalty="group_dro", state=state)
    np.testing.assert_allclose(framework.numpy(value), risk_, rtol=1e-6)
    same, info = group_dro.step(state, moments(framework, np.zeros(4), np.zeros(4)))
    np.testing.assert_array_equal(framework.numpy(same.log_q), framework.numpy(state.log_q))
    assert framework.numpy(info.risk) == 0


def test_ten_thousand_steps_lose_no_weight(framework):
    # The last group's weight falls to e^-30,000, which no float holds, and comes back.
    worse, better = (moments(framework, np.array([x])) for x in ([3.0, 2.0, 0.0], [0.0, 0.0, 3.0]))
    steps = 10_000 if framework.name in ("numpy", "jax") else 1_000  # whose calls take long

    def ten(state, m):
        for _ in range(10):
            state, info = group_dro.step(state, m, eta=10_000 / steps)
        return state, info

    ten = framework.values(ten)
    state = group_dro.init(worse)
    for _ in range(steps // 10):
        state, info = ten(state, worse)
    np.testing.assert_allclose(framework.numpy(state.log_q), [[0, -10_000, -30_000]], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(framework.numpy(info.q), [[1, 0, 0]], atol=1e-6)
    state, info = group_dro.step(state, better, eta=10_100.0)
    np.testing.assert_allclose(framework.numpy(info.q), [[0, 0, 1]], atol=1e-6)


def test_weights_add_up_to_1_with_other_groups_absent_at_each_step(framework):
    state = group_dro.init(moments(framework, np.zeros((3, 5))))
    step = framework.values(lambda state, m: group_dro.step(state, m, eta=0.2))
    for _ in range(200):
        m = moments(framework, RNG.gamma(2, 5, (3, 5)), RNG.integers(0, 2, (3, 5)))
        state, info = step(state, m)
    np.testing.assert_allclose(framework.numpy(info.q).sum(-1), 1, rtol=1e-4)


def test_one_step_for_the_merged_moments_and_not_one_for_each_micro_batch():
    losses, groups = RNG.gamma(2, 1, 40), RNG.integers(0, 4, 40)
    whole = risk.group_moments(losses, groups, 4)
    parts = [risk.group_moments(losses[part], groups[part], 4) for part in np.split(np.arange(40), 4)]
    merged = reduce(risk.merge, parts)
    assert_moments(merged, whole, rtol=1e-12)
    start = group_dro.init(whole)
    wanted = group_dro.step(start, whole, eta=3.0)[0].log_q
    np.testing.assert_allclose(group_dro.step(start, merged, eta=3.0)[0].log_q, wanted, rtol=1e-12)
    often = start
    for part in parts:
        often, _ = group_dro.step(often, part, eta=3.0)
    assert np.abs(often.log_q - wanted).max() > 0.5


def test_no_gradient_flows_through_a_step(differentiable):
    groups = differentiable.array([0, 0, 1, 1, 2], "int32")
    start = group_dro.init(moments(differentiable, np.zeros(4)))

    def info_and_state(x):
        m = risk.group_moments(x, groups, 4)
        state, info = group_dro.step(start, m, eta=1.0)
        return info.risk + info.q.sum() + state.log_q.sum() if differentiable.name != "tensorflow" else info.risk

    def value(x):
        m = risk.group_moments(x, groups, 4)
        state, _ = group_dro.step(start, m, eta=1.0)
        return risk.objective(m, penalty="group_dro", state=state) + 0 * info_and_state(x)

    x = differentiable.array([1.0, 2.0, 3.0, 4.0, 1.0])
    # Only the weighted risk's own gradient: q_g / n_g over the present groups.
    q = np.exp([1.5, 3.5, 1.0])
    q = q / q.sum()
    np.testing.assert_allclose(differentiable.gradient(value, x), q[[0, 0, 1, 1, 2]] / [2, 2, 2, 2, 1], rtol=1e-5)
    if differentiable.name != "torch":  # which has no gradient to ask for
        np.testing.assert_array_equal(differentiable.gradient(info_and_state, x), 0)


def test_without_a_state_it_says_what_to_give():
    with pytest.raises(risk.RiskError, match=r"state=group_dro\.init"):
        risk.penalty_value(risk.group_moments(np.ones(2), np.zeros(2, int), 2), "group_dro")


def test_a_batch_that_is_not_finite_leaves_the_weights_sound():
    losses, groups = np.array([1.0, 2.0, 3.0, np.inf]), np.array([0, 0, 1, 1])
    m = risk.group_moments(losses, groups, 2)
    state, info = risk.group_dro.step(risk.group_dro.init(m), m, eta=0.5)
    np.testing.assert_allclose(info.q, [0.5, 0.5])
    with pytest.raises(risk.RiskError, match=r"eta is -1\.0"):
        risk.group_dro.step(state, m, eta=-1.0)
    with pytest.raises(risk.RiskError, match="eta is 'small'; expected a Python number"):
        inspect.unwrap(risk.group_dro.step)(state, m, eta="small")  # past the annotations that tests enforce
