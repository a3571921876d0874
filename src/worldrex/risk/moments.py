"""Per-group count, mean and sum of squared deviations: the one statistic from which every risk and penalty follows."""

import math
from typing import NamedTuple

import numpy as np

from worldrex.risk.arrays import Array, RiskError, concrete, framework_of


class GroupMoments(NamedTuple):
    """Moments of the losses of each group; axes before the last are those of the batch (runs, members, ...).

    An absent group has `count` 0, `mean` 0 and `m2` 0.
    """

    count: Array
    """Number of records n_g, `[..., group]`, in the losses' dtype."""
    mean: Array
    """Risk R_g, the mean loss of the group's records, `[..., group]`."""
    m2: Array
    """Sum of (l_i - R_g)^2 over the group's records, `[..., group]`."""


def group_moments(losses: Array, groups: Array, num_groups: int, mask: Array | None = None) -> GroupMoments:
    """Count, mean and sum of squared deviations of the losses of each group.

        R_g = sum_{i in g} l_i / n_g,   m2_g = sum_{i in g} (l_i - R_g)^2

    Time and memory are O(records + rows x groups). Masked records, NaN and infinite ones included, touch neither
    values nor gradients.

    **Arguments:**

    - `losses`: `[..., record]`, float; float16 and bfloat16 accumulate in float32.
    - `groups`: `[..., record]` or `[record]`, integer ids in `0..num_groups-1`; each row may hold different groups.
    - `num_groups`: P, the number of groups in the data, whether or not the batch has them.
    - `mask`: `[..., record]` or `[record]`, boolean, True where a record counts.

    **Returns:** `GroupMoments`, each `[..., num_groups]`.

    **Raises:** `RiskError` for ids that are not integers, or that are negative or too large where values are
    concrete. Under `jit` such records are left out, as if masked; `count` shows it.

    Two passes, the second correcting the first's mean by the mean deviation r_g from it, so that means a million times
    the spread lose nothing even in float32. Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample
    variance", The American Statistician 37 (the corrected two-pass algorithm).
    """
    xp = framework_of(losses)
    _check(losses, groups, num_groups, mask)
    losses = xp.accumulator(losses)
    ids = xp.broadcast(xp.integers(groups, losses), losses)
    counted = (ids >= 0) & (ids < num_groups)
    if mask is not None:
        counted = counted & xp.broadcast(xp.cast(mask, counted), losses)
    # What does not count goes to one slot more than there are groups, which is then cut off.
    slots = xp.where(counted, ids, xp.integers(num_groups, losses))
    zero = xp.cast(0.0, losses)
    clean = xp.where(counted, losses, zero)
    ones = xp.where(counted, xp.cast(1.0, losses), zero)
    count = xp.group_sum(ones, slots, num_groups + 1)
    divisor = xp.where(count > 0, count, xp.cast(1.0, losses))
    mean = xp.group_sum(clean, slots, num_groups + 1) / divisor
    deviation = clean - xp.take(mean, slots)
    correction = xp.group_sum(deviation, slots, num_groups + 1) / divisor
    correction = xp.where(xp.abs(mean) < math.inf, correction, zero)  # an infinite risk stays infinite
    deviation = deviation - xp.take(correction, slots)
    m2 = xp.group_sum(deviation * deviation, slots, num_groups + 1)
    return GroupMoments(*(x[..., :num_groups] for x in (count, mean + correction, m2)))


def merge(a: GroupMoments, b: GroupMoments) -> GroupMoments:
    """Moments of the union of two disjoint sets of records, exactly.

        n = n_a + n_b,  R = R_a + (R_b - R_a) n_b / n,  m2 = m2_a + m2_b + (R_b - R_a)^2 n_a n_b / n

    **Arguments:** two `GroupMoments` over the same groups.

    **Returns:** their `GroupMoments`. Source: Chan, Golub & LeVeque (1983), eq. 2.1.
    """
    xp = framework_of(a.mean)
    count = a.count + b.count
    share = b.count / xp.where(count > 0, count, xp.cast(1.0, count))
    gap = b.mean - a.mean
    return GroupMoments(count, a.mean + gap * share, a.m2 + b.m2 + gap * gap * a.count * share)


def _check(losses: Array, groups: Array, num_groups: int, mask: Array | None) -> None:
    shape = tuple(losses.shape)
    if not shape:
        raise RiskError("losses is a scalar; expected shape [..., record]")
    if num_groups < 1:
        raise RiskError(f"num_groups is {num_groups}; expected at least 1")
    for name, x in (("groups", groups), ("mask", mask)):
        if x is None:
            continue
        framework_of(x)
        if not (_fits(x, shape) or _fits(x, shape[-1:])):
            raise RiskError(f"{name} has shape {tuple(x.shape)}; expected {shape}, as losses, or {shape[-1:]}")
    if not framework_of(groups).is_integer(groups):
        raise RiskError(f"groups has dtype {groups.dtype}; expected integers in 0..{num_groups - 1}: cast them first")
    if mask is not None and "bool" not in str(mask.dtype):
        raise RiskError(f"mask has dtype {mask.dtype}; expected booleans, True where a record counts")
    ids, counted = concrete(groups), True if mask is None else concrete(mask)
    if ids is not None and counted is not None:
        ids = np.where(counted, ids, 0)
        if ids.size and (ids.min() < 0 or ids.max() >= num_groups):
            raise RiskError(
                f"groups holds ids from {ids.min()} to {ids.max()}; expected 0..{num_groups - 1} (num_groups={num_groups})"
            )


def _fits(x: Array, shape: tuple[int | None, ...]) -> bool:
    """Whether `x` has that shape; None is a length that TensorFlow does not know yet."""
    return len(x.shape) == len(shape) and all(
        a == b or a is None or b is None for a, b in zip(x.shape, shape, strict=True)
    )
