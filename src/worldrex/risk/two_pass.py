"""Exact gradients over micro-batches and shards, in two passes: the weight of each record's loss in the objective.

Every objective is a function of the moments, so its gradient with respect to a record's loss depends on the record's
group and its own loss alone: dO/dl_i = w_i (dO/dR_g / n_g + 2 dO/dm2_g (l_i - R_g)), with w_i = 1 without weights.
"""

from collections.abc import Callable
from typing import NamedTuple

from worldrex.risk import group_dro, penalties, risks, tracking
from worldrex.risk.arrays import Array, RiskError, framework_of
from worldrex.risk.moments import GroupMoments, Moments, check_records, require_moments
from worldrex.risk.objectives import (
    CVAR_ALPHA,
    QUANTILE_ALPHA,
    Options,
    PenaltyName,
    Reduce,
    compared,
    require_known,
    require_weight,
    state_of,
)


class Slopes(NamedTuple):
    """Derivatives of a scalar of each row with respect to its moments, `[..., group]` each."""

    mean: Array
    m2: Array


def record_weights(
    losses: Array,
    groups: Array,
    m: Moments,
    *,
    penalty: PenaltyName = "variance",
    weight: float | Array = 1.0,
    debiased: bool = True,
    reduce: Reduce = "mean",
    rescale: bool = False,
    alpha: float | None = None,
    density: risks.Density = "kernel",
    state: group_dro.State | None = None,
    mask: Array | None = None,
    weights: Array | None = None,
    tracked: Moments | None = None,
) -> Array:
    """The derivative of the whole batch's objective with respect to each loss of a micro-batch.

    Pass 1 collects the moments of all micro-batches (`group_moments`, `merge`, `all_reduce`), without derivatives.
    Pass 2 back-propagates each micro-batch's sum of `record_weights(...) * losses`: these gradients add up to that of
    the objective on all records at once.

    **Arguments:** `losses`, `groups`, `mask` and `weights` as for `group_moments`, of the micro-batch; `m`, the moments
    of *all* records; the others as for `objective`. For "irm", take `penalty="none"` with the losses, and
    `penalty="irm", reduce="none"` with the derivatives, their moments as `m` (and their tracked ones as `tracked`).

    **Returns:** `[..., record]`, 0 for records that do not count; no gradient flows through it.

    **Raises:** `RiskError` as `objective` does.
    """
    require_known(penalty, _SLOPES, "penalty")
    require_known(reduce, _RISK_SLOPES, "reduce")
    require_moments(m)
    require_weight(weight)
    if penalty == "irm" and reduce != "none":
        raise RiskError(
            "penalty 'irm' is of the derivatives, and the risk of the losses: call record_weights with penalty='none' and the "
            "losses, and with penalty='irm', reduce='none', the derivatives and their moments"
        )
    check_records(losses, groups, m.mean.shape[-1], mask, weights)
    if tuple(losses.shape[:-1]) != tuple(m.mean.shape[:-1]):
        raise RiskError(
            f"losses has shape {tuple(losses.shape)} and m {tuple(m.mean.shape)}; expected the same leading axes in both"
        )
    if (weights is None) != isinstance(m, GroupMoments):
        raise RiskError("weights and weighted moments go together: give the weights in both passes, or in none")
    xp = framework_of(losses)
    values = xp.constant(xp.accumulator(losses))
    m = type(m)(*map(xp.constant, m))
    zero, one = xp.cast(0.0, m.mean), xp.cast(1.0, m.mean)
    per_row: Array = xp.cast(weight, m.mean)
    per_row = per_row[..., None] if len(per_row.shape) else per_row
    of_risk = _RISK_SLOPES[reduce](m)
    of_penalty = _SLOPES[penalty](compared(m, tracked), Options(debiased, alpha, density, state))
    if tracked is not None:
        of_penalty = of_penalty._replace(m2=of_penalty.m2 * tracking.slope_of_m2(tracked, m))
    scale = xp.where(per_row > 1, per_row, one) if rescale else one
    slopes = Slopes((of_risk + per_row * of_penalty.mean) / scale, per_row * of_penalty.m2 / scale)

    num_groups = m.mean.shape[-1]
    ids = xp.broadcast(xp.integers(groups, values), values)
    counted = (ids >= 0) & (ids < num_groups)
    if mask is not None:
        counted = counted & xp.broadcast(xp.cast(mask, counted), values)
    share = one
    if weights is not None:
        share = xp.broadcast(xp.cast(weights, values), values)
        counted = counted & (share > 0)
        share = xp.where(counted, share, zero)
    slots = xp.where(counted, ids, xp.integers(0, values))
    per_record = xp.take(slopes.mean / xp.where(m.count > 0, m.count, one), slots)
    gap = xp.where(counted, values, zero) - xp.take(m.mean, slots)
    result = share * (per_record + 2 * xp.take(slopes.m2, slots) * gap)
    return xp.constant(xp.where(counted, result, zero))


