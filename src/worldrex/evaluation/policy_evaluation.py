"""Off-policy evaluation: the return of a policy in a model, as each of its members sees it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, PRNGKeyArray
from scipy.special import ndtri, stdtrit

from worldrex.data import Transitions
from worldrex.dynamics import WorldModel
from worldrex.dynamics.ensemble import Network
from worldrex.evaluation.selection import Estimate
from worldrex.evaluation.statistics import LEVEL
from worldrex.policy.policy import Policy
from worldrex.policy.rollouts import follow
from worldrex.policy.worlds import EnsembleWorld, world_of

MARGIN = 0.1

Chosen = Callable[[Array, PRNGKeyArray], Array]
"""Actions for observations, `[batch, ...]`; what is drawn is drawn from the key."""


class PolicyEvaluation(NamedTuple):
    """What a model promises of a policy."""

    estimate: Estimate
    """Expected return, and where the true one is looked for: see `over_members`."""
    returns: Float64[np.ndarray, "member start"]
    """Of the rollout of each elite from each start."""
    cut: int
    """Rollouts that came to what is not finite; their return is that of the steps before."""


def evaluate_in_model(
    model: WorldModel, policy: Policy | Chosen, starts: Float[np.ndarray, "start obs"], steps: int, *,
    data: Transitions | None = None, stochastic: bool = False, seed: int = 0,
) -> PolicyEvaluation:  # fmt: skip
    """Roll the policy out in each elite by itself from each start, and compare what they promise.

    Each rollout keeps its member to the end (TS-infinity of Chua et al. 2018, arXiv 1805.12114), draws the noise of each
    step, and ends where the model says so or after `steps`.

    **Arguments:**

    - `policy`: a `Policy`, by its deterministic actions unless `stochastic`; or a function of observations and a key, which JAX
      can trace. It sees what the model sees: a law that reacts to what the log does not show is none.
    - `starts`: first observations of real episodes, from wherever they come; an interval is told over these, too.
    - `data`: the log that the model was fitted on, which bounds the rollouts as in learning; without it nothing does.

    **Raises:** `PolicyError` for a model that sees a history, or a log of other widths.
    """
    world = world_of(model, data, uncertainty="aleatoric", margin=MARGIN)
    # A Partial is a pytree, so that all policies of one shape share a program; any other function is a constant of its own.
    if isinstance(policy, Policy):
        chosen = jax.tree_util.Partial(_draws if stochastic else _middle, policy._replace(trained={}))
    else:
        chosen = jax.tree_util.Partial(policy)
    told, cut = _member_returns(world, chosen, jnp.asarray(starts, jnp.float32), jax.random.key(seed), steps=steps)
    returns = np.asarray(told, np.float64)
    return PolicyEvaluation(over_members(returns), returns, int(np.asarray(cut).sum()))


def over_members(values: Float[np.ndarray, "member start"]) -> Estimate:
    """Mean over members and starts, with the 95 % interval of the truth.

        V_m = mean_s v_ms,   value = mean_m V_m
        half width^2 = t_{M-1}^2 (1 + 1/M) Var_m(V_m) + z^2 Var_s(mean_m v_ms) / S

    The truth is taken for one more draw of what the members are draws of, so that more members do not make the interval narrow
    where they disagree; the starts are a sample, whose mean gets better with their number. With a single member
    (start) its share is unknown and left out. An error that all members share is in no such interval.
    """
    members, starts = values.shape
    tail = (1 + LEVEL) / 2
    variance = 0.0
    if members > 1:
        variance += stdtrit(members - 1, tail) ** 2 * (1 + 1 / members) * values.mean(1).var(ddof=1)
    if starts > 1:
        variance += ndtri(tail) ** 2 * values.mean(0).var(ddof=1) / starts
    value, half = float(values.mean()), float(np.sqrt(variance))
    return Estimate(value, value - half, value + half)


def _draws(policy: Policy, obs: Array, key: PRNGKeyArray) -> Array:
    return policy.act(obs, key=key)


def _middle(policy: Policy, obs: Array, key: PRNGKeyArray) -> Array:
    return policy.act(obs)


@partial(jax.jit, static_argnames="steps")
def _member_returns(
    world: EnsembleWorld, chosen: jax.tree_util.Partial, starts: Array, key: PRNGKeyArray, *, steps: int
) -> tuple[Array, Array]:
    """Return of each member from each start, `[member, start]`, and whether the rollout was cut."""

    def of_member(networks: Network, key: PRNGKeyArray) -> tuple[Array, Array]:
        path = follow(world._replace(networks=networks), chosen, starts, steps, key=key)
        return path.reward.sum(0), path.cut

    alone = jax.tree.map(lambda x: x[:, None], world.networks)
    return jax.vmap(of_member)(alone, jax.random.split(key, alone.mean[0].shape[0]))
