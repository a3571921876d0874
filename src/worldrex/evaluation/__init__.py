"""How good a model is under behaviors that it never saw, and which penalty to choose."""

from worldrex.evaluation.crossval import CrossvalConfig, CrossvalTable, crossval, require_comparable, require_sweepable
from worldrex.evaluation.model_error import action_slope, output_scale, score, squared_errors
from worldrex.evaluation.penalty_noise import PenaltyNoise, penalty_noise
from worldrex.evaluation.selection import Estimate, LeftOut, Selection, WeightRow, Worst, select
from worldrex.evaluation.shift import ShiftMap, shift_map
from worldrex.evaluation.verdict import Verdict, verdict

__all__ = [
    "CrossvalConfig",
    "CrossvalTable",
    "Estimate",
    "LeftOut",
    "PenaltyNoise",
    "Selection",
    "ShiftMap",
    "Verdict",
    "WeightRow",
    "Worst",
    "action_slope",
    "crossval",
    "output_scale",
    "penalty_noise",
    "require_comparable",
    "require_sweepable",
    "score",
    "select",
    "shift_map",
    "squared_errors",
    "verdict",
]
