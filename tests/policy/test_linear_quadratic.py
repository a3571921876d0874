"""Soft actor-critic on a world whose best policy is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dynamics.conftest import optimized
from worldrex.policy import MOPOConfig, Policy, PolicyRun, Scales
from worldrex.policy.learning import learn
from worldrex.policy.linear_quadratic import LinearQuadratic
from worldrex.policy.mopo import stacked
from worldrex.policy.programs import Setting
from worldrex.policy.replay import Batch

DISCOUNT = 0.9
WORLD = LinearQuadratic(
    *(
        np.array(x, np.float32)
        for x in ([[1.0, 0.2], [0.0, 0.9]], [[0.0], [0.4]], [[1.0, 0], [0, 0.1]], [[0.1]], [0.05, 0.05])
    )
)
STARTS = np.random.default_rng(0).uniform(-1, 1, (512, 2)).astype(np.float32)


def discounted(gain_or_policy: np.ndarray | Policy, steps: int = 80) -> float:
    """Mean return from the starts, under the same noise for each policy."""
    rng = np.random.default_rng(1)
    a, b, q, r, std = (np.asarray(x, np.float64) for x in WORLD)
    obs, total = STARTS.astype(np.float64), np.zeros(len(STARTS))
    for step in range(steps):
        if isinstance(gain_or_policy, Policy):
            action = np.asarray(gain_or_policy.act(obs), np.float64)
        else:
            action = -obs @ gain_or_policy.T
        cost = np.einsum("no,op,np->n", obs, q, obs) + np.einsum("na,ab,nb->n", action, r, action)
        total -= DISCOUNT**step * cost
        obs = obs @ a.T + action @ b.T + std * rng.normal(size=obs.shape)
    return float(total.mean())


def test_the_best_gain_is_the_best_nearby():
    gain = WORLD.best_gain(DISCOUNT)
    best = discounted(gain)
    for change in np.random.default_rng(0).normal(size=(20, *gain.shape)):
        assert discounted(gain + 0.2 * change) < best


def test_a_step_is_what_the_equations_say():
    obs, action = jnp.array([[1.0, -2.0]]), jnp.array([[0.5]])
    outcome = WORLD._replace(std=np.zeros(2, np.float32)).step(obs, action, key=jax.random.key(0))
    np.testing.assert_allclose(outcome.next_obs, [[1 - 0.4, -1.8 + 0.2]], rtol=1e-6)
    assert outcome.reward[0] == pytest.approx(-(1 + 0.4 + 0.025))
    assert (outcome.uncertainty[0], outcome.terminated[0]) == (0, False)


def test_the_learned_return_is_within_two_percent_of_the_best():
    config = MOPOConfig(
        hidden=(32, 32), batch=128, steps=4000, rollouts=100, horizon=5, rollout_every=20, retain=100, real_ratio=0.0,
        discount=DISCOUNT, learning_rate=3e-3, tau=0.02,
    )  # fmt: skip
    scales = Scales(
        np.zeros(2, np.float32), np.ones(2, np.float32), np.full(1, -4, np.float32), np.full(1, 4, np.float32)
    )
    nothing = Batch(*(jnp.zeros((1, *shape)) for shape in ((2,), (1,), (), (2,), ())))
    setting = Setting(stacked([WORLD]), scales, nothing, STARTS, STARTS)
    with optimized(True):
        found = learn(setting, [PolicyRun(0.0, 0)], config, 20)
    best, learned = discounted(WORLD.best_gain(DISCOUNT)), discounted(found.policies[0])
    assert learned > 1.02 * best, (learned, best)  # both are negative
    assert discounted(np.zeros((1, 2))) < 1.5 * best
