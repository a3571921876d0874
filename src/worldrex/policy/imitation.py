"""TD3+BC's term: an actor that stays near what was logged, as far as the critics do not promise much for leaving it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from worldrex.policy.networks import Actor, apply_actor
from worldrex.policy.replay import Batch

ActorTerm = Callable[[Actor, Float[Array, " batch"]], Float[Array, ""]]
"""Of an actor and the worth of its actions."""


def imitation_term(batch: Batch, logged: int, weight: float) -> ActorTerm:
    """What is added to the loss of the actor.

        weight mean |min_i Q_i(s, pi(s))| mean over the log of |tanh(mean(s)) - a|^2 / dimensions of a

    The mean of the values, which is not differentiated, makes the weight one in any units of the reward.

    **Arguments:** the first `logged` records of the batch come from the log.

    Source: Fujimoto & Gu 2021, arXiv 2106.06860, equations 3 and 5, with the weight 1 / alpha (0.4 there).
    """
    obs, action = batch.obs[:logged], batch.action[:logged]

    def term(actor: Actor, values: Array) -> Array:
        miss = jnp.square(jnp.tanh(apply_actor(actor, obs).mean) - action).mean()
        return weight * jax.lax.stop_gradient(jnp.abs(values).mean()) * miss

    return term
