"""Risks over the groups that are present: their mean, sum, worst share, quantile.

Each takes `GroupMoments` over `[..., group]` and returns `[...]`. A group is present if it has a record; K is the
number of present groups, and Rbar the mean of their risks.
"""

import math
from numbers import Real
from typing import Literal

from worldrex.risk.arrays import Array, RiskError, framework_of
from worldrex.risk.moments import Moments

Density = Literal["kernel", "gaussian"]

BISECTIONS = 48  # of a bracket of up to 2,000 standard deviations, for a million groups
NEWTON_STEPS = 2  # each doubles the order of derivative that is exact


def present_groups(m: Moments) -> tuple[Array, Array, Array]:
    """Which groups are present `[..., group]`, their number K (at least 1) and Rbar, these as `[..., 1]`."""
    xp = framework_of(m.mean)
    present = m.count > 0
    one, zero = xp.cast(1.0, m.mean), xp.cast(0.0, m.mean)
    number = xp.sum(xp.where(present, one, zero))
    number = xp.where(number > 0, number, one)
    return present, number, xp.sum(xp.where(present, m.mean, zero)) / number


def mean_risk(m: Moments) -> Array:
    """Mean of the risks of the present groups, Rbar = sum_g R_g / K.

    Does not change scale with the number of groups that happen to be in the batch (DomainBed's convention; Gulrajani
    & Lopez-Paz 2021, arXiv 2007.01434).
    """
    return present_groups(m)[2][..., 0]


def sum_risk(m: Moments) -> Array:
    """Sum of the risks of the present groups, sum_g R_g (Krueger et al. 2021, eq. 8, arXiv 2003.00688)."""
    xp = framework_of(m.mean)
    return xp.sum(m.mean)[..., 0]


def pooled_risk(m: Moments) -> Array:
    """Mean loss over all records, sum_g n_g R_g / sum_g n_g: plain empirical risk minimization over the batch."""
    xp = framework_of(m.mean)
    total = xp.sum(m.count)
    return (xp.sum(m.count * m.mean) / xp.where(total > 0, total, xp.cast(1.0, total)))[..., 0]


def mean_over_models(m: Moments, *, absent: Literal["skip", "zero"] = "skip") -> Array:
    """Risk of each group, averaged over the rows (models), `[group]`.

    **Arguments:** `absent`: "skip", where a row without records of a group has no say in it, or "zero", the seed
    notebook's convention, which counts such a row as a risk of 0. A group that no row has gets 0.
    """
    if absent not in ("skip", "zero"):
        raise RiskError(f"unknown absent {absent!r}; expected skip, zero")
    xp = framework_of(m.mean)
    one, zero = xp.cast(1.0, m.mean), xp.cast(0.0, m.mean)
    rows = xp.sum_over_models(xp.where(m.count > 0, one, one if absent == "zero" else zero))
    return xp.sum_over_models(m.mean) / xp.where(rows > 0, rows, one)


def excess(m: Moments, baseline: Array) -> Moments:
    """Moments of the excess losses l_i - r_g, for a baseline risk r_g of each group: R_g becomes R_g - r_g.

    V-REx cannot tell a group's noise from misfit. Where groups have different noise floors, give it the floors, and
    the penalties compare what is above them (Krueger et al. 2021, section 3.3, "heteroskedastic"; Agarwal & Zhang 2022,
    "minimax regret", arXiv 2202.05436).

    **Arguments:** `baseline`: `[..., group]` or `[group]`. **Returns:** `GroupMoments`; an absent group's stay 0.

    **Raises:** `RiskError` for another number of groups.
    """
    xp = framework_of(m.mean)
    baseline = xp.cast(baseline, m.mean)
    if tuple(baseline.shape)[-1:] != tuple(m.mean.shape)[-1:]:
        raise RiskError(
            f"baseline has shape {tuple(baseline.shape)} and m {tuple(m.mean.shape)}; expected one number for each group"
        )
    baseline = xp.broadcast(baseline, m.mean)
    return m._replace(mean=xp.where(m.count > 0, m.mean - baseline, xp.cast(0.0, m.mean)))


def cvar(m: Moments, *, alpha: float = 0.5) -> Array:
    """Conditional value at risk: mean of the worst `alpha` share of the risks of the present groups.

        sum_j c_j R_(j) / (alpha K),   R_(0) >= R_(1) >= ...,   c_j = clip(alpha K - j, 0, 1)

    alpha = 1 is the mean, and alpha <= 1/K the worst. Source: Rockafellar & Uryasev 2000, "Optimization of conditional
    value-at-risk".

    **Raises:** `RiskError` unless 0 < alpha <= 1.
    """
    xp = framework_of(m.mean)
    return xp.sum(cvar_shares(m, alpha) * xp.where(m.count > 0, m.mean, xp.cast(0.0, m.mean)))[..., 0]


def cvar_shares(m: Moments, alpha: float) -> Array:
    """The weight of each group's risk in `cvar`, `[..., group]`; they add up to 1. No gradient flows through them."""
    if not isinstance(alpha, Real) or not 0 < alpha <= 1:
        raise RiskError(f"alpha is {alpha!r}; expected a share of the groups: a Python number above 0 and up to 1")
    xp = framework_of(m.mean)
    present, number, _ = present_groups(m)
    zero, one = xp.cast(0.0, m.mean), xp.cast(1.0, m.mean)
    # Absent groups come last.
    rank = xp.rank(xp.where(present, -xp.constant(m.mean), xp.cast(math.inf, m.mean)))
    worst = number * alpha
    share = xp.minimum(worst - rank, one)
    return xp.where(present & (share > 0), share / worst, zero)


