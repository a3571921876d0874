"""How far the elites disagree on what an action is worth: MOBILE's uncertainty, which needs the critics."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from worldrex.policy.networks import apply_actor, apply_critics, squashed
from worldrex.policy.replay import Batch
from worldrex.policy.rollouts import RolloutInfo
from worldrex.policy.sac import SACState
from worldrex.policy.scales import Scales
from worldrex.policy.worlds import EnsembleWorld


def inconsistency(
    world: EnsembleWorld, state: SACState, scales: Scales, records: Batch, discount: float, *, key: PRNGKeyArray
) -> Float[Array, " record"]:
    """Standard deviation over the elites of the value that each one's own next step promises.

        Std_e(r_e + discount (1 - terminated_e) min_i Qt_i(s'_e, a'_e)),   a'_e ~ pi(. | s'_e)

    All elites draw by the same noise, of their own scale, and so does the policy: what remains is what the elites
    disagree on, and not chance, which the paper takes the mean of 10 draws against.

    Source: Sun et al. 2023, Model-Bellman inconsistency for model-based offline reinforcement learning (MOBILE), ICML,
    https://proceedings.mlr.press/v202/sun23q.html; its code leaves the reward and the discount out of the deviation.
    """
    for_world, for_action = jax.random.split(key)
    obs, action = scales.unstandardized(records.obs), scales.from_unit(records.action)
    noise = jax.random.normal(for_action, action.shape)

    def backup(elite: Array) -> Array:
        outcome = world.step_by(jnp.full(obs.shape[0], elite), obs, action, key=for_world)
        after = scales.standardized(outcome.next_obs)
        value = apply_critics(state.target, after, squashed(apply_actor(state.actor, after), noise)[0]).min(0)
        return outcome.reward + discount * jnp.where(outcome.terminated, 0.0, value)

    return jax.vmap(backup)(jnp.arange(world.networks.mean[0].shape[0])).std(0)


def seen_in_rollouts(
    measured: Float[Array, " record"], valid: Bool[Array, " record"], info: RolloutInfo
) -> tuple[Bool[Array, " record"], RolloutInfo]:
    """Which records stay valid, those of a finite measure, and what rollouts tell with it as their uncertainty."""
    finite = valid & jnp.isfinite(measured)
    cut = (valid & ~finite).sum(dtype=jnp.float32)
    return finite, info._replace(uncertainty=jnp.where(finite, measured, 0.0).sum(), cut=info.cut + cut)
