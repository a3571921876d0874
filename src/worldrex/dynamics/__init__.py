"""The probabilistic ensemble: network, normalizer, losses, training, whole sweeps as one program, and the model."""

from worldrex.dynamics.checkpoint import forget
from worldrex.dynamics.chunks import require_chunk
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.features import Features, first_of_episode, longest_episode
from worldrex.dynamics.fit import FitConfig, fit, fit_runs, model_of_run
from worldrex.dynamics.layout import split_of
from worldrex.dynamics.model import ModelError, Prediction, WorldModel, load_model
from worldrex.dynamics.ray_cluster import connected
from worldrex.dynamics.ray_runs import RUNS_PER_CHUNK, train_on_ray
from worldrex.dynamics.settings import Run, TrainConfig, TrainedPenalty, require_fitting, require_trainable
from worldrex.dynamics.sweep import Progress, Sweep, train
from worldrex.dynamics.terminations import rule_of

__all__ = [
    "RUNS_PER_CHUNK",
    "Features",
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
    "connected",
    "first_of_episode",
    "fit",
    "fit_runs",
    "forget",
    "load_model",
    "longest_episode",
    "model_of_run",
    "require_chunk",
    "require_fitting",
    "require_trainable",
    "rule_of",
    "split_of",
    "train",
    "train_on_ray",
]
