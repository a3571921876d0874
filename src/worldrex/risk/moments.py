"""Per-group count, mean and sum of squared deviations: the one statistic from which every risk and penalty follows."""

import math
from typing import NamedTuple

from worldrex.risk.arrays import Array, RiskError, bounds_of, framework_of

# Its square still fits in float32, times a million records.
LARGEST_WEIGHT = 1e15


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
"""Either, as the risks and penalties take them."""


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
    - `weights`: `[..., record]` or `[record]`, from 0 to 1e15: importance weights. Only ratios within a group matter to
      its risk. No gradient flows into them.

    **Returns:** `GroupMoments`, or `WeightedMoments` if there are weights, each `[..., num_groups]`.

    **Raises:** `RiskError` for ids that are not integers, or that are negative or too large, and for negative weights,
    where values are concrete. Under `jit` such records are left out, as if masked; `count` shows it.

    Two passes, the second correcting the first's mean by the mean deviation r_g from it, m2_g = sum_{i in g}
    w_i (l_i - S_g)^2 - n_g r_g^2 with S_g the first's, so that means a million times the spread lose nothing even in
    float32. Sums of hundreds of thousands of float32 records in one group lose digits in JAX, PyTorch and TensorFlow (m2:
    4e-4 at a million): merge the moments of parts there, or use float64. Source: Chan, Golub & LeVeque 1983, "Algorithms
    for computing the sample variance", The American Statistician 37 (the corrected two-pass algorithm).
    """
    in_range = check_records(losses, groups, num_groups, mask, weights)
    xp = framework_of(losses)
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
    require_moments(a, "a")
    require_moments(b, "b")
    if tuple(a.mean.shape) != tuple(b.mean.shape):
        raise RiskError(
            f"moments of shapes {tuple(a.mean.shape)} and {tuple(b.mean.shape)}; expected the same [..., group]"
        )
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


def check_records(losses: Array, groups: Array, num_groups: int, mask: Array | None, weights: Array | None) -> bool:
    """Raise `RiskError` for records that do not fit together. Returns whether all ids are known to be in range."""
    named = {"losses": losses, "groups": groups, "mask": mask, "weights": weights}
    for name, x in named.items():
        if x is not None or name in ("losses", "groups"):
            framework_of(x, name)
    shape = tuple(losses.shape)
    if not shape:
        raise RiskError("losses is a scalar; expected shape [..., record]")
    if not framework_of(losses).is_float(losses):
        raise RiskError(f"losses has dtype {losses.dtype}; expected real floats: cast them first")
    if isinstance(num_groups, bool) or not hasattr(num_groups, "__index__"):
        raise RiskError(
            f"num_groups is {num_groups!r}; expected a Python integer, the number of groups in the data (static under jit)"
        )
    if num_groups < 1:
        raise RiskError(f"num_groups is {num_groups}; expected at least 1")
    for name, x in named.items():
        if name == "losses" or x is None or _fits(x, shape) or _fits(x, shape[-1:]):
            continue
        expected = " or ".join(dict.fromkeys(map(str, (shape, shape[-1:]))))
        column = shape[-1] == 1 and len(shape) > 1 and shape[-2] != 1
        hint = (
            ". The losses are a column: each row would be a batch of one record; squeeze the last axis"
            if column
            else ""
        )
        raise RiskError(f"{name} has shape {tuple(x.shape)}; expected {expected} for losses of shape {shape}{hint}")
    if not framework_of(groups).is_integer(groups):
        raise RiskError(f"groups has dtype {groups.dtype}; expected integers in 0..{num_groups - 1}: cast them first")
    if mask is not None and "bool" not in str(mask.dtype):
        raise RiskError(f"mask has dtype {mask.dtype}; expected booleans, True where a record counts")
    found = bounds_of(groups, mask)
    if found and (found[0] < 0 or found[1] >= num_groups):
        raise RiskError(
            f"groups holds ids from {found[0]} to {found[1]}; expected 0..{num_groups - 1} (num_groups={num_groups})"
        )
    of_weights = None if weights is None else bounds_of(weights, mask)
    if of_weights and not 0 <= of_weights[0] <= of_weights[1] <= LARGEST_WEIGHT:
        raise RiskError(
            f"weights holds values from {of_weights[0]} to {of_weights[1]}; expected 0 (the record does not count) to "
            f"{LARGEST_WEIGHT:g}: only their ratios matter, so scale them"
        )
    return found is not None


def require_moments(m: object, name: str = "m") -> None:
    """Raise `RiskError` unless `m` is what `group_moments` returns."""
    if not isinstance(m, Moments):
        raise RiskError(
            f"{name} is a {type(m).__qualname__}; expected moments: group_moments(losses, groups, num_groups)"
        )


def _fits(x: Array, shape: tuple[int | None, ...]) -> bool:
    """Whether `x` has that shape; None is a length that TensorFlow does not know yet."""
    return len(x.shape) == len(shape) and all(
        a == b or a is None or b is None for a, b in zip(x.shape, shape, strict=True)
    )
