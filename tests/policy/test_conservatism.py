import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.policy.test_sac import CONFIG, batch_of, state_of
from worldrex.policy import sac
from worldrex.policy.conservatism import conservative_term
from worldrex.policy.networks import apply_actor, apply_critics, squashed

LOGGED = 12
step = jax.jit(sac.step, static_argnames=("config", "more_loss"))


def test_it_is_what_the_critics_hold_of_the_policy_in_rollouts_less_of_the_log():
    state, batch, key = state_of(), batch_of(), jax.random.key(2)
    noise = jax.random.normal(key, (CONFIG.batch - LOGGED, 2))
    drawn, _ = squashed(apply_actor(state.actor, batch.obs[LOGGED:]), noise)
    rolled = apply_critics(state.critics, batch.obs[LOGGED:], drawn)
    logged = apply_critics(state.critics, batch.obs[:LOGGED], batch.action[:LOGGED])
    expected = 3.0 * (rolled.mean(1) - logged.mean(1)).sum()
    found = conservative_term(state.actor, batch, LOGGED, 3.0, key=key)(state.critics)
    assert found == pytest.approx(float(expected), rel=1e-4)


def test_the_critics_take_it_and_the_loss_that_is_told_does_not():
    """They come to hold more of logged actions than of the policy's."""
    state, batch = state_of(), batch_of()

    def gap(critics: sac.Critics) -> float:
        return float(conservative_term(state.actor, batch, LOGGED, 1.0, key=jax.random.key(2))(critics))

    more = conservative_term(state.actor, batch, LOGGED, 1000.0, key=jax.random.key(2))
    plain, told = step(state, batch, CONFIG, key=jax.random.key(0))
    after, told_too = step(state, batch, CONFIG, key=jax.random.key(0), more_loss=more)
    assert gap(after.critics) < gap(plain.critics) - 0.01
    assert told_too.critic_loss == pytest.approx(float(told.critic_loss), rel=1e-5)


def test_a_term_that_is_not_finite_changes_nothing():
    state = state_of()
    after, told = step(state, batch_of(), CONFIG, key=jax.random.key(0), more_loss=lambda _: jnp.float32(jnp.nan))
    assert told.bad == 1
    for old, new in zip(jax.tree.leaves(state.critics), jax.tree.leaves(after.critics), strict=True):
        np.testing.assert_array_equal(old, new)
