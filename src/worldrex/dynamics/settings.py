"""What one run of a sweep is, and which settings no training can have."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from worldrex.dynamics.losses import LossName
from worldrex.dynamics.training import TrainConfig, TrainedPenalty


class TrainingError(ValueError):
    """Training cannot go on; the message says what came and what to do."""


@dataclass(frozen=True)
class Run:
    """One configuration, fold and seed of a sweep."""

    penalty: TrainedPenalty = "variance"
    weight: float = 100.0
    debiased: bool = True
    left_out: int | None = None
    """Id of the behavior that this run never sees, or None."""
    seed: int = 0


def require_trainable(config: TrainConfig, weights: Iterable[float]) -> None:
    """Raise `TrainingError` for settings, or weights of the penalty, that no training can have."""
    for name, least in (("members", 1), ("elites", 1), ("batch", 2), ("warmup_steps", 0), ("steps", 1), ("seed", 0)):
        if getattr(config, name) < least:
            raise TrainingError(f"{name} is {getattr(config, name)}; training needs {least} or more.")
    if config.elites > config.members:
        raise TrainingError(
            f"elites is {config.elites} of {config.members} members; choose at most as many as members."
        )
    if config.loss not in get_args(LossName):
        raise TrainingError(f"loss is {config.loss!r}; choose one of {', '.join(get_args(LossName))}.")
    if any(width < 1 for width in config.hidden):
        raise TrainingError(f"hidden is {config.hidden}; a layer needs a width of 1 or more.")
    if not 0 < config.learning_rate < float("inf"):
        raise TrainingError(f"learning_rate is {config.learning_rate}; training needs a positive, finite one.")
    if not 0 <= config.weight_decay < float("inf"):
        raise TrainingError(f"weight_decay is {config.weight_decay}; training needs 0 (none) or more.")
    if not 0 < config.holdout < 1:
        raise TrainingError(f"holdout is {config.holdout}; it is a share between 0 and 1, such as 0.1.")
    for weight in weights:
        if not 0 <= weight < float("inf"):
            raise TrainingError(f"weight is {weight}; a penalty needs a finite weight of 0 (none) or more.")
