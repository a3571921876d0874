"""Per-group risks and the penalties on their spread, for NumPy, JAX, PyTorch and TensorFlow arrays alike.

It imports none of the four: an answer comes in the framework, dtype and device of its input.
"""

from worldrex.risk import group_dro, schedules, tracking
from worldrex.risk.arrays import RiskError
from worldrex.risk.moments import GroupMoments, Moments, WeightedMoments, all_reduce, group_moments, merge
from worldrex.risk.objectives import PENALTIES, PenaltyName, objective, penalty_value
from worldrex.risk.penalties import irm, mean_absolute_deviation, std, variance, worst_excess
from worldrex.risk.risks import cvar, excess, mean_over_models, mean_risk, pooled_risk, quantile, sum_risk
from worldrex.risk.rows import rows_of_group
from worldrex.risk.scales import gaussian_nll_scales, squared_error_scale
from worldrex.risk.two_pass import record_weights

__all__ = [
    "PENALTIES",
    "GroupMoments",
    "Moments",
    "PenaltyName",
    "RiskError",
    "WeightedMoments",
    "all_reduce",
    "cvar",
    "excess",
    "gaussian_nll_scales",
    "group_dro",
    "group_moments",
    "irm",
    "mean_absolute_deviation",
    "mean_over_models",
    "mean_risk",
    "merge",
    "objective",
    "penalty_value",
    "pooled_risk",
    "quantile",
    "record_weights",
    "rows_of_group",
    "schedules",
    "squared_error_scale",
    "std",
    "sum_risk",
    "tracking",
    "variance",
    "worst_excess",
]
