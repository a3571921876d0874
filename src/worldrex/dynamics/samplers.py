"""Which records a mini-batch holds: a function of the network's key and the step, so that a resumed run draws the same."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int, Int32, PRNGKeyArray, UInt32

from worldrex.data import Spans

Place = Callable[[np.ndarray], np.ndarray]
SamplerName = Literal["natural", "balanced", "weighted"]


class Sampler(NamedTuple):
    """The training rows of each fold, as ranges ordered by behavior, and how often each behavior is drawn."""

    row: Int32[Array | np.ndarray, "fold span"]
    """Where each range begins in the tables."""
    before: UInt32[Array | np.ndarray, "fold span"]
    """Number of training rows before it; after the last range the largest number there is."""
    number: UInt32[Array | np.ndarray, " fold"]
    """Number of rows of each fold."""
    first: UInt32[Array | np.ndarray, "fold group"]
    """How many rows of other behaviors come before each behavior's."""
    size: UInt32[Array | np.ndarray, "fold group"]
    """Number of each behavior's rows."""
    share: Float32[Array | np.ndarray, "fold group"]
    """Cumulative probability of drawing a behavior; unused by the natural sampler."""


def sampler_of(
    folds: Sequence[Spans], num_groups: int, name: SamplerName, weights: tuple[float, ...], place: Place
) -> Sampler:
    """The sampler over the training rows of each fold, on the host.

    **Arguments:** the rows of each of the `folds`; `weights` of the behaviors, for "weighted"; `place` tells where rows
    of the log lie in the tables.
    """
    size = np.zeros((len(folds), num_groups), np.uint32)
    share = np.zeros((len(folds), num_groups), np.float64)
    starts, lengths = [], []
    for fold, spans in enumerate(folds):
        # The natural sampler keeps the rows' order, the others need each behavior's rows side by side.
        ordered = spans if name == "natural" else spans.where(np.argsort(spans.behavior, kind="stable"))
        start, length = _joined(place(ordered.start), ordered)
        starts.append(start)
        lengths.append(length)
        size[fold] = np.bincount(spans.behavior, weights=spans.stop - spans.start, minlength=num_groups)
        wanted = (size[fold] > 0) * (np.array(weights) if name == "weighted" else np.ones(num_groups))
        share[fold] = np.cumsum(wanted / max(wanted.sum(), np.finfo(float).tiny))
    most = max(map(len, starts))
    row = np.zeros((len(folds), most), np.int32)
    before = np.full((len(folds), most), np.iinfo(np.uint32).max, np.uint32)
    for fold, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        row[fold, : len(start)] = start
        before[fold, : len(start)] = np.cumsum(length) - length
    first = np.cumsum(size, axis=1, dtype=np.uint32) - size
    return Sampler(row, before, size.sum(1, dtype=np.uint32), first, size, share.astype(np.float32))


def _joined(
    start: Int[np.ndarray, " span"], spans: Spans
) -> tuple[Int[np.ndarray, " range"], Int[np.ndarray, " range"]]:
    """First row and length of the spans in the tables, those that touch made one: fewer to search."""
    length = spans.stop - spans.start
    new = np.ones(len(start), bool)
    new[1:] = start[1:] != start[:-1] + length[:-1]
    begin = np.flatnonzero(new)
    return start[begin], np.add.reduceat(length, begin)


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
    place = first + place
    span = jnp.searchsorted(sampler.before[fold], place, side="right") - 1
    return sampler.row[fold, span] + (place - sampler.before[fold, span]).astype(jnp.int32)
