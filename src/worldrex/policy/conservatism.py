"""COMBO's conservative term: critics that hold less of what the policy does in rollouts than of what was logged."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from worldrex.policy.networks import Actor, Critics, apply_actor, apply_critics, squashed
from worldrex.policy.replay import Batch


def conservative_term(
    actor: Actor, batch: Batch, logged: int, weight: float, *, key: PRNGKeyArray
) -> Callable[[Critics], Float[Array, ""]]:
    """What is added to the loss of the critics.

        weight sum_i (mean over rollouts of Q_i(s, a') - mean over the log of Q_i(s, a)),   a' ~ pi(. | s)

    **Arguments:** the first `logged` records of the batch come from the log, the others from rollouts.

    Source: Yu et al. 2021, arXiv 2102.08363, equation 2, with the states of the rollouts and fresh actions of the policy.
    """
    obs = batch.obs[logged:]
    drawn, _ = squashed(apply_actor(actor, obs), jax.random.normal(key, batch.action[logged:].shape))
    asked = batch.obs, jnp.concatenate([batch.action[:logged], drawn])

    def term(critics: Critics) -> Array:
        values = apply_critics(critics, *asked)
        return weight * (values[:, logged:].mean(-1) - values[:, :logged].mean(-1)).sum()

    return term