def quantile(m: Moments, *, alpha: float = 0.75, density: Density = "kernel") -> Array:
    """The `alpha`-quantile of the distribution of risks that the present groups' risks are taken to be drawn from.

        kernel:    q with 1/K sum_g Phi((q - R_g) / h) = alpha,   h = 1.06 s K^(-1/5),   s = sample std of the R_g
        gaussian:  q = Rbar + Phi^-1(alpha) s

    s has K - 1 degrees of freedom. The kernel's gradient is the implicit one, dq = sum_g phi_g (dR_g + u_g dh) /
    sum_g phi_g with u_g = (q - R_g) / h: the root is found without derivatives, and two Newton steps from it carry the
    first and second ones exactly. With one present group, or equal risks, q is their risk.

    **Arguments:** `alpha`: between 0 and 1; `density`: "kernel" (Gaussian kernels of the Gauss-optimal width) or
    "gaussian". **Returns:** `[...]`. **Raises:** `RiskError` for another alpha.

    Source: EQRM, Eastwood et al. 2022, arXiv 2207.09944.
    """
    xp = framework_of(m.mean)
    present, number, center = present_groups(m)
    gap = xp.where(present, m.mean - center, xp.cast(0.0, m.mean))
    spread = sample_std(m)
    return (center + spread * standard_quantile(gap, spread, present, number, alpha, density))[..., 0]


def sample_std(m: Moments) -> Array:
    """Standard deviation of the present groups' risks with K - 1 degrees of freedom, `[..., 1]`; gradient 0 at 0."""
    xp = framework_of(m.mean)
    present, number, center = present_groups(m)
    one, zero = xp.cast(1.0, m.mean), xp.cast(0.0, m.mean)
    gap = xp.where(present, m.mean - center, zero)
    square = xp.sum(gap * gap) / xp.where(number > 1, number - 1, one)
    return xp.where(square > 0, xp.sqrt(xp.where(square > 0, square, one)), zero)


def standard_quantile(
    gap: Array, spread: Array, present: Array, number: Array, alpha: float, density: Density
) -> Array:
    """The quantile in units of `spread` from the center, `[..., 1]`; 0 where the spread is 0."""
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise RiskError(f"alpha is {alpha!r}; expected a probability: a Python number between 0 and 1")
    if density not in ("kernel", "gaussian"):
        raise RiskError(f"unknown density {density!r}; expected kernel, gaussian")
    xp = framework_of(gap)
    zero, one = xp.cast(0.0, gap), xp.cast(1.0, gap)
    normal = normal_quantile(alpha)
    if density == "gaussian":
        return xp.where(spread > 0, xp.cast(normal, gap), zero)
    z = gap / xp.where(spread > 0, spread, one)
    width = kernel_width(number)

    def above(q: Array, z: Array) -> Array:
        u = (q - z) / width
        share = xp.where(present, 0.5 * (1 + xp.erf(u * math.sqrt(0.5))), zero)
        return xp.sum(share) / number - alpha

    def slope(q: Array, z: Array) -> Array:
        u = (q - z) / width
        bell = xp.where(present, xp.exp(-0.5 * u * u), zero)
        return xp.sum(bell) / (number * width * math.sqrt(2 * math.pi))

    fixed = xp.constant(z)
    # Each kernel reaches alpha at its own center plus this much: the mixture does in between.
    nowhere = xp.where(spread > 0, xp.cast(-math.inf, gap), zero)  # 0 where no group is present: infinities make NaN
    low = -xp.max(xp.where(present, -fixed, nowhere)) + normal * width
    high = xp.max(xp.where(present, fixed, nowhere)) + normal * width

    def halve(bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        over = above(middle, fixed) > 0
        return xp.where(over, low, middle), xp.where(over, middle, high)

    low, high = xp.loop(BISECTIONS, halve, (low, high))
    q = xp.constant(0.5 * (low + high))
    # Between far risks the slope is next to nothing: what rounding left of the equation must not be divided by it.
    rest = above(q, fixed)
    for _ in range(NEWTON_STEPS):
        rise = slope(q, z)
        q = q - xp.where(rise > 0, (above(q, z) - rest) / xp.where(rise > 0, rise, one), zero)
    return xp.where(spread > 0, q, zero)


def normal_quantile(probability: float) -> float:
    """Phi^-1 by bisection: `torch.compile` can trace it, which it cannot with `statistics.NormalDist`."""
    low, high = -40.0, 40.0
    for _ in range(64):
        middle = 0.5 * (low + high)
        if 0.5 * math.erfc(-middle * math.sqrt(0.5)) < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def kernel_width(number: Array) -> Array:
    """The Gauss-optimal width of the kernels in units of the risks' standard deviation: 1.06 K^(-1/5)."""
    xp = framework_of(number)
    return 1.06 * xp.exp(xp.log(number) * -0.2)
