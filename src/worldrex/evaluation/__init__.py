"""How good a model is under behaviors that it never saw, and which penalty to choose."""

from worldrex.evaluation.contest import Contender, contest
from worldrex.evaluation.crossval import CrossvalConfig, CrossvalTable, crossval, require_comparable, require_sweepable
from worldrex.evaluation.environments import EvaluationError, Reality, reality_of, reality_of_task, require_logged
from worldrex.evaluation.filming import film, require_filmable
from worldrex.evaluation.model_error import action_slope, output_scale, score, squared_errors
from worldrex.evaluation.open_loop import OpenLoop, open_loop
from worldrex.evaluation.penalty_noise import PenaltyNoise, penalty_noise
from worldrex.evaluation.policy_evaluation import PolicyEvaluation, evaluate_in_model
from worldrex.evaluation.record_scores import RecordScores, score_records
from worldrex.evaluation.returns import ReturnsConfig, judge, require_judgeable, require_together
from worldrex.evaluation.selection import ERM, Choice, LeftOut, Pairs, Selection, WeightRow, Worst, select
from worldrex.evaluation.shift import ShiftMap, errors_on_map, shift_map
from worldrex.evaluation.spread import Spread, Trained
from worldrex.evaluation.statistics import Estimate, Interquartile, interquartile_mean
from worldrex.evaluation.uncertainty import Sparsification, rank_correlation, sparsification
from worldrex.evaluation.verdict import Verdict, verdict

__all__ = [
    "ERM",
    "Choice",
    "Contender",
    "CrossvalConfig",
    "CrossvalTable",
    "Estimate",
    "EvaluationError",
    "Interquartile",
    "LeftOut",
    "OpenLoop",
    "Pairs",
    "PenaltyNoise",
    "PolicyEvaluation",
    "Reality",
    "RecordScores",
    "ReturnsConfig",
    "Selection",
    "ShiftMap",
    "Sparsification",
    "Spread",
    "Trained",
    "Verdict",
    "WeightRow",
    "Worst",
    "action_slope",
    "contest",
    "crossval",
    "errors_on_map",
    "evaluate_in_model",
    "film",
    "interquartile_mean",
    "judge",
    "open_loop",
    "output_scale",
    "penalty_noise",
    "rank_correlation",
    "reality_of",
    "reality_of_task",
    "require_comparable",
    "require_filmable",
    "require_judgeable",
    "require_logged",
    "require_sweepable",
    "require_together",
    "score",
    "score_records",
    "select",
    "shift_map",
    "sparsification",
    "squared_errors",
    "verdict",
]
