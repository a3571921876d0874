"""Soft actor-critic: `init` and `step(state, batch, *, key) -> (state, info)`, free of data and of loops.

The settings' defaults are those of Stable-Baselines3's SAC.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from worldrex.dynamics.optimizer import adam_step, init_adam
from worldrex.policy.imitation import ActorTerm
from worldrex.policy.networks import Actor, Critics, apply_actor, apply_critics, init_actor, init_critics, squashed
from worldrex.policy.replay import Batch


@dataclass(frozen=True)
class SACConfig:
    """How a policy learns from batches of transitions."""

    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of actor and critics."""
    critics: int = 2
    """Critics, the least of whose values counts."""
    batch: int = 256
    """Records of each update."""
    learning_rate: float = 3e-4
    """Adam's step size, of the actor, the critics and the temperature."""
    discount: float = 0.99
    """What a reward one step later is worth."""
    tau: float = 0.005
    """Share of the way that the target critics follow the critics at each update."""
    temperature: float = 1.0
    """Worth of the entropy, in units of the reward, to begin with; it then moves towards the target entropy."""
    target_entropy: float | None = None
    """Entropy of the actions (scaled to [-1, 1]) that the temperature aims at; minus their dimensions if not given."""


class SACState(NamedTuple):
    """What the next update needs."""

    actor: Actor
    critics: Critics
    target: Critics
    log_temperature: Float[Array, ""]
    actor_optimizer: optax.ScaleByAdamState
    critics_optimizer: optax.ScaleByAdamState
    temperature_optimizer: optax.ScaleByAdamState


class SACInfo(NamedTuple):
    """What a person wants to see of an update."""

    critic_loss: Float[Array, ""]
    """Mean squared error of the critics, mean over them."""
    value: Float[Array, ""]
    """Mean of the critics' values of the batch."""
    entropy: Float[Array, ""]
    """Of the actions in [-1, 1], estimated by one draw for each record."""
    temperature: Float[Array, ""]
    bad: Float[Array, ""]
    """1 if a loss or gradient was not finite: such an update changes nothing."""


def init(obs_dims: int, action_dims: int, config: SACConfig, *, key: PRNGKeyArray) -> SACState:
    """Fresh networks and optimizers; the target critics are the critics."""
    for_actor, for_critics = jax.random.split(key)
    actor = init_actor(obs_dims, action_dims, config.hidden, key=for_actor)
    critics = init_critics(config.critics, obs_dims, action_dims, config.hidden, key=for_critics)
    log_temperature = jnp.float32(math.log(config.temperature))
    return SACState(
        actor, critics, jax.tree.map(jnp.copy, critics), log_temperature,
        init_adam(actor), init_adam(critics), init_adam(log_temperature),
    )  # fmt: skip


def step(
    state: SACState, batch: Batch, config: SACConfig, *, key: PRNGKeyArray,
    more_loss: Callable[[Critics], Array] | None = None, more_actor_loss: ActorTerm | None = None,
) -> tuple[SACState, SACInfo]:  # fmt: skip
    """One update of the temperature, the critics, the actor and the target critics, in this order.

        y = r + discount (1 - terminated) (min_i Qt_i(s', a') - alpha log pi(a' | s')),   a' ~ pi(. | s')
        J_Q = 1/2 sum_i mean (Q_i(s, a) - y)^2
        J_pi = mean (alpha log pi(a | s) - min_i Q_i(s, a)),   a ~ pi(. | s), by the updated critics
        J_alpha = -log alpha mean (log pi(a | s) + target entropy)
        Qt <- (1 - tau) Qt + tau Q

    The critics and the actor take alpha as it was before the update. Nothing raises inside: an update with a loss or
    gradient that is not finite is reported and changes nothing. `more_loss` of the critics is added to J_Q, and
    `more_actor_loss` of the actor and of the values of its actions to J_pi.

    Source: Haarnoja et al. 2018, arXiv 1812.05905, equations 5 to 9 and 17 to 18; N critics as in Chen et al. 2021,
    arXiv 2101.05982, without its subsets.
    """
    target_entropy = -batch.action.shape[-1] if config.target_entropy is None else config.target_entropy
    alpha = jnp.exp(state.log_temperature)
    # One draw for both: each is a program of its own to compile.
    noise, next_noise = jax.random.normal(key, (2, *batch.action.shape))

    next_action, next_log_prob = squashed(apply_actor(state.actor, batch.next_obs), next_noise)
    future = apply_critics(state.target, batch.next_obs, next_action).min(0) - alpha * next_log_prob
    target = batch.reward + config.discount * (1 - batch.terminated) * future

    def critic_loss(critics: Critics) -> tuple[Array, tuple[Array, Array]]:
        values = apply_critics(critics, batch.obs, batch.action)
        loss = 0.5 * jnp.square(values - target[None]).mean(-1).sum()
        return loss if more_loss is None else loss + more_loss(critics), (loss, values.mean())

    (whole, (loss, value)), gradient = jax.value_and_grad(critic_loss, has_aux=True)(state.critics)
    update = partial(adam_step, rate=jnp.float32(config.learning_rate))
    critics_finite = jnp.isfinite(whole) & jnp.isfinite(optax.tree.norm(gradient))
    critics, critics_optimizer = update(
        state.critics, state.critics_optimizer, gradient, decay=_no_decay(gradient), do=critics_finite
    )

    def actor_loss(actor: Actor) -> tuple[Array, Array]:
        action, log_prob = squashed(apply_actor(actor, batch.obs), noise)
        values = apply_critics(critics, batch.obs, action).min(0)
        loss = (alpha * log_prob - values).mean()
        return loss if more_actor_loss is None else loss + more_actor_loss(actor, values), log_prob.mean()

    (_, log_prob), gradient = jax.value_and_grad(actor_loss, has_aux=True)(state.actor)
    finite = critics_finite & jnp.isfinite(log_prob) & jnp.isfinite(optax.tree.norm(gradient))
    actor, actor_optimizer = update(state.actor, state.actor_optimizer, gradient, decay=_no_decay(gradient), do=finite)
    log_temperature, temperature_optimizer = update(
        state.log_temperature, state.temperature_optimizer, -(log_prob + target_entropy), decay=0.0, do=finite
    )
    follow = jnp.where(critics_finite, jnp.float32(config.tau), 0.0)
    moved = jax.tree.map(lambda old, new: old + follow * (new - old), state.target, critics)
    after = SACState(actor, critics, moved, log_temperature, actor_optimizer, critics_optimizer, temperature_optimizer)
    told = SACInfo(2 * loss / config.critics, value, -log_prob, alpha, jnp.zeros(()))
    told = jax.tree.map(lambda x: jnp.where(finite, x, 0.0), told)
    return after, told._replace(bad=(~finite).astype(jnp.float32))


def _no_decay(parameters: Actor | Critics) -> Actor | Critics:
    return jax.tree.map(lambda _: 0.0, parameters)
