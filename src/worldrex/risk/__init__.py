"""Per-group risks and the penalties on their spread, for NumPy, JAX, PyTorch and TensorFlow arrays alike.

It imports none of the four frameworks besides NumPy: an answer comes in the framework, dtype and device of its input.
"""

from worldrex.risk.arrays import RiskError
from worldrex.risk.moments import GroupMoments, group_moments, merge
from worldrex.risk.objectives import PENALTIES, PenaltyName, objective, penalty_value
from worldrex.risk.penalties import (
    mean_absolute_deviation,
    mean_over_models,
    mean_risk,
    pooled_risk,
    std,
    sum_risk,
    variance,
    worst_excess,
)

__all__ = [
    "PENALTIES",
    "GroupMoments",
    "PenaltyName",
    "RiskError",
    "group_moments",
    "mean_absolute_deviation",
    "mean_over_models",
    "mean_risk",
    "merge",
    "objective",
    "penalty_value",
    "pooled_risk",
    "std",
    "sum_risk",
    "variance",
    "worst_excess",
]
