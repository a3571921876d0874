"""Group distributionally robust optimization: weights of the groups that follow their risks. `init` and `step`."""

import math
from numbers import Real
from typing import NamedTuple

from worldrex.risk.arrays import Array, RiskError, framework_of
from worldrex.risk.moments import Moments, require_moments


class State(NamedTuple):
    """What the next step needs."""

    log_q: Array
    """Logarithm of each group's weight, `[..., group]`; the weights add up to 1."""


class Info(NamedTuple):
    """What a person wants to see of a step."""

    q: Array
    """Each group's weight, `[..., group]`."""
    risk: Array
    """The objective under these weights, `[...]`."""


def init(m: Moments) -> State:
    """Equal weights for all groups of moments of this shape."""
    require_moments(m)
    xp = framework_of(m.mean)
    everywhere = xp.constant(m.count * 0)
    return State(everywhere - xp.log(xp.sum(everywhere + 1)))


def step(state: State, m: Moments, *, eta: float = 0.01) -> tuple[State, Info]:
    """Raise the weights of the groups with high risks.

        q_g proportional to q_g exp(eta R_g) over the present groups, which keep their sum; absent groups keep their q

    A group whose risk is not finite counts as absent.

    Call it once for each optimizer step, with the moments of the *whole* batch (`merge` those of micro-batches first):
    once per micro-batch would raise the weights several times. In logarithms, so that no weight is lost to rounding.

    **Arguments:** `eta`, the step size, in units of 1/risk. **Returns:** the next `State`, and `Info`. No gradient flows
    through either. Source: Sagawa et al. 2020, algorithm 1, arXiv 1911.08731.
    """
    require_moments(m)
    _require_state(state, m)
    if not isinstance(eta, Real) or not 0 <= eta < math.inf:
        raise RiskError(f"eta is {eta!r}; expected a Python number: a finite step size of 0 or more")
    xp = framework_of(m.mean)
    mean = xp.constant(m.mean)
    # A risk that is not finite would stay in the weights for good: such a group counts as absent.
    present = (m.count > 0) & (xp.abs(mean) < math.inf)
    mean = xp.where(present, mean, xp.cast(0.0, mean))
    raised = state.log_q + xp.where(present, eta * mean, xp.cast(0.0, mean))
    log_q = xp.where(present, raised + _log_mass(state.log_q, present) - _log_mass(raised, present), state.log_q)
    state = State(log_q)
    return state, Info(xp.exp(log_q), xp.constant(weighted_risk(state, m)))


def weighted_risk(state: State, m: Moments) -> Array:
    """The objective: sum of q_g R_g over the present groups, their weights made to add up to 1; `[...]`."""
    xp = framework_of(m.mean)
    return xp.sum(shares(state, m) * m.mean)[..., 0]


def shares(state: State, m: Moments) -> Array:
    """The weight of each group's risk in the objective, `[..., group]`: q over the present groups' sum."""
    _require_state(state, m)
    xp = framework_of(m.mean)
    present = m.count > 0
    scaled = xp.where(present, state.log_q - _log_mass(state.log_q, present), xp.cast(0.0, m.mean))
    return xp.where(present, xp.exp(scaled), xp.cast(0.0, m.mean))


def _require_state(state: object, m: Moments) -> None:
    if not isinstance(state, State):
        raise RiskError(f"state is a {type(state).__name__}; expected group_dro's State, of `init` or the step before")
    if tuple(state.log_q.shape)[-1:] != tuple(m.mean.shape)[-1:]:
        raise RiskError(
            f"state has shape {tuple(state.log_q.shape)} and m {tuple(m.mean.shape)}; expected the same groups: of `init`"
        )


def _log_mass(log_q: Array, present: Array) -> Array:
    """Logarithm of the present groups' sum of q, `[..., 1]`; 0 where none is."""
    xp = framework_of(log_q)
    zero = xp.cast(0.0, log_q)
    top = xp.max(xp.where(present, log_q, xp.cast(-1e30, log_q)))
    mass = xp.sum(xp.where(present, xp.exp(xp.where(present, log_q - top, zero)), zero))
    return xp.where(mass > 0, top + xp.log(xp.where(mass > 0, mass, xp.cast(1.0, log_q))), zero)
