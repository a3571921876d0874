from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from worldrex.policy import sac
from worldrex.policy.networks import apply_actor, apply_critics, squashed
from worldrex.policy.replay import Batch
from worldrex.policy.sac import SACConfig, SACInfo, SACState

CONFIG = SACConfig(hidden=(16, 16), batch=32, learning_rate=1e-2)


def batch_of(reward: float = 1.0, *, terminated: float = 0.0, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    obs, after = rng.normal(size=(2, CONFIG.batch, 3)).astype(np.float32)
    action = rng.uniform(-1, 1, (CONFIG.batch, 2)).astype(np.float32)
    return Batch(*map(jnp.asarray, (obs, action, np.full(CONFIG.batch, reward, np.float32), after,
                                    np.full(CONFIG.batch, terminated, np.float32))))  # fmt: skip


def state_of(config: SACConfig = CONFIG) -> SACState:
    return sac.init(3, 2, config, key=jax.random.key(0))


step = jax.jit(sac.step, static_argnames="config")


@partial(jax.jit, static_argnames=("config", "count"))
def steps(state: SACState, batch: Batch, config: SACConfig, count: int) -> tuple[SACState, SACInfo]:
    def one(state: SACState, number: Array) -> tuple[SACState, SACInfo]:
        return sac.step(state, batch, config, key=jax.random.fold_in(jax.random.key(1), number))

    return jax.lax.scan(one, state, jnp.arange(count))


def test_the_target_of_the_critics_is_the_soft_bellman_target():
    """Written out again for three critics, from a state whose target critics are other than its critics."""
    config = replace(CONFIG, critics=3)
    state, batch = state_of(config), batch_of()
    state = state._replace(target=jax.tree.map(lambda x: x + 0.1, state.critics), log_temperature=jnp.float32(-1.0))
    batch = batch._replace(terminated=jnp.arange(CONFIG.batch, dtype=jnp.float32) % 2)
    noise, next_noise = jax.random.normal(jax.random.key(5), (2, *batch.action.shape))
    told = apply_actor(state.actor, batch.next_obs)
    after, log_prob = squashed(told, next_noise)
    future = apply_critics(state.target, batch.next_obs, after).min(0) - np.exp(-1.0) * log_prob
    target = batch.reward + 0.99 * (1 - batch.terminated) * future
    errors = apply_critics(state.critics, batch.obs, batch.action) - target[None]
    _, info = step(state, batch, config, key=jax.random.key(5))
    assert info.critic_loss == pytest.approx(float(jnp.square(errors).mean()), rel=1e-4)
    own = squashed(apply_actor(state.actor, batch.obs), noise)[1]
    assert info.entropy == pytest.approx(-float(own.mean()), rel=1e-4)
    assert info.temperature == pytest.approx(np.exp(-1.0), rel=1e-5)


def test_the_value_of_a_constant_reward_is_learned():
    """Episodes that end at once are worth their reward; critics that look beyond would say more."""
    state, info = steps(state_of(), batch_of(3.0, terminated=1.0), CONFIG, 500)
    assert info.value[-1] == pytest.approx(3, abs=0.05)
    targets = apply_critics(state.target, batch_of().obs, batch_of().action)
    assert targets.mean() == pytest.approx(2.6, abs=0.2), "they follow slowly"


def test_the_target_critics_go_tau_of_the_way():
    state = state_of()
    state = state._replace(target=jax.tree.map(jnp.zeros_like, state.target))
    after, _ = step(state, batch_of(), CONFIG, key=jax.random.key(0))
    for target, critics in zip(jax.tree.leaves(after.target), jax.tree.leaves(after.critics), strict=True):
        np.testing.assert_allclose(target, 0.005 * np.asarray(critics), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(("target", "rises"), [(5.0, True), (-50.0, False)])
def test_the_temperature_moves_towards_the_target_entropy(target: float, rises: bool):
    config = SACConfig(hidden=(16,), batch=32, learning_rate=1e-2, target_entropy=target)
    after, info = step(state_of(config), batch_of(), config, key=jax.random.key(0))
    assert (float(info.entropy) < target) == rises
    assert (float(after.log_temperature) > 0) == rises


def test_the_entropy_settles_at_its_target():
    """Minus the actions' dimensions if none is given; where all actions are worth the same, only the temperature matters."""
    for given, wanted in ((None, -2.0), (0.5, 0.5)):
        config = SACConfig(hidden=(16,), batch=32, learning_rate=1e-2, target_entropy=given)
        batch = batch_of(0.0, terminated=1.0)
        batch = batch._replace(reward=-4 * jnp.square(batch.action).sum(-1))
        _, info = steps(state_of(config), batch, config, 3000)
        assert info.entropy[-300:].mean() == pytest.approx(wanted, abs=0.15)


def test_a_batch_that_is_not_finite_changes_nothing_and_is_told():
    state = state_of()
    for column in ("reward", "obs", "next_obs"):
        batch = batch_of()
        value = getattr(batch, column)
        batch = batch._replace(**{column: value.at[(3,) + (0,) * (value.ndim - 1)].set(jnp.inf)})
        after, info = step(state, batch, CONFIG, key=jax.random.key(0))
        assert info.bad == 1
        assert all(np.isfinite(x) for x in info)
        for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
            np.testing.assert_array_equal(old, new)
