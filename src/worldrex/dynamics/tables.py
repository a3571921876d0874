"""The log as the compiled programs have it, and the records of a batch, whatever device they lie on."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Int32

from worldrex.dynamics.features import Features, rows_of_past
from worldrex.dynamics.normalizer import Normalizer
from worldrex.dynamics.samplers import Sampler

RECORD_AXIS = "record"


COLUMNS = ("obs", "action", "next_obs", "reward", "terminated", "behavior", "first")


class Tables(NamedTuple):
    """The data of a sweep, the same for all of its networks; axis `fold` tells which behavior is left out."""

    obs: Float32[Array | np.ndarray, "record obs"]
    action: Float32[Array | np.ndarray, "record act"]
    next_obs: Float32[Array | np.ndarray, "record obs"]
    reward: Float32[Array | np.ndarray, " record"]
    terminated: Bool[Array | np.ndarray, " record"] | None
    """Where an episode ended for good; None where no network learns it."""
    behavior: Int32[Array | np.ndarray, " record"]
    first: Int32[Array | np.ndarray, " record"] | None
    """Row at which each record's episode begins; None where no network sees the past."""
    sampler: Sampler
    normalizer: Normalizer
    baseline: Float32[Array | np.ndarray, " group"]
    """Risk that is taken off each behavior's before the penalty compares them."""
    rows: Int32[Array | np.ndarray, " record"] | None = None
    """Which rows of the log these records are, ascending; None where they are all of it."""


class Batch(NamedTuple):
    """Records, as far as this device computes them."""

    inputs: Float[Array, "batch input"]
    outputs: Float[Array, "batch output"]
    terminated: Bool[Array, " batch"] | None
    behavior: Int[Array, " batch"]
    mask: Bool[Array, " batch"] | None
    """True where a record counts; None where all do."""


def take(
    tables: Tables, rows: Int32[Array, " row"], mask: Bool[Array, " row"] | None = None, *,
    features: Features, shards: int = 1,
) -> Batch:  # fmt: skip
    """The records at these rows, as the networks see them; over several shards, those that this device computes.

    With shards > 1 the tables are cut along the mesh axis "record". Each device puts in the rows that it has, the sum
    over the axis is the whole batch, and each device takes its part of it: what is sent is the batch, whatever the log.
    Tables of some rows only are the same on each device.
    """

    def at(column: Array, rows: Array) -> Array:
        if shards == 1 or tables.rows is not None:
            return column[rows]
        own = column.shape[0]
        place = rows - jax.lax.axis_index(RECORD_AXIS) * own
        here = ((place >= 0) & (place < own)).reshape(-1, *(1,) * (column.ndim - 1))
        found = jnp.where(here, column[place.clip(0, own - 1)], jnp.zeros((), column.dtype))
        summed = jax.lax.psum(found.astype(jnp.int32) if column.dtype == bool else found, RECORD_AXIS)
        return summed.astype(column.dtype)

    def columns(*names: str, rows: Array = rows) -> list[Any]:
        place = rows if tables.rows is None else jnp.searchsorted(tables.rows, rows)
        return [jax.tree.map(lambda x: at(x, place), getattr(tables, name)) for name in names]

    next_obs, reward, terminated, behavior, first = columns("next_obs", "reward", "terminated", "behavior", "first")
    if features.history == 1:
        obs, action = columns("obs", "action")
        present = obs
    else:
        past = rows_of_past(rows, first, features.history)
        obs, action = (
            x.reshape(*past.shape, x.shape[-1]) for x in columns("obs", "action", rows=past.reshape(-1))
        )  # fmt: skip
        present = obs[:, -1]
    batch = Batch(
        features.inputs(obs, action), features.outputs(present, next_obs, reward), terminated, behavior, mask
    )  # fmt: skip
    if shards == 1:
        return batch
    part = -(-rows.shape[0] // shards)
    mine = jax.lax.axis_index(RECORD_AXIS) * part + jnp.arange(part, dtype=jnp.int32)
    counted = mine < rows.shape[0]
    mine = jnp.minimum(mine, rows.shape[0] - 1)
    batch = jax.tree.map(lambda x: x[mine], batch)
    return batch._replace(mask=counted if mask is None else counted & batch.mask)
