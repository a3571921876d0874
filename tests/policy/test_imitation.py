from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.policy.test_family import CONFIG as TRAP_CONFIG
from tests.policy.test_family import action_in_trap
from tests.policy.test_sac import CONFIG, batch_of, state_of
from worldrex.policy import sac
from worldrex.policy.imitation import imitation_term
from worldrex.policy.networks import Actor, apply_actor, apply_critics, squashed

LOGGED = 12
step = jax.jit(sac.step, static_argnames=("config", "more_actor_loss"))


def miss(actor: Actor) -> float:
    batch = batch_of()
    middle = np.tanh(np.asarray(apply_actor(actor, batch.obs[:LOGGED]).mean, np.float64))
    return float(((middle - np.asarray(batch.action[:LOGGED])) ** 2).mean())


def test_it_is_the_distance_from_the_logged_actions_in_units_of_the_values():
    state, batch = state_of(), batch_of()
    values = jnp.array([-3.0, 1.0])
    found = imitation_term(batch, LOGGED, 0.4)(state.actor, values)
    assert found == pytest.approx(0.4 * 2.0 * miss(state.actor), rel=1e-4)


def test_no_gradient_comes_of_the_size_of_the_values():
    """Or the actor would be paid for actions of little worth."""
    state, batch = state_of(), batch_of()
    slope = jax.grad(lambda values: imitation_term(batch, LOGGED, 0.4)(state.actor, values))(jnp.array([-3.0, 1.0]))
    np.testing.assert_array_equal(slope, 0)


def test_the_actor_takes_it_and_the_critics_do_not():
    """It is told the worth of the actor's own draws, by the updated critics."""
    state, batch = state_of(), batch_of()
    plain, _ = step(state, batch, CONFIG, key=jax.random.key(0))
    near, _ = step(state, batch, CONFIG, key=jax.random.key(0), more_actor_loss=imitation_term(batch, LOGGED, 1e6))
    assert miss(near.actor) < miss(plain.actor)
    assert miss(near.actor) < miss(state.actor)
    for one, other in zip(jax.tree.leaves(plain.critics), jax.tree.leaves(near.critics), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    noise, _ = jax.random.normal(jax.random.key(0), (2, *batch.action.shape))
    action, _ = squashed(apply_actor(state.actor, batch.obs), noise)
    values = apply_critics(near.critics, batch.obs, action).min(0)
    seen = []

    def look(actor: Actor, values: jax.Array) -> jax.Array:
        jax.debug.callback(seen.append, values)
        return jnp.zeros(())

    sac.step(state, batch, CONFIG, key=jax.random.key(0), more_actor_loss=look)
    jax.effects_barrier()
    np.testing.assert_allclose(seen[0], values, rtol=1e-4)


def test_a_term_that_is_not_finite_does_not_reach_the_actor():
    state = state_of()
    after, told = step(
        state, batch_of(), CONFIG, key=jax.random.key(0), more_actor_loss=lambda actor, _: actor.mean[0].sum() * jnp.nan
    )
    assert told.bad == 1
    for old, new in zip(jax.tree.leaves(state.actor), jax.tree.leaves(after.actor), strict=True):
        np.testing.assert_array_equal(old, new)


def test_it_keeps_out_of_the_trap_and_as_near_the_log_as_it_is_told():
    """The log's actions are even around 0, and the world promises more for each that is larger, for ever."""
    near = [action_in_trap(replace(TRAP_CONFIG, imitation=weight)) for weight in (0.5, 5.0, 500.0)]
    assert 1.6 > near[0] > near[1] + 0.1
    assert near[1] > near[2]
    assert abs(near[2]) < 0.15
