"""The probabilistic ensemble: network, normalizer, losses, training, whole sweeps as one program, and the model."""

from worldrex.dynamics.checkpoint import forget
from worldrex.dynamics.fit import FitConfig, fit, fit_runs, model_of_run
from worldrex.dynamics.model import ModelError, Prediction, WorldModel, load_model
from worldrex.dynamics.settings import (
    Run,
    TrainConfig,
    TrainedPenalty,
    TrainingError,
    require_one_per_behavior,
    require_trainable,
)
from worldrex.dynamics.sweep import Progress, Sweep, train

__all__ = [
    "FitConfig",
    "ModelError",
    "Prediction",
    "Progress",
    "Run",
    "Sweep",
    "TrainConfig",
    "TrainedPenalty",
    "TrainingError",
    "WorldModel",
    "fit",
    "fit_runs",
    "forget",
    "load_model",
    "model_of_run",
    "require_one_per_behavior",
    "require_trainable",
    "train",
]
