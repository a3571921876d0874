"""Risks over the groups that are present, and the penalties on their spread.

Each takes `GroupMoments` over `[..., group]` and returns `[...]`. A group is present if it has a record; K is the
number of present groups. With one present group every penalty is 0 with a finite gradient.
"""

from worldrex.risk.arrays import Array, framework_of
from worldrex.risk.moments import GroupMoments


def _present(m: GroupMoments) -> tuple[Array, Array, Array]:
    """Which groups are present, their number K (at least 1) and their mean risk, the last two as `[..., 1]`."""
    xp = framework_of(m.mean)
    present = m.count > 0
    one, zero = xp.cast(1.0, m.mean), xp.cast(0.0, m.mean)
    number = xp.sum(xp.where(present, one, zero))
    number = xp.where(number > 0, number, one)
    return present, number, xp.sum(xp.where(present, m.mean, zero)) / number


def mean_risk(m: GroupMoments) -> Array:
    """Mean of the risks of the present groups, Rbar = sum_g R_g / K.

    Does not change scale with the number of groups that happen to be in the batch (DomainBed's convention; Gulrajani
    & Lopez-Paz 2021, arXiv 2007.01434).
    """
    return _present(m)[2][..., 0]


def sum_risk(m: GroupMoments) -> Array:
    """Sum of the risks of the present groups, sum_g R_g (Krueger et al. 2021, eq. 8, arXiv 2003.00688)."""
    xp = framework_of(m.mean)
    return xp.sum(m.mean)[..., 0]


def pooled_risk(m: GroupMoments) -> Array:
    """Mean loss over all records, sum_g n_g R_g / sum_g n_g: plain empirical risk minimization over the batch."""
    xp = framework_of(m.mean)
    total = xp.sum(m.count)
    return (xp.sum(m.count * m.mean) / xp.where(total > 0, total, xp.cast(1.0, total)))[..., 0]


def mean_over_models(m: GroupMoments) -> Array:
    """Risk of each group, averaged over the rows (models) in which the group is present, `[group]`.

    The seed notebook averaged absent groups in as zeros; here a model without records of a group has no say in it.
    A group that no row has gets 0.
    """
    xp = framework_of(m.mean)
    one, zero = xp.cast(1.0, m.mean), xp.cast(0.0, m.mean)
    rows = xp.sum_over_models(xp.where(m.count > 0, one, zero))
    return xp.sum_over_models(m.mean) / xp.where(rows > 0, rows, one)


def variance(m: GroupMoments, *, debiased: bool = True) -> Array:
    """Variance of the risks of the present groups; debiased, an unbiased estimate of that of the true risks.

        plain    = sum_g (R_g - Rbar)^2 / K
        debiased = plain - (K - 1)/K^2 * sum_g s2_g / n_g,   s2_g = m2_g / (n_g - 1)

    The correction is the sampling noise that a mini-batch adds: E[plain] exceeds the variance of the true risks by
    (K - 1)/K^2 * sum_g sigma2_g / n_g. A group with one record takes the pooled s2 of its row, which assumes that its
    noise is like the others'. The debiased value may be negative and must not be clipped in training.

    **Returns:** `[...]`, in squared units of the loss. Source: V-REx, Krueger et al. 2021, eq. 8, arXiv 2003.00688;
    the correction is the one-way analysis of variance's.
    """
    xp = framework_of(m.mean)
    present, number, center = _present(m)
    zero, one = xp.cast(0.0, m.mean), xp.cast(1.0, m.mean)
    gap = xp.where(present, m.mean - center, zero)
    plain = xp.sum(gap * gap) / number
    if not debiased:
        return plain[..., 0]
    freedom = xp.where(m.count > 1, m.count - 1, zero)
    pooled_freedom = xp.sum(freedom)
    pooled = xp.sum(m.m2) / xp.where(pooled_freedom > 0, pooled_freedom, one)
    s2 = xp.where(freedom > 0, m.m2 / xp.where(freedom > 0, freedom, one), pooled)
    noise = xp.sum(xp.where(present, s2 / xp.where(present, m.count, one), zero))
    return (plain - (number - 1) / (number * number) * noise)[..., 0]


def std(m: GroupMoments, *, debiased: bool = True) -> Array:
    """Standard deviation of the risks of the present groups: the square root of `variance`, 0 where that is not positive.

    The gradient at 0 is 0, not infinite. Source: Xie et al. 2020, arXiv 2006.07544.
    """
    xp = framework_of(m.mean)
    v = variance(m, debiased=debiased)
    positive = v > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, v, xp.cast(1.0, v))), xp.cast(0.0, v))


def mean_absolute_deviation(m: GroupMoments) -> Array:
    """Mean absolute deviation of the risks of the present groups, sum_g |R_g - Rbar| / K (the seed notebook's variant)."""
    xp = framework_of(m.mean)
    present, number, center = _present(m)
    return (xp.sum(xp.where(present, xp.abs(m.mean - center), xp.cast(0.0, m.mean))) / number)[..., 0]


def worst_excess(m: GroupMoments) -> Array:
    """The worst risk's excess over the mean, max_g R_g - Rbar over the present groups.

    MM-REx with lambda_min = lam is mean_risk + (1 - K lam) worst_excess (Krueger et al. 2021, eq. 7, arXiv 2003.00688).
    """
    xp = framework_of(m.mean)
    present, _, center = _present(m)
    return xp.max(xp.where(present, m.mean - center, xp.cast(0.0, m.mean)))[..., 0]