def _present(m: Moments, value: Array) -> Array:
    """`value` where the group is present, else 0."""
    xp = framework_of(m.mean)
    return xp.where(m.count > 0, value, xp.cast(0.0, m.mean))


def _of_mean(m: Moments) -> Array:
    _, number, _ = risks.present_groups(m)
    return _present(m, 1 / number)


def _of_pooled(m: Moments) -> Array:
    xp = framework_of(m.mean)
    total = xp.sum(m.count)
    return m.count / xp.where(total > 0, total, xp.cast(1.0, total))


def _only_mean(slope: Array) -> Slopes:
    return Slopes(slope, slope * 0)


def _variance(m: Moments, options: Options) -> Slopes:
    _, number, center = risks.present_groups(m)
    slope = _present(m, 2 * (m.mean - center) / number)
    if not options.debiased:
        return _only_mean(slope)
    per_m2, _ = penalties.noise_per_m2(m)
    return Slopes(slope, -(number - 1) / (number * number) * per_m2)


def _std(m: Moments, options: Options) -> Slopes:
    xp = framework_of(m.mean)
    root = penalties.std(m, debiased=options.debiased)[..., None]
    zero, one = xp.cast(0.0, root), xp.cast(1.0, root)
    half = xp.where(root > 0, 0.5 / xp.where(root > 0, root, one), zero)
    return Slopes(*(half * slope for slope in _variance(m, options)))


def _mean_absolute_deviation(m: Moments, options: Options) -> Slopes:
    del options
    xp = framework_of(m.mean)
    _, number, center = risks.present_groups(m)
    side = _present(m, xp.sign(m.mean - center))
    return _only_mean(_present(m, (side - xp.sum(side) / number) / number))


def _worst_excess(m: Moments, options: Options) -> Slopes:
    del options
    xp = framework_of(m.mean)
    zero, one = xp.cast(0.0, m.mean), xp.cast(1.0, m.mean)
    top = xp.max(xp.where(m.count > 0, m.mean, xp.cast(-float("inf"), m.mean)))
    worst = _present(m, xp.where(m.mean >= top, one, zero))
    ties = xp.sum(worst)
    return _only_mean(worst / xp.where(ties > 0, ties, one) - _of_mean(m))


def _irm(m: Moments, options: Options) -> Slopes:
    xp = framework_of(m.mean)
    _, number, _ = risks.present_groups(m)
    slope = _present(m, 2 * m.mean / number)
    if not options.debiased:
        return _only_mean(slope)
    _, own = penalties.noise_per_m2(m)
    return Slopes(xp.where(own > 0, slope, slope * 0), -own / number)


def _group_dro(m: Moments, options: Options) -> Slopes:
    return _only_mean(group_dro.shares(state_of(options), m) - _of_mean(m))


def _cvar(m: Moments, options: Options) -> Slopes:
    alpha = CVAR_ALPHA if options.alpha is None else options.alpha
    return _only_mean(risks.cvar_shares(m, alpha) - _of_mean(m))


def _quantile(m: Moments, options: Options) -> Slopes:
    xp = framework_of(m.mean)
    alpha = QUANTILE_ALPHA if options.alpha is None else options.alpha
    present, number, center = risks.present_groups(m)
    gap, spread = _present(m, m.mean - center), risks.sample_std(m)
    q = risks.standard_quantile(gap, spread, present, number, alpha, options.density)
    zero, one = xp.cast(0.0, m.mean), xp.cast(1.0, m.mean)
    safe = xp.where(spread > 0, spread, one)
    freedom = xp.where(number > 1, number - 1, one)
    of_spread = gap / (freedom * safe)
    if options.density == "gaussian":
        slope = q * of_spread
    else:
        width = risks.kernel_width(number)
        u = (q - gap / safe) / width
        bell = _present(m, xp.exp(-0.5 * u * u))
        mass = xp.sum(bell)
        bell = bell / xp.where(mass > 0, mass, one)
        # dq = sum bell (dR + u dh), less the mean's own slope; h = width * spread.
        slope = bell - 1 / number + xp.sum(bell * u) * width * of_spread
    return _only_mean(_present(m, xp.where(spread > 0, slope, zero)))


_RISK_SLOPES: dict[str, Callable[[Moments], Array]] = {
    "mean": _of_mean,
    "sum": lambda m: _present(m, m.mean * 0 + 1),
    "pooled": _of_pooled,
    "none": lambda m: m.mean * 0,
}
_SLOPES: dict[str, Callable[[Moments, Options], Slopes]] = {
    "none": lambda m, options: _only_mean(m.mean * 0),
    "variance": _variance,
    "std": _std,
    "mad": _mean_absolute_deviation,
    "worst": _worst_excess,
    "irm": _irm,
    "group_dro": _group_dro,
    "cvar": _cvar,
    "quantile": _quantile,
}
