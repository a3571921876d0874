"""The scalar that is minimized: a risk plus a weighted penalty."""

from collections.abc import Callable
from typing import Literal

from worldrex.risk import penalties
from worldrex.risk.arrays import Array, RiskError, framework_of
from worldrex.risk.moments import GroupMoments

PenaltyName = Literal["none", "variance", "std", "mad", "worst"]
Reduce = Literal["mean", "sum", "pooled"]

_PENALTIES: dict[str, Callable[[GroupMoments, bool], Array]] = {
    "none": lambda m, debiased: framework_of(m.mean).sum(m.mean * 0)[..., 0],
    "variance": lambda m, debiased: penalties.variance(m, debiased=debiased),
    "std": lambda m, debiased: penalties.std(m, debiased=debiased),
    "mad": lambda m, debiased: penalties.mean_absolute_deviation(m),
    "worst": lambda m, debiased: penalties.worst_excess(m),
}
_RISKS: dict[str, Callable[[GroupMoments], Array]] = {
    "mean": penalties.mean_risk,
    "sum": penalties.sum_risk,
    "pooled": penalties.pooled_risk,
}
PENALTIES = tuple(_PENALTIES)
"""The names that `penalty` takes."""


def penalty_value(m: GroupMoments, penalty: PenaltyName = "variance", *, debiased: bool = True) -> Array:
    """The named penalty of the moments, `[...]`. **Raises:** `RiskError` for a name that is not in `PENALTIES`."""
    if penalty not in _PENALTIES:
        raise RiskError(f"unknown penalty {penalty!r}; expected one of {', '.join(PENALTIES)}")
    return _PENALTIES[penalty](m, debiased)


def objective(
    m: GroupMoments,
    *,
    penalty: PenaltyName = "variance",
    weight: float | Array = 1.0,
    debiased: bool = True,
    reduce: Reduce = "mean",
    rescale: bool = False,
) -> Array:
    """Risk plus weighted penalty, the scalar of each row that training minimizes.

        objective = risk + weight * penalty,   divided by max(1, weight) if `rescale`

    **Arguments:**

    - `m`: `GroupMoments` over `[..., group]`.
    - `penalty`: one of `PENALTIES`.
    - `weight`: the penalty's weight (beta of V-REx), a number or `[...]`.
    - `debiased`: take the penalty's sampling noise out, where the penalty knows how.
    - `reduce`: "mean" of the present risks, their "sum", or "pooled" over records. A sum with weight beta equals K
      times the mean with weight beta / K.
    - `rescale`: keep the scale of the gradient when the weight is large (as in the REx release).

    **Returns:** `[...]`. **Raises:** `RiskError` for an unknown penalty or reduction.

    Source: Krueger et al. 2021, arXiv 2003.00688.
    """
    if reduce not in _RISKS:
        raise RiskError(f"unknown reduce {reduce!r}; expected one of {', '.join(_RISKS)}")
    xp = framework_of(m.mean)
    weight = xp.cast(weight, m.mean)
    value = _RISKS[reduce](m) + weight * penalty_value(m, penalty, debiased=debiased)
    return value / xp.where(weight > 1, weight, xp.cast(1.0, m.mean)) if rescale else value
