"""The penalties on the spread of the risks of the groups that are present.

Each takes `GroupMoments` over `[..., group]` and returns `[...]`. A group is present if it has a record; K is the
number of present groups, and Rbar the mean of their risks. With one present group every penalty on the spread is 0
with a finite gradient.
"""

from worldrex.risk.arrays import Array, framework_of
from worldrex.risk.moments import Moments, squares_of
from worldrex.risk.risks import present_groups

# Below this share of its weight, a group's freedom is the rounding of that of a single record.
LEAST_FREEDOM = 1e-5


def variance(m: Moments, *, debiased: bool = True) -> Array:
    """Variance of the risks of the present groups; debiased, an unbiased estimate of that of the true risks.

        plain    = sum_g (R_g - Rbar)^2 / K
        debiased = plain - (K - 1)/K^2 * sum_g s2_g / n_g,   s2_g = m2_g / (n_g - 1)

    The correction is the sampling noise that a mini-batch adds: E[plain] exceeds the variance of the true risks by
    (K - 1)/K^2 * sum_g sigma2_g / n_g. A group with one record takes the pooled s2 of its row, which assumes that its
    noise is like the others'; where no group has two records nothing is known of the noise, and nothing is taken off.
    The debiased value may be negative and must not be clipped in training. With record weights, 1/n_g is the sum of
    the squared weights over the squared sum, and n_g - 1 the sum less the squares over the sum.

    The noise is that of records drawn with replacement, or from a log much larger than the batch. What it estimates is
    the spread of the risks of the system, not of the log at hand: on the full log, too, it takes off the log's own noise.

    **Returns:** `[...]`, in squared units of the loss. Source: V-REx, Krueger et al. 2021, eq. 8, arXiv 2003.00688;
    the correction is the one-way analysis of variance's.
    """
    xp = framework_of(m.mean)
    present, number, center = present_groups(m)
    gap = xp.where(present, m.mean - center, xp.cast(0.0, m.mean))
    plain = xp.sum(gap * gap) / number
    if not debiased:
        return plain[..., 0]
    per_m2, _ = noise_per_m2(m)
    return (plain - (number - 1) / (number * number) * xp.sum(per_m2 * m.m2))[..., 0]


def noise_per_m2(m: Moments) -> tuple[Array, Array]:
    """What a unit of each group's m2 adds to sum_g s2_g / n_g, and to s2_g / n_g of the group alone; `[..., group]`.

    The first lets the groups with one record take the pooled s2 of their row; the second gives them 0.
    """
    xp = framework_of(m.mean)
    zero, one = xp.cast(0.0, m.mean), xp.cast(1.0, m.mean)
    present = m.count > 0
    count = xp.where(present, m.count, one)
    squares = squares_of(m)
    shrink = squares / (count * count)  # 1/n_g, without weights
    freedom = m.count - squares / count  # n_g - 1, without weights
    several = freedom > m.count * LEAST_FREEDOM
    freedom = xp.where(several, freedom, zero)
    own = xp.where(several, shrink / xp.where(several, freedom, one), zero)
    in_all = xp.sum(freedom)
    singles = xp.sum(xp.where(present & ~several, shrink, zero))
    return own + xp.where(several, singles / xp.where(in_all > 0, in_all, one), zero), own


def std(m: Moments, *, debiased: bool = True) -> Array:
    """Standard deviation of the present groups' risks: the square root of `variance`, 0 where that is not positive.

    The gradient at 0 is 0, not infinite. The square of the debiased one is unbiased as long as it is not cut; the root of
    an unbiased estimate is itself low, the more the noisier it is: by 1.5 % where the estimate is cut in 1 of 20,000
    batches, by 9 % where in 6 % of them. Where that matters, take the variance. Source: Xie et al. 2020, arXiv 2006.07544.
    """
    xp = framework_of(m.mean)
    v = variance(m, debiased=debiased)
    positive = v > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, v, xp.cast(1.0, v))), xp.cast(0.0, v))


def mean_absolute_deviation(m: Moments) -> Array:
    """Mean absolute deviation of the present groups' risks, sum_g |R_g - Rbar| / K (the seed notebook's variant)."""
    xp = framework_of(m.mean)
    present, number, center = present_groups(m)
    return (xp.sum(xp.where(present, xp.abs(m.mean - center), xp.cast(0.0, m.mean))) / number)[..., 0]


def worst_excess(m: Moments) -> Array:
    """The worst risk's excess over the mean, max_g R_g - Rbar over the present groups.

    MM-REx with lambda_min = lam is mean_risk + (1 - K lam) worst_excess (Krueger et al. 2021, eq. 7, arXiv 2003.00688).
    """
    xp = framework_of(m.mean)
    present, _, center = present_groups(m)
    return xp.max(xp.where(present, m.mean - center, xp.cast(0.0, m.mean)))[..., 0]


def irm(d: Moments, *, debiased: bool = True) -> Array:
    """Invariant risk minimization's penalty: the mean square of the risks' derivatives with respect to a dummy scale.

        plain    = sum_g d_g^2 / K,   d_g = mean over the group's records of dl_i/dw at w = 1
        debiased = sum_g (d_g^2 - s2_g / n_g) / K

    The debiased one equals the average over all products of one half of a group's records with the other. It needs two
    records: a group with one contributes 0. With several scales (of mean and log variance), add up their penalties.

    **Arguments:** `d`: `group_moments` of the records' *derivatives* (see `scales`), not of their losses.

    **Returns:** `[...]`. Source: IRMv1, Arjovsky et al. 2019, eq. (IRMv1) and appendix D, arXiv 1907.02893.
    """
    xp = framework_of(d.mean)
    present, number, _ = present_groups(d)
    zero = xp.cast(0.0, d.mean)
    square = xp.where(present, d.mean * d.mean, zero)
    if debiased:
        _, own = noise_per_m2(d)
        square = xp.where(own > 0, square - own * d.m2, zero)
    return (xp.sum(square) / number)[..., 0]
