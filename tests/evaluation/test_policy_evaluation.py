import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dynamics.made_up import TRUTH, linear_model
from worldrex.evaluation import evaluate_in_model
from worldrex.evaluation.policy_evaluation import over_members

GAIN = np.array([0.3, 0.8])
STEPS = 12
STARTS = np.random.default_rng(0).normal((1.0, 0.5), size=(400, 2)).astype(np.float32)


def law(obs: jax.Array, key: jax.Array) -> jax.Array:
    """action = -GAIN obs + noise."""
    return -(obs @ jnp.asarray(GAIN, jnp.float32))[:, None] + 0.5 * jax.random.normal(key, (obs.shape[0], 1))


def known_returns(weight: np.ndarray) -> np.ndarray:
    """Expected return from each of `STARTS`: all is linear, so that noise changes no mean."""
    closed = weight[:2] - np.outer(GAIN, weight[2])
    obs, total = STARTS.astype(float), np.zeros(len(STARTS))
    for _ in range(STEPS):
        told = obs @ closed
        obs, total = obs + told[:, :2], total + told[:, 2]
    return total


def test_the_return_of_a_linear_system_is_found():
    told = evaluate_in_model(linear_model(TRUTH, TRUTH, std=0.2), law, STARTS, STEPS)
    true = known_returns(TRUTH)
    assert told.returns.shape == (2, 400)
    assert told.estimate.value == pytest.approx(true.mean(), abs=0.15)
    assert told.estimate.low < true.mean() < told.estimate.high
    assert told.cut == 0
    assert np.corrcoef(told.returns.mean(0), true)[0, 1] > 0.8


def test_each_member_tells_what_its_own_system_returns():
    """A rollout that changed its member from step to step would blend them."""
    other = TRUTH + np.array([[0, 0, 0.3], [0.1, 0.1, 0.1], [0, 0, 0]])
    told = evaluate_in_model(linear_model(TRUTH, other, std=0.05), law, STARTS, STEPS)
    for returns, weight in zip(told.returns, (TRUTH, other), strict=True):
        assert returns.mean() == pytest.approx(known_returns(weight).mean(), abs=0.15)
    assert abs(known_returns(other).mean() - known_returns(TRUTH).mean()) > 0.5


def test_only_elites_are_asked():
    model = linear_model(TRUTH, 5 * TRUTH, std=0.05)._replace(elites=np.array([0]))
    assert evaluate_in_model(model, law, STARTS, STEPS).returns.shape == (1, 400)


def test_the_interval_holds_a_truth_that_is_drawn_as_the_members_are():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(1000):
        effect_of_start = rng.normal(size=30)
        truth, *members = 2.0 * rng.normal(size=6)
        told = over_members(np.array(members)[:, None] + 3 * effect_of_start + 0.1 * rng.normal(size=(5, 30)))
        held.append(told.low < truth < told.high)
    assert 0.93 < np.mean(held) < 0.975


def test_more_members_that_disagree_do_not_make_it_narrow_and_more_starts_do():
    rng = np.random.default_rng(2)

    def width(members: int, starts: int, disagreement: float) -> float:
        values = disagreement * rng.normal(size=(members, 1)) + rng.normal(size=starts)
        told = over_members(values)
        return told.high - told.low

    assert width(200, 5000, 1.0) == pytest.approx(2 * 1.97, rel=0.15)
    assert width(5, 5000, 0.0) == pytest.approx(2 * 1.96 / np.sqrt(5000), rel=0.05)
    assert width(1, 400, 1.0) == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert width(1, 1, 1.0) == 0


def test_a_rollout_that_is_not_finite_is_cut_and_counted():
    told = evaluate_in_model(linear_model(TRUTH, np.full((3, 3), 1e30)), law, STARTS[:4], STEPS)
    assert told.cut == 4
    assert np.isfinite(told.returns).all()
