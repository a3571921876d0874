"""The weights that a member ends with, and the members that predict: by one criterion, the held-out objective.

The criterion is the objective at the run's full weight, in both phases, so that records of the unpenalized and of the
penalized phase could be compared; the record is nevertheless made anew where the optimizer is, since a model that an
early phase left must not stand for the run (see `TrainConfig.schedule`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int, Int32

from worldrex.dynamics.ensemble import Network


class Best(NamedTuple):
    """The best evaluation of one network since the last reset."""

    network: Network
    """All of its parameters, the log-variance bounds included."""
    objective: Float32[Array, "*network"]
    risk: Float32[Array, "*network group"]
    step: Int32[Array, "*network"]
    stale: Int32[Array, "*network"]
    """Evaluations since then."""


def no_best(network: Network, num_groups: int) -> Best:
    """Before the first evaluation: anything finite is better."""
    return Best(network, jnp.float32(jnp.inf), jnp.full(num_groups, jnp.nan), jnp.int32(0), jnp.int32(0))


def better(
    best: Best, network: Network, objective: Float32[Array, ""], risk: Float32[Array, " group"], step: Int[Array, ""]
) -> Best:
    """The record after an evaluation of this network alone: each member has its own."""
    improved = objective < best.objective
    now = Best(network, objective, risk, jnp.asarray(step, jnp.int32), jnp.int32(0))
    return jax.tree.map(lambda x, y: jnp.where(improved, x, y), now, best._replace(stale=best.stale + 1))


def elites_of(objective: Float32[np.ndarray, " member"], number: int) -> Int[np.ndarray, " elite"]:
    """The members with the lowest held-out objective, in their order; ties go to the first."""
    return np.sort(np.argsort(objective, kind="stable")[:number])
