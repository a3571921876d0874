"""The compiled programs of learning by acting: one step of it writes what happened, updates, and chooses what to do next."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from worldrex.policy import replay, sac
from worldrex.policy.networks import Actor, apply_actor, squashed
from worldrex.policy.replay import Batch, Replay
from worldrex.policy.sac import SACConfig, SACInfo, SACState
from worldrex.policy.scales import Scales


class Learner(NamedTuple):
    """Everything that a step changes."""

    sac: SACState
    replay: Replay
    obs: Float[Array, "env obs"]
    """Where each environment stands, as the networks see it."""
    action: Float[Array, "env act"]
    """What it is told to do there, in [-1, 1]."""
    sums: SACInfo
    """Over the updates since they were last set to zero."""
    key: PRNGKeyArray


class Happened(NamedTuple):
    """What the environments gave for the actions."""

    obs: Float[Array | np.ndarray, "env obs"]
    """In their own units; where an episode ended, its last one."""
    reward: Float[Array | np.ndarray, " env"]
    terminated: Bool[Array | np.ndarray, " env"]
    valid: Bool[Array | np.ndarray, " env"]
    """False where the environment only began its next episode."""


@partial(jax.jit, static_argnames=("capacity", "config"))
def begin(
    obs: Float[Array | np.ndarray, "env obs"], random: Bool[Array | np.ndarray, ""], scales: Scales, capacity: int,
    config: SACConfig, *, key: PRNGKeyArray,
) -> tuple[Learner, Float[Array, "env act"]]:  # fmt: skip
    """Fresh networks and an empty buffer, and the first actions, in the environment's units."""
    dims = scales.obs_mean.shape[-1], scales.low.shape[-1]
    for_networks, for_action, key = jax.random.split(key, 3)
    state = sac.init(*dims, config, key=for_networks)
    seen = scales.standardized(obs)
    unit, action = _chosen(state.actor, seen, random, scales, key=for_action)
    return Learner(state, replay.init(capacity, *dims), seen, unit, no_sums(), key), action


@partial(jax.jit, static_argnames="config", donate_argnames="learner")
def advance(
    learner: Learner, happened: Happened, updates: Int[Array | np.ndarray, ""], random: Bool[Array | np.ndarray, ""],
    scales: Scales, config: SACConfig,
) -> tuple[Learner, Float[Array, "env act"]]:  # fmt: skip
    """Write what happened, make so many updates, and choose the next actions by the updated actor.

    One program, in place: the buffer may be the largest thing there is, and a second one for acting would cost its dispatch
    at each step of the environments.

    **Returns:** the learner, and the actions in the environment's units: `random` ones, uniform, or the policy's draws.
    """
    for_updates, for_action, key = jax.random.split(learner.key, 3)
    seen = scales.standardized(happened.obs)
    reward, ends, valid = map(jnp.asarray, (happened.reward, happened.terminated, happened.valid))
    records = Batch(learner.obs, learner.action, reward, seen, ends.astype(jnp.float32))
    buffer = replay.add(learner.replay, records, valid)

    def update(number: Array, carry: tuple[SACState, SACInfo]) -> tuple[SACState, SACInfo]:
        state, sums = carry
        for_batch, for_update = jax.random.split(jax.random.fold_in(for_updates, number))
        batch = replay.draw(buffer, buffer.records, config.batch, 0, key=for_batch)
        state, told = sac.step(state, batch, config, key=for_update)
        return state, jax.tree.map(jnp.add, sums, told)

    state, sums = jax.lax.fori_loop(0, updates, update, (learner.sac, learner.sums))
    unit, action = _chosen(state.actor, seen, random, scales, key=for_action)
    return Learner(state, buffer, seen, unit, sums, key), action


def no_sums() -> SACInfo:
    """Of no updates."""
    return SACInfo(*(jnp.zeros(()) for _ in SACInfo._fields))


def _chosen(
    actor: Actor, seen: Array, random: Array | np.ndarray, scales: Scales, *, key: PRNGKeyArray
) -> tuple[Array, Array]:
    """Actions in [-1, 1] and in the environment's units."""
    for_random, for_draw = jax.random.split(key)
    shape = seen.shape[0], scales.low.shape[-1]
    drawn, _ = squashed(apply_actor(actor, seen), jax.random.normal(for_draw, shape))
    unit = jnp.where(random, jax.random.uniform(for_random, shape, minval=-1.0), drawn)
    # Rounding may lead out of the bounds.
    return unit, jnp.clip(scales.from_unit(unit), scales.low[None], scales.high[None])
