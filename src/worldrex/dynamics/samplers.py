"""Which records a mini-batch holds: a function of the network's key and the step, so that a resumed run draws the same."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int, Int32, PRNGKeyArray, UInt32

SamplerName = Literal["natural", "balanced", "weighted"]


class Sampler(NamedTuple):
    """The training rows of each fold, ordered by behavior, and how often each behavior is drawn."""

    rows: Int32[Array | np.ndarray, "fold train"]
    number: UInt32[Array | np.ndarray, " fold"]
    """Number of rows of each fold."""
    first: UInt32[Array | np.ndarray, "fold group"]
    """Where each behavior's rows begin in `rows`."""
    size: UInt32[Array | np.ndarray, "fold group"]
    """Number of each behavior's rows."""
    share: Float32[Array | np.ndarray, "fold group"]
    """Cumulative probability of drawing a behavior; unused by the natural sampler."""


def sampler_of(
    rows: list[np.ndarray], behavior: np.ndarray, num_groups: int, name: SamplerName, weights: tuple[float, ...],
    place: np.ndarray,
) -> Sampler:  # fmt: skip
    """The sampler over these rows of each fold, on the host.

    **Arguments:** ascending `rows` of each fold; `behavior` of every record; `weights` of the behaviors, for "weighted";
    `place` of every record in the tables.
    """
    longest = max(map(len, rows))
    table = np.zeros((len(rows), longest), np.int32)
    size = np.zeros((len(rows), num_groups), np.uint32)
    share = np.zeros((len(rows), num_groups), np.float64)
    for fold, own in enumerate(rows):
        # The natural sampler keeps the rows' order, the others need each behavior's rows side by side.
        ordered = own if name == "natural" else own[np.argsort(behavior[own], kind="stable")]
        table[fold, : len(own)] = place[ordered]
        size[fold] = np.bincount(behavior[own], minlength=num_groups)
        wanted = (size[fold] > 0) * (np.array(weights) if name == "weighted" else np.ones(num_groups))
        share[fold] = np.cumsum(wanted / max(wanted.sum(), np.finfo(float).tiny))
    first = np.cumsum(size, axis=1) - size
    return Sampler(
        table,
        np.array([len(own) for own in rows], np.uint32),
        first.astype(np.uint32),
        size,
        share.astype(np.float32),
    )


def draw_rows(
    sampler: Sampler, fold: Int[Array, ""], step: Int[Array, ""], batch: int, name: SamplerName, *,
    key: PRNGKeyArray, bootstrap: bool = False,
) -> Int32[Array, " batch"]:  # fmt: skip
    """Records of this step's batch, drawn with replacement from the fold's training rows.

    natural: each record is as likely as any other, so that the number of records of each behavior is random, as in any
    mini-batch of a pooled log. balanced: each behavior is as likely as any other, then each of its records. weighted: a
    behavior as its weight says. The draw depends on the key and the step only. The remainder of 32 random bits favors no
    row by more than count / 2^32.

    With `bootstrap`, place i of the table stands for a record that is drawn once for each network (key) and place: every
    network then learns from a resampled log, in which about 37 % of the records do not occur.
    """
    drawn = jax.random.fold_in(key, step)
    bits = jax.random.bits(drawn, (batch,), jnp.uint32)
    if name == "natural":
        first, size = jnp.uint32(0), sampler.number[fold]
    else:
        toss = jax.random.uniform(jax.random.fold_in(drawn, 1), (batch,))
        behavior = jnp.searchsorted(sampler.share[fold], toss, side="right").clip(max=sampler.size.shape[1] - 1)
        # Rounding may leave the last share below 1: never a behavior without rows.
        behavior = jnp.where(sampler.size[fold, behavior] > 0, behavior, jnp.argmax(sampler.size[fold]))
        first, size = sampler.first[fold, behavior], sampler.size[fold, behavior]
    place = bits % size
    if bootstrap:
        resampled = jax.random.fold_in(key, 2**30)
        again = jax.vmap(lambda i: jax.random.bits(jax.random.fold_in(resampled, i), (), jnp.uint32))(first + place)
        place = again % size
    return sampler.rows[fold, (first + place).astype(jnp.int32)]
