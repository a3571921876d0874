"""Risks known from all batches so far, older ones weighing less: what a penalty compares. `init` and `step`.

A penalty's slope on a batch is that of the batch's risks: their chance, times a large weight, leads the training. Known from many
batches, the risks say which behavior is above which, and the batch is only asked how to move them.
"""

from numbers import Real

from worldrex.risk.arrays import Array, RiskError, framework_of
from worldrex.risk.moments import Moments, WeightedMoments, merge, require_moments, squares_of
from worldrex.risk.penalties import LEAST_FREEDOM

# A group that stays away ages down to this share of the batch's largest weight: below, its square would be lost to float32.
LEAST_SHARE = 1e-6


def init(m: Moments) -> WeightedMoments:
    """Nothing known yet of groups as in moments of this shape."""
    require_moments(m)
    nothing = framework_of(m.mean).constant(m.count * 0)
    return WeightedMoments(nothing, nothing, nothing, nothing)


def step(state: Moments, m: Moments, *, decay: float = 0.97) -> tuple[WeightedMoments, WeightedMoments]:
    """The next state, and the tracked moments that a penalty takes in the batch's place.

        N_g = sum_t decay^t n_gt,   T_g = sum_t decay^t n_gt R_gt / N_g,   t batches ago, 0 for this one
        dT_g = dR_g,   the batch's own

    The values are those of all records so far, each with the weight decay^t (`group_moments` with these weights); the slope is
    that of the batch's risk, whole, as if all the others' moved along: sum_g dP/dT_g dR_g is that of the penalty P at the
    tracked risks. m2 is given the slope that makes the *slope* of the debiased variance and IRM's unbiased while the
    parameters rest and each batch has two records of each group: of what the batch tells it is a share n_g / N_g that enters
    T_g, and only this is taken off.

    A group that the batch lacks keeps its risk and stays among those that are compared, but has no slope there: on average its
    slope is smaller by the share of the batches that lack it. Of a group with one record nothing is taken off. One never seen is
    absent. A group whose risk is not finite counts as absent in the state. While the parameters move the tracked risks lag
    behind, by decay / (1 - decay) batches. With decay 0 they are those of each group's latest batch.

    Call it once for each optimizer step, with the moments of the *whole* batch (`merge`, `all_reduce`).

    **Arguments:** `state`, of `init` or the step before, `[..., group]`; `m`, the batch's moments, of the losses, or of the
    derivatives for "irm"; `decay`, a Python number (static under `jit`) from 0 to below 1.

    **Returns:** the state, without derivatives, and the tracked moments: `objective`'s `tracked`, or its `scales`.

    Source: Wang, Fang & Liu 2017, algorithm 1 (an inner mean that is tracked while the outer function is minimized),
    arXiv 1411.3803; the correction is ours.
    """
    require_moments(state, "state")
    require_moments(m)
    if tuple(state.mean.shape) != tuple(m.mean.shape):
        raise RiskError(
            f"state has shape {tuple(state.mean.shape)} and m {tuple(m.mean.shape)}; expected the same [..., group]: of `init`"
        )
    if isinstance(decay, bool) or not isinstance(decay, Real) or not 0 <= decay < 1:
        raise RiskError(f"decay is {decay!r}; expected a Python number from 0 (the latest batch alone) to below 1")
    xp = framework_of(m.mean)
    one = xp.cast(1.0, m.mean)
    batch = type(m)(*map(xp.constant, m))
    least = LEAST_SHARE * xp.max(batch.count)
    ages = (batch.count > 0) | ((decay * state.count > least) & (least > 0))
    share = xp.where(ages, decay * one, one)
    aged = WeightedMoments(share * state.count, state.mean, share * state.m2, share * share * squares_of(state))
    after = merge(aged, batch)
    assert isinstance(after, WeightedMoments)  # as one of the two is
    # 0 each, with the batch's slopes.
    mean, m2 = (xp.finite(x) - xp.finite(y) for x, y in ((m.mean, batch.mean), (m.m2, batch.m2)))
    tracked = WeightedMoments(after.count, after.mean + mean, after.m2 + slope_of_m2(after, batch) * m2, after.square)
    finite = (xp.abs(after.mean) < float("inf")) & (after.m2 < float("inf"))
    return WeightedMoments(*(xp.where(finite, x, y) for x, y in zip(after, aged, strict=True))), tracked


def slope_of_m2(tracked: Moments, batch: Moments) -> Array:
    """Slope of the tracked m2 in the batch's own, `[..., group]`; 0 for a group of which the batch has one record.

        (N_g - Q_g / N_g) N_g / (Q_g (n_g - 1)),   Q_g = sum_t decay^2t n_gt

    so that of the correction s2_g Q_g / N_g^2 of the tracked risk's square the slope is that of s2_g / N_g.
    """
    xp = framework_of(batch.mean)
    zero, one = xp.cast(0.0, batch.mean), xp.cast(1.0, batch.mean)
    count = xp.where(batch.count > 0, batch.count, one)
    freedom = batch.count - squares_of(batch) / count
    several = freedom > batch.count * LEAST_FREEDOM
    total, squares = (xp.where(several, x, one) for x in (tracked.count, squares_of(tracked)))
    slope = (total - squares / total) * total / squares / xp.where(several, freedom, one)
    return xp.constant(xp.where(several, slope, zero))
