"""Per-group count, mean and sum of squared deviations: the one statistic from which every risk and penalty follows."""

import math
from typing import NamedTuple

from worldrex.risk.arrays import Array, RiskError, framework_of


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


class WeightedMoments(NamedTuple):
    """`GroupMoments` of records with weights: one number more, since weights add noise to a mean."""

    count: Array
    """Sum of the records' weights n_g, `[..., group]`, in the losses' dtype."""
    mean: Array
    """Risk R_g, the weighted mean loss, `[..., group]`."""
    m2: Array
    """Sum of w_i (l_i - R_g)^2 over the group's records, `[..., group]`."""
    square: Array
    """Sum of w_i^2, `[..., group]`; without weights it would be the count."""


Moments = GroupMoments | WeightedMoments


def group_moments(
    losses: Array, groups: Array, num_groups: int, mask: Array | None = None, *, weights: Array | None = None
) -> Moments:
    """Count, mean and sum of squared deviations of the losses of each group.

        n_g = sum_{i in g} w_i,   R_g = sum_{i in g} w_i l_i / n_g,   m2_g = sum_{i in g} w_i (l_i - R_g)^2,   w_i = 1

    Time and memory are O(records + rows x groups). Records that are masked or have weight 0, NaN and infinite ones
    included, touch neither values nor gradients.

    **Arguments:**

    - `losses`: `[..., record]`, float; float16 and bfloat16 accumulate in float32.
    - `groups`: `[..., record]` or `[record]`, integer ids in `0..num_groups-1`; each row may hold different groups.
    - `num_groups`: P, the number of groups in the data, whether or not the batch has them.
    - `mask`: `[..., record]` or `[record]`, boolean, True where a record counts.
    - `weights`: `[..., record]` or `[record]`, 0 or more: importance weights. Only ratios within a group matter to
      its risk. No gradient flows into them.

    **Returns:** `GroupMoments`, or `WeightedMoments` if there are weights, each `[..., num_groups]`.

    **Raises:** `RiskError` for ids that are not integers, or that are negative or too large, and for negative weights,
    where values are concrete. Under `jit` such records are left out, as if masked; `count` shows it.

    Two passes, the second correcting the first's mean by the mean deviation r_g from it, m2_g = sum_{i in g}
    w_i (l_i - S_g)^2 - n_g r_g^2 with S_g the first's, so that means a million times the spread lose nothing even in
    float32. Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", The American
    Statistician 37 (the corrected two-pass algorithm).
    """
    xp = framework_of(losses)
    in_range = _check(losses, groups, num_groups, mask, weights)
    losses = xp.accumulator(losses)
    ids = xp.broadcast(xp.integers(groups, losses), losses)
    counted = None if in_range and mask is None else (ids >= 0) & (ids < num_groups)
    if mask is not None:
        counted = counted & xp.broadcast(xp.cast(mask, counted), losses)
    share = xp.broadcast(xp.cast(1.0, losses), losses)
    if weights is not None:
        share = xp.constant(xp.broadcast(xp.cast(weights, losses), losses))
        counted = share > 0 if counted is None else counted & (share > 0)
    if counted is not None:
        # What does not count adds 0 to the first group.
        zero = xp.cast(0.0, losses)
        ids = xp.where(counted, ids, xp.integers(0, losses))
        losses, share = xp.where(counted, losses, zero), xp.where(counted, share, zero)
    all_alike = counted is None  # no multiplications by 1 where nothing tells the records apart

    def sums(values: Array) -> Array:
        return xp.group_sum(values if all_alike else share * values, ids, num_groups)

    count = xp.group_sum(share, ids, num_groups)
    divisor = xp.where(count > 0, count, xp.cast(1.0, count))
    # The first pass only says where to count from: no derivative of any order passes through it. An infinite risk stays
    # infinite: it is counted from 0.
    start = xp.finite(sums(xp.constant(losses)) / divisor)
    deviation = losses - xp.take(start, ids)
    correction = sums(deviation) / divisor
    finite = xp.finite(correction)
    square = deviation * deviation if all_alike else share * deviation * deviation
    m2 = xp.group_sum(square, ids, num_groups) - count * finite * finite
    if weights is None:
        return GroupMoments(count, start + correction, m2)
    return WeightedMoments(count, start + correction, m2, xp.group_sum(share * share, ids, num_groups))


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of the union of two disjoint sets of records, exactly.

        n = n_a + n_b,  R = R_a + (R_b - R_a) n_b / n,  m2 = m2_a + m2_b + (R_b - R_a)^2 n_a n_b / n

    **Arguments:** two moments over the same groups, with or without weights.

    **Returns:** moments, weighted if one of them is. Source: Chan, Golub & LeVeque (1983), eq. 2.1.
    """
    xp = framework_of(a.mean)
    count = a.count + b.count
    share = b.count / xp.where(count > 0, count, xp.cast(1.0, count))
    gap = b.mean - a.mean
    merged = GroupMoments(count, a.mean + gap * share, a.m2 + b.m2 + gap * gap * a.count * share)
    if isinstance(a, GroupMoments) and isinstance(b, GroupMoments):
        return merged
    return WeightedMoments(*merged, squares_of(a) + squares_of(b))


def all_reduce(m: Moments, axis_name: object = None) -> Moments:
    """Moments of the union of all devices' or processes' records, the same on each of them.

        n = sum n_d,  S = sum n_d R_d / n,  R = S + r,  r = sum n_d (R_d - S) / n,
        m2 = sum (m2_d + n_d (R_d - S)^2) - n r^2

    What is sent is O(rows x groups), whatever the records.

    **Arguments:**

    - `m`: this device's moments.
    - `axis_name`: JAX: the mesh axis (or axes) to reduce over, inside `jax.shard_map` or `vmap`. PyTorch: a process
      group of `torch.distributed`, None for the default one.

    **Returns:** moments of the same kind. Gradients: under JAX, those of the whole. Under PyTorch each process gets the
    share that flows through its own records, so that the *sum* of the processes' gradients is the whole's:
    DistributedDataParallel takes their mean, so multiply the objective by the number of processes there.

    **Raises:** `RiskError` for NumPy and TensorFlow arrays, which have no such collective here.
    """
    xp = framework_of(m.mean)

    def total(x: Array) -> Array:
        return xp.all_sum(x, axis_name)

    count = total(m.count)
    divisor = xp.where(count > 0, count, xp.cast(1.0, count))
    start = xp.constant(total(xp.constant(m.count * m.mean)) / divisor)
    start = xp.where(xp.abs(start) < math.inf, start, xp.cast(0.0, count))
    gap = xp.where(m.count > 0, m.mean - start, xp.cast(0.0, count))
    rest = total(m.count * gap) / divisor
    m2 = total(m.m2 + m.count * gap * gap) - count * rest * rest
    merged = GroupMoments(count, start + rest, m2)
    return merged if isinstance(m, GroupMoments) else WeightedMoments(*merged, total(m.square))


def squares_of(m: Moments) -> Array:
    """Sum of the squared weights of each group's records; their number where there are none."""
    return m.count if isinstance(m, GroupMoments) else m.square


