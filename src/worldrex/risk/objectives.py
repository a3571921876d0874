"""The scalar that is minimized: a risk plus a weighted penalty."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from worldrex.risk import group_dro, penalties, risks
from worldrex.risk.arrays import Array, RiskError, bounds_of, framework_of
from worldrex.risk.moments import Moments, require_moments

PenaltyName = Literal["none", "variance", "std", "mad", "worst", "irm", "group_dro", "cvar", "quantile"]
"""The name of a penalty."""
Reduce = Literal["mean", "sum", "pooled", "none"]


class Options(NamedTuple):
    """What single penalties need besides the moments."""

    debiased: bool = True
    alpha: float | None = None
    density: risks.Density = "kernel"
    state: group_dro.State | None = None


# The alpha of each, where none is given: the worst half of the groups; the upper quartile.
CVAR_ALPHA, QUANTILE_ALPHA = 0.5, 0.75


def _cvar(m: Moments, options: Options) -> Array:
    alpha = CVAR_ALPHA if options.alpha is None else options.alpha
    return risks.cvar(m, alpha=alpha) - risks.mean_risk(m)


def _quantile(m: Moments, options: Options) -> Array:
    alpha = QUANTILE_ALPHA if options.alpha is None else options.alpha
    return risks.quantile(m, alpha=alpha, density=options.density) - risks.mean_risk(m)


def _group_dro(m: Moments, options: Options) -> Array:
    return group_dro.weighted_risk(state_of(options), m) - risks.mean_risk(m)


def state_of(options: Options) -> group_dro.State:
    """GroupDRO's state. **Raises:** `RiskError` where none was given."""
    if options.state is None:
        raise RiskError(
            "penalty 'group_dro' has a state; give it: state=group_dro.init(moments), then that of each step"
        )
    return options.state


def _nothing(m: Moments) -> Array:
    """0 for each row, also where a risk is infinite, with a gradient of 0."""
    xp = framework_of(m.mean)
    return xp.sum(xp.finite(m.mean) * 0)[..., 0]


_PENALTIES: dict[str, Callable[[Moments, Options], Array]] = {
    "none": lambda m, options: _nothing(m),
    "variance": lambda m, options: penalties.variance(m, debiased=options.debiased),
    "std": lambda m, options: penalties.std(m, debiased=options.debiased),
    "mad": lambda m, options: penalties.mean_absolute_deviation(m),
    "worst": lambda m, options: penalties.worst_excess(m),
    "irm": lambda m, options: penalties.irm(m, debiased=options.debiased),
    "group_dro": _group_dro,
    "cvar": _cvar,
    "quantile": _quantile,
}
_RISKS: dict[str, Callable[[Moments], Array]] = {
    "mean": risks.mean_risk,
    "sum": risks.sum_risk,
    "pooled": risks.pooled_risk,
    "none": _nothing,
}
PENALTIES = tuple(_PENALTIES)
"""The names that `penalty` takes."""


def penalty_value(
    m: Moments,
    penalty: PenaltyName = "variance",
    *,
    debiased: bool = True,
    alpha: float | None = None,
    density: risks.Density = "kernel",
    state: group_dro.State | None = None,
) -> Array:
    """The named penalty of the moments, `[...]`: what `objective` adds, before the weight.

    variance, std, mad, worst, irm are those of `penalties`. cvar, quantile and group_dro are risks of their own: their
    penalty is their excess over the mean risk, so that at weight 1 the objective is that risk. For "irm", `m` are the
    moments of the derivatives with respect to a scale. The arguments are those of `objective`.

    **Raises:** `RiskError` for a name that is not in `PENALTIES`.
    """
    require_moments(m)
    require_known(penalty, _PENALTIES, "penalty")
    return _PENALTIES[penalty](m, Options(debiased, alpha, density, state))


