"""Per-group count, mean and sum of squared deviations: the one statistic from which every risk and penalty follows."""

import math
from typing import NamedTuple

import numpy as np

from worldrex.risk.arrays import Array, RiskError, framework_of, is_concrete


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
    - `mask`: `[..., record]` or `[record]`, True where a record counts.

    **Returns:** `GroupMoments`, each `[..., num_groups]`.

    **Raises:** `RiskError` for ids that are not integers, or that are negative or too large where values are
    concrete. Under `jit` such records are left out, as if masked; `count` shows it.

    Two passes (Chan, Golub & LeVeque 1983), so that means a million times the spread lose nothing.
    """
    xp = framework_of(losses)
    _check(losses, groups, num_groups, mask)
    losses = xp.accumulator(losses)
    shape = tuple(losses.shape)
    ids = xp.broadcast(xp.integers(groups, losses), shape)
    counted = (ids >= 0) & (ids < num_groups)
    if mask is not None:
        counted = counted & xp.broadcast(mask, shape)
    # What does not count goes to one slot more than there are groups, which is then cut off.
    slots = xp.where(counted, ids, xp.integers(num_groups, losses))
    zero = xp.cast(0.0, losses)
    clean = xp.where(counted, losses, zero)
    ones = xp.where(counted, xp.cast(1.0, losses), zero)
    count = xp.group_sum(ones, slots, num_groups + 1)
    mean = xp.group_sum(clean, slots, num_groups + 1) / xp.where(count > 0, count, xp.cast(1.0, losses))
    deviation = xp.where(counted, clean - xp.take(mean, slots), zero)
    m2 = xp.group_sum(deviation * deviation, slots, num_groups + 1)
    return GroupMoments(*(x[..., :num_groups] for x in (count, mean, m2)))


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
    xp = framework_of(losses)
    if num_groups < 1:
        raise RiskError(f"num_groups is {num_groups}; expected at least 1")
    for name, x in (("groups", groups), ("mask", mask)):
        if x is not None and tuple(x.shape) not in (tuple(losses.shape), tuple(losses.shape[-1:])):
            raise RiskError(
                f"{name} has shape {tuple(x.shape)}; expected {tuple(losses.shape)}, as losses, or {tuple(losses.shape[-1:])}"
            )
    if not xp.is_integer(groups):
        raise RiskError(f"groups has dtype {groups.dtype}; expected integers in 0..{num_groups - 1}: cast them first")
    if is_concrete(groups) and math.prod(groups.shape) and (mask is None or is_concrete(mask)):
        ids = np.asarray(groups)
        if mask is not None:
            ids = np.where(np.asarray(mask), ids, 0)
        if ids.min() < 0 or ids.max() >= num_groups:
            raise RiskError(
                f"groups holds ids from {ids.min()} to {ids.max()}; expected 0..{num_groups - 1} (num_groups={num_groups})"
            )