def _check(losses: Array, groups: Array, num_groups: int, mask: Array | None, weights: Array | None) -> bool:
    """Refuse what does not fit; True if every id that counts is known to be in range."""
    shape = tuple(losses.shape)
    if not shape:
        raise RiskError("losses is a scalar; expected shape [..., record]")
    if num_groups < 1:
        raise RiskError(f"num_groups is {num_groups}; expected at least 1")
    for name, x in (("groups", groups), ("mask", mask), ("weights", weights)):
        if x is None:
            continue
        framework_of(x)
        if not (_fits(x, shape) or _fits(x, shape[-1:])):
            raise RiskError(f"{name} has shape {tuple(x.shape)}; expected {shape}, as losses, or {shape[-1:]}")
    if not framework_of(groups).is_integer(groups):
        raise RiskError(f"groups has dtype {groups.dtype}; expected integers in 0..{num_groups - 1}: cast them first")
    if mask is not None and "bool" not in str(mask.dtype):
        raise RiskError(f"mask has dtype {mask.dtype}; expected booleans, True where a record counts")
    found = framework_of(groups).bounds(groups, mask)
    in_range = found is not None
    if found and (found[0] < 0 or found[1] >= num_groups):
        raise RiskError(
            f"groups holds ids from {found[0]} to {found[1]}; expected 0..{num_groups - 1} (num_groups={num_groups})"
        )
    found = None if weights is None else framework_of(weights).bounds(weights, None)
    if found and not found[0] >= 0:
        raise RiskError(f"weights holds {found[0]}; expected 0 (the record does not count) or more")
    return in_range


def _fits(x: Array, shape: tuple[int | None, ...]) -> bool:
    """Whether `x` has that shape; None is a length that TensorFlow does not know yet."""
    return len(x.shape) == len(shape) and all(
        a == b or a is None or b is None for a, b in zip(x.shape, shape, strict=True)
    )