def objective(
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
    scales: Moments | Sequence[Moments] | None = None,
    tracked: Moments | None = None,
) -> Array:
    """Risk plus weighted penalty, the scalar of each row that training minimizes.

        objective = risk + weight * penalty,   divided by max(1, weight) if `rescale`

    **Arguments:**

    - `m`: `GroupMoments` over `[..., group]`.
    - `penalty`: one of `PENALTIES`.
    - `weight`: the penalty's weight (beta of V-REx), a number or `[...]`.
    - `debiased`: take the penalty's sampling noise out, where the penalty knows how (variance, std, irm).
    - `reduce`: "mean" of the present risks, their "sum", "pooled" over records, or "none" for the penalty alone. A sum
      with weight beta equals K times the mean with weight beta / K.
    - `rescale`: keep the scale of the gradient when the weight is large (as in the REx release).
    - `alpha`: of "cvar" (share of the groups, 0.5) or "quantile" (probability, 0.75).
    - `density`: of "quantile".
    - `state`: of "group_dro"; see `group_dro`.
    - `scales`: for "irm", the moments of the derivatives with respect to each scale; see `scales`.
    - `tracked`: moments that the penalty takes in the place of `m`; see `tracking`. For "irm" give tracked `scales`.

    **Returns:** `[...]`. **Raises:** `RiskError` for an unknown name, or what a penalty needs and lacks.

    Source: Krueger et al. 2021, arXiv 2003.00688.
    """
    require_moments(m)
    require_known(reduce, _RISKS, "reduce")
    require_known(penalty, _PENALTIES, "penalty")
    require_weight(weight)
    if (penalty == "irm") != (scales is not None):
        raise RiskError(
            "penalty 'irm' and `scales` go together: give group_moments of the derivatives with respect to each scale, as of "
            "squared_error_scale or gaussian_nll_scales"
        )
    if penalty == "irm" and tracked is not None:
        raise RiskError(
            "penalty 'irm' is of the derivatives: track their moments, and give the tracked ones as `scales`"
        )
    xp = framework_of(m.mean)
    weight = xp.cast(weight, m.mean)
    options = Options(debiased, alpha, density, state)
    own = compared(m, tracked)
    parts = [own] if scales is None else [scales] if isinstance(scales, Moments) else list(scales)
    if not parts:
        raise RiskError("scales is empty; expected the moments of the derivatives with respect to one scale or more")
    for part in parts:
        require_moments(part, "scales")
        if part.mean.shape[-1] != m.mean.shape[-1]:
            raise RiskError(
                f"scales has {part.mean.shape[-1]} groups and m {m.mean.shape[-1]}; expected moments over the same groups"
            )
    value: Any = _RISKS[reduce](m) + weight * sum(_PENALTIES[penalty](part, options) for part in parts)
    return value / xp.where(weight > 1, weight, xp.cast(1.0, m.mean)) if rescale else value


def compared(m: Moments, tracked: Moments | None) -> Moments:
    """The moments that the penalty takes. **Raises:** `RiskError` for tracked ones of another shape."""
    if tracked is None:
        return m
    require_moments(tracked, "tracked")
    if tuple(tracked.mean.shape) != tuple(m.mean.shape):
        raise RiskError(
            f"tracked has shape {tuple(tracked.mean.shape)} and m {tuple(m.mean.shape)}; expected the same [..., group]"
        )
    return tracked


def require_weight(weight: object) -> None:
    """Raise `RiskError` for a weight that is neither a finite number of 0 or more nor an array of these (if it can be told)."""
    if isinstance(weight, bool | str) or weight is None or callable(weight):
        hint = "; call the schedule with the step" if callable(weight) else ""
        raise RiskError(f"weight is {weight!r}; expected a number or an array [...]{hint}")
    if isinstance(weight, float | int) and not 0 <= weight < float("inf"):
        raise RiskError(f"weight is {weight!r}; expected a finite number of 0 or more, or an array [...]")
    found = bounds_of(weight, None) if hasattr(weight, "shape") else None
    if found and not 0 <= found[0] <= found[1] < float("inf"):
        raise RiskError(f"weight holds values from {found[0]} to {found[1]}; expected finite ones of 0 or more")


def require_known(name: str, known: dict[str, Any], what: str) -> None:
    """Raise `RiskError` for a name that is not among the known ones."""
    if not isinstance(name, str) or name not in known:
        raise RiskError(f"unknown {what} {name!r}; expected one of {', '.join(known)}")
