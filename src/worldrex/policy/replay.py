"""A replay buffer: a ring that forgets the oldest records first."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray


class Batch(NamedTuple):
    """Records in the units of the networks: obs standardized, actions in [-1, 1]."""

    obs: Float[Array, "*record obs"]
    action: Float[Array, "*record act"]
    reward: Float[Array, "*record"]
    """In the data's own units, pessimism taken off."""
    next_obs: Float[Array, "*record obs"]
    terminated: Float[Array, "*record"]
    """1 where there is no future."""


class Replay(NamedTuple):
    """The last `capacity` records that were written."""

    records: Batch
    cursor: Int[Array, ""]
    """Slot of the next record."""
    size: Int[Array, ""]
    """Slots that hold a record."""


def init(capacity: int, obs_dims: int, action_dims: int) -> Replay:
    """An empty buffer."""
    wide, flat = jnp.zeros((capacity, obs_dims)), jnp.zeros(capacity)
    records = Batch(wide, jnp.zeros((capacity, action_dims)), flat, wide, flat)
    return Replay(records, jnp.int32(0), jnp.int32(0))


def add(replay: Replay, records: Batch, valid: Bool[Array, " record"]) -> Replay:
    """Write the valid records into the next slots, in order, over the oldest ones.

    Of more records than there are slots the last ones stay.
    """
    capacity = replay.records.reward.shape[0]
    number = jnp.cumsum(valid, dtype=jnp.int32) - 1
    count = number[-1] + 1
    # Two records in one slot would be written in no order: what a later one overwrites is left out.
    written = valid & (number >= count - capacity)
    slot = jnp.where(written, (replay.cursor + number) % capacity, capacity)
    records = jax.tree.map(lambda x, new: x.at[slot].set(new, mode="drop"), replay.records, records)
    return Replay(records, (replay.cursor + count) % capacity, jnp.minimum(replay.size + count, capacity))


def draw(replay: Replay, log: Batch, count: int, logged: int, *, key: PRNGKeyArray) -> Batch:
    """`count` records, uniformly with replacement: the first `logged` of them from the log, the others from the buffer.

    An empty buffer gives its first slot.
    """
    # One draw for both parts: each is a program of its own to compile.
    sizes = jnp.where(np.arange(count) < logged, log.reward.shape[0], jnp.maximum(replay.size, 1))
    rows = jax.random.randint(key, (count,), 0, sizes)
    return jax.tree.map(lambda x, y: jnp.concatenate([x[rows[:logged]], y[rows[logged:]]]), log, replay.records)
