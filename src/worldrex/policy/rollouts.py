"""Rollouts of a policy in a world: branched ones for the replay buffer, and whole episodes to see what it promises."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from worldrex.policy.absorbing import Absorbing
from worldrex.policy.networks import Actor
from worldrex.policy.policy import act
from worldrex.policy.replay import Batch
from worldrex.policy.scales import Scales
from worldrex.policy.worlds import Outcome, World


class RolloutInfo(NamedTuple):
    """Sums over the steps of a rollout that count."""

    steps: Float[Array, ""]
    reward: Float[Array, ""]
    """Without pessimism."""
    uncertainty: Float[Array, ""]
    terminated: Float[Array, ""]
    absorbed: Float[Array, ""]
    """Steps that led to the absorbing state."""
    cut: Float[Array, ""]
    """Rollouts that came to something that is not finite; that step does not count."""


class _Taken(NamedTuple):
    obs: Float[Array, "batch obs"]
    action: Float[Array, "batch act"]
    outcome: Outcome
    valid: Bool[Array, " batch"]
    """Steps that happened: no end came before them, and they are finite."""
    cut: Bool[Array, " batch"]


def branch(
    world: World, actor: Actor, scales: Scales, starts: Float[Array, "start obs"], horizon: int, *,
    pessimism: Float[Array, ""], absorbing: Absorbing | None = None, key: PRNGKeyArray,
) -> tuple[Batch, Bool[Array, " record"], RolloutInfo]:  # fmt: skip
    """Draw actions from the policy for `horizon` steps from each start, or until the episode ends for good.

        reward = r - pessimism uncertainty,   and + the absorbing state's worth for a step whose uncertainty is beyond it

    **Arguments:** `starts` in the data's own units. A step to the `absorbing` state is the last. **Returns:** records as the
    networks see them, `horizon` times the starts, and which of them are valid: none after an end, none that is not finite.

    Source: Janner et al. 2019, arXiv 1906.08253 (branched rollouts); Yu et al. 2020, arXiv 2005.13239 (the reward).
    """

    def falls(absorbing: Absorbing, outcome: Outcome) -> Array:
        return outcome.uncertainty > absorbing.beyond

    def step(carry: tuple[Array, Array], key: PRNGKeyArray) -> tuple[tuple[Array, Array], _Taken]:
        taken = _step(world, *carry, lambda obs: act(actor, scales, obs, jax.random.fold_in(key, 0)), key)
        obs, alive = _next(taken)
        return (obs, alive if absorbing is None else alive & ~falls(absorbing, taken.outcome)), taken

    begin = starts, jnp.ones(starts.shape[0], bool)
    _, taken = jax.lax.scan(step, begin, jax.random.split(key, horizon))
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), taken)
    outcome, valid = flat.outcome, flat.valid
    reward, terminated, absorbed = outcome.reward - pessimism * outcome.uncertainty, outcome.terminated, jnp.zeros(())
    if absorbing is not None:
        beyond = falls(absorbing, outcome)
        reward = jnp.where(beyond, reward + absorbing.worth, reward)
        terminated, absorbed = terminated | beyond, (valid & beyond).sum(dtype=jnp.float32)

    def total(x: Array) -> Array:
        return jnp.where(valid, x, 0.0).sum()

    records = Batch(
        scales.standardized(flat.obs), scales.to_unit(flat.action), reward,
        scales.standardized(outcome.next_obs), terminated.astype(jnp.float32),
    )  # fmt: skip
    info = RolloutInfo(
        total(jnp.ones(valid.shape)), total(outcome.reward), total(outcome.uncertainty),
        total(outcome.terminated.astype(jnp.float32)), absorbed, flat.cut.sum(dtype=jnp.float32),
    )  # fmt: skip
    return records, valid, info


def episode_returns(
    world: World, actor: Actor, scales: Scales, starts: Float[Array, "start obs"], steps: int, *, key: PRNGKeyArray,
) -> Float[Array, " start"]:  # fmt: skip
    """Sum of the rewards, without pessimism, of an episode from each start, by the policy's deterministic actions."""
    return follow(world, lambda obs, key: act(actor, scales, obs, None), starts, steps, key=key).reward.sum(0)


class Path(NamedTuple):
    """What happens along episodes in a world."""

    obs: Float[Array, "step start obs"]
    """Before each step."""
    action: Float[Array, "step start act"]
    reward: Float[Array, "step start"]
    """Without pessimism; 0 after the end."""
    valid: Bool[Array, "step start"]
    """Steps that happened: an episode ends for good, or at what is not finite."""
    cut: Bool[Array, " start"]
    """Episodes that came to what is not finite."""


def follow(
    world: World, policy: Callable[[Array, PRNGKeyArray], Array], starts: Float[Array, "start obs"], steps: int, *,
    key: PRNGKeyArray,
) -> Path:  # fmt: skip
    """An episode of at most `steps` from each start, along the actions that `policy(obs, key)` chooses."""

    def step(carry: tuple[Array, Array], key: PRNGKeyArray) -> tuple[tuple[Array, Array], _Taken]:
        taken = _step(world, *carry, lambda obs: policy(obs, jax.random.fold_in(key, 0)), key)
        return _next(taken), taken

    begin = starts, jnp.ones(starts.shape[0], bool)
    _, taken = jax.lax.scan(step, begin, jax.random.split(key, steps))
    reward = jnp.where(taken.valid, taken.outcome.reward, 0.0)
    return Path(taken.obs, taken.action, reward, taken.valid, taken.cut.any(0))


def _step(world: World, obs: Array, alive: Array, policy: Callable[[Array], Array], key: PRNGKeyArray) -> _Taken:
    action = policy(obs)
    outcome = world.step(obs, action, key=jax.random.fold_in(key, 1))
    told = jnp.concatenate([outcome.next_obs, outcome.reward[:, None], outcome.uncertainty[:, None]], -1)
    finite = jnp.isfinite(told).all(-1)
    return _Taken(obs, action, outcome, alive & finite, alive & ~finite)


def _next(taken: _Taken) -> tuple[Array, Array]:
    """Where the next step begins, and whether it happens."""
    obs = jnp.where(taken.valid[:, None], taken.outcome.next_obs, taken.obs)
    return obs, taken.valid & ~taken.outcome.terminated
