"""What the trainings of a sweep share, what one run of it is, and which settings no training can have."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, get_args

from worldrex import risk
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.features import Features
from worldrex.dynamics.losses import LossName
from worldrex.dynamics.samplers import SamplerName
from worldrex.dynamics.terminations import rule_of

TrainedPenalty = risk.PenaltyName
"""The name of a penalty that the trainer takes: all of `risk`'s."""
Keep = Literal["last", "best"]

# MOPO's, for its four hidden layers and the heads (Yu et al. 2020, released code).
LAYER_DECAY = (2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4)
# Numbers are int32 in the programs, and weights float32, with room for the penalty that they multiply.
LARGEST, LARGEST_WEIGHT = 2**31 - 1, 1e30


@dataclass(frozen=True)
class TrainConfig:
    """What all trainings of a sweep share."""

    features: Features = field(default_factory=Features)
    """What the networks see and in which terms they predict."""
    loss: LossName = "squared"
    """Loss whose risks are penalized: "squared" (the variance head then learns apart), "nll" (Gaussian) or "beta_nll"."""
    per_dimension: bool = False
    """Penalize the risks of each output dimension, and not the risks of their mean."""
    deterministic: bool = False
    """No variance head: predictions have no noise of their own, only the members' disagreement."""
    members: int = 7
    """Networks in the ensemble."""
    elites: int = 5
    """Members that predict: those with the lowest objective on held-out episodes."""
    hidden: tuple[int, ...] = (200, 200, 200, 200)
    """Widths of the hidden layers."""
    batch: int = 256
    """Records of a mini-batch, drawn by each member for itself."""
    sampler: SamplerName = "natural"
    """How batches are drawn: records alike, behaviors alike ("balanced"), or behaviors by `behavior_weights`."""
    behavior_weights: tuple[float, ...] | None = None
    """For the sampler "weighted": how often each behavior is drawn, in the order of the log's behaviors."""
    bootstrap: bool = False
    """Whether each member learns from a resampled log of its own."""
    warmup_steps: int = 1000
    """Steps of the first phase, without the penalty."""
    steps: int = 6000
    """Steps of the second phase, with the penalty; the optimizer starts afresh at the switch."""
    learning_rate: float = 1e-3
    """Adam's step size; falls to zero over the second phase along a half cosine."""
    weight_decay: tuple[float, ...] = LAYER_DECAY
    """Decoupled decay of the weight matrices: one number, or several along the depth, the last for the heads."""
    baselines: tuple[float, ...] | None = None
    """Noise floor of each behavior, in normalized units: the penalty compares what is above it."""
    tracking: float = 0.0
    """Share of the earlier batches' weight that each leaves in the risks that the penalty compares (0.97); 0: its own alone."""
    group_dro_eta: float = 0.01
    """Step size of the penalty "group_dro"."""
    termination: str = "learned"
    """Where episodes end for good: "learned" by a head, in logs that have such ends, "none", or a given rule: its name
    (hopper, walker2d, ant, humanoid, inverted-pendulum) or the ranges that next_obs must stay in ("0:0.7:inf 1:-0.2:0.2").
    """
    keep: Keep = "last"
    """Which weights a member ends with: its last ones, or those with the lowest held-out objective of the second phase."""
    patience: int | None = None
    """Stop a member when so many evaluations in a row (every 500 steps) found no lower held-out objective."""
    holdout: float = 0.1
    """Share of each behavior's episodes held out to choose elites and draw curves."""
    held_out_behaviors: tuple[str, ...] | None = None
    """Hold these whole behaviors out instead: elites and the best weights are then those that fare best under them."""
    seed: int = 0
    """Seed of the held-out episodes, the first weights and the batches."""

    def schedule(self, weight: Any) -> risk.schedules.Schedule:
        """The penalty's weight at each step, and where the optimizer starts afresh: none, then all of it."""
        return risk.schedules.Step(weight, at=self.warmup_steps)

    def decay_of_layers(self) -> tuple[float, ...]:
        """Decay of each hidden layer and of the heads: `weight_decay` at the same relative depth, between its numbers."""
        given, wanted = self.weight_decay, len(self.hidden) + 1
        last = len(given) - 1
        decays = []
        for layer in range(wanted):
            depth = last * layer / max(wanted - 1, 1)
            below = min(int(depth), max(last - 1, 0))
            share = depth - below
            decays.append(given[below] + share * (given[min(below + 1, last)] - given[below]))
        return tuple(decays)


@dataclass(frozen=True)
class Run:
    """One configuration, fold and seed of a sweep."""

    penalty: TrainedPenalty = "variance"
    weight: float = 100.0
    debiased: bool = True
    left_out: tuple[int, ...] = ()
    """Ids of the behaviors that this run never sees."""
    seed: int = 0
    learning_rate: float | None = None
    """Its own, or None for that of the sweep."""


def require_trainable(config: TrainConfig, weights: Iterable[float]) -> None:
    """Raise `TrainingError` for settings, or weights of the penalty, that no training can have."""
    _require_numbers(config)
    for name, least in (("members", 1), ("elites", 1), ("batch", 2), ("warmup_steps", 0), ("steps", 1), ("seed", 0)):
        if getattr(config, name) < least:
            raise TrainingError(f"{name} is {getattr(config, name)}; training needs {least} or more.")
        if getattr(config, name) > LARGEST:
            raise TrainingError(f"{name} is {getattr(config, name)}; training takes {LARGEST:,} at most.")
    if config.elites > config.members:
        raise TrainingError(
            f"elites is {config.elites} of {config.members} members; set elites, too, to as many as members at most."
        )
    for name, known in (("loss", LossName), ("sampler", SamplerName), ("keep", Keep)):
        if getattr(config, name) not in get_args(known):
            raise TrainingError(f"{name} is {getattr(config, name)!r}; choose one of {', '.join(get_args(known))}.")
    if not 0 <= config.tracking < 1:
        raise TrainingError(f"tracking is {config.tracking}; give 0 (the batch alone) to below 1, such as 0.97.")
    if config.deterministic and config.loss != "squared":
        raise TrainingError(f"loss is {config.loss!r}, a likelihood, and a deterministic model has none: use squared.")
    if any(width < 1 for width in config.hidden):
        raise TrainingError(f"hidden is {config.hidden}; a layer needs a width of 1 or more.")
    if not 0 < config.learning_rate < float("inf"):
        raise TrainingError(f"learning_rate is {config.learning_rate}; training needs a positive, finite one.")
    if not config.weight_decay or not all(0 <= decay < float("inf") for decay in config.weight_decay):
        raise TrainingError(f"weight_decay is {config.weight_decay}; training needs numbers of 0 (none) or more.")
    if config.behavior_weights is not None and config.sampler != "weighted":
        raise TrainingError(
            f"behavior_weights is given, and the sampler {config.sampler!r} does not use it: set sampler to weighted, too."
        )
    if not all(0 <= share < float("inf") for share in config.behavior_weights or ()):
        raise TrainingError(f"behavior_weights is {config.behavior_weights}; drawing needs numbers of 0 or more.")
    if not all(abs(baseline) < float("inf") for baseline in config.baselines or ()):
        raise TrainingError(f"baselines is {config.baselines}; a noise floor is a finite number.")
    if isinstance(config.held_out_behaviors, str):
        raise TrainingError(f"held_out_behaviors is {config.held_out_behaviors!r}; give a tuple of names.")
    if config.patience is not None and config.patience < 1:
        raise TrainingError(f"patience is {config.patience}; stopping early needs 1 evaluation or more.")
    if not 0 < config.holdout < 1:
        raise TrainingError(f"holdout is {config.holdout}; it is a share between 0 and 1, such as 0.1.")
    require_features(config.features)
    rule_of(config.termination)
    for weight in weights:
        if not isinstance(weight, Real) or not 0 <= weight < LARGEST_WEIGHT:
            raise TrainingError(
                f"weight is {weight!r}; a penalty needs a weight of 0 (none) or more, below {LARGEST_WEIGHT:g}."
            )


def _require_numbers(config: TrainConfig) -> None:
    """Raise `TrainingError` for what is no number, where one is needed; a program can give anything."""
    for name in ("members", "elites", "batch", "warmup_steps", "steps", "seed"):
        if not isinstance(getattr(config, name), Integral):
            raise TrainingError(f"{name} is {getattr(config, name)!r}; training needs a whole number.")
    for name in ("learning_rate", "tracking", "holdout"):
        if not isinstance(getattr(config, name), Real):
            raise TrainingError(f"{name} is {getattr(config, name)!r}; training needs a number.")
    if not isinstance(config.hidden, tuple | list) or not all(isinstance(width, Integral) for width in config.hidden):
        raise TrainingError(f"hidden is {config.hidden!r}; give the width of each layer, such as (64, 64).")


def require_features(features: Features) -> None:
    """Raise `TrainingError` for features that no log has."""
    if features.history < 1:
        raise TrainingError(f"history is {features.history}; a network needs 1 step, the present one, or more.")
    for name in ("absolute", "angles", "masked"):
        dims = getattr(features, name) or ()
        if any(dim < 0 for dim in dims) or len(set(dims)) < len(dims):
            raise TrainingError(f"{name} is {dims}; give different dimensions of obs, counted from 0.")
    both = set(features.absolute or ()) & set(features.angles or ())
    if both:
        raise TrainingError(
            f"dimension {min(both)} of obs is in both absolute and angles; an angle is told by its change."
        )


def require_fitting(
    config: TrainConfig, behavior_names: Sequence[str], obs_dims: int | None = None, longest: int | None = None
) -> None:
    """Raise `TrainingError` where settings do not fit a log.

    **Arguments:** its `behavior_names`; if known, the dimensions of obs, and the steps of its `longest` episode.
    """
    history = config.features.history
    if longest is not None and history > max(longest, 1):
        raise TrainingError(
            f"history is {history}, and the longest episode has {longest} step{'s' * (longest != 1)}: give as many at most."
        )
    needed = {"behavior_weights": config.sampler == "weighted", "baselines": bool(config.baselines)}
    for name, wanted in needed.items():
        given = getattr(config, name) or ()
        if wanted and len(given) != len(behavior_names):
            raise TrainingError(
                f"{name} has {len(given)} of the {len(behavior_names)} numbers that this log needs: give one for each "
                "behavior, in the order that `worldrex describe` tells."
            )
    if config.sampler == "weighted" and not sum(config.behavior_weights or ()) > 0:
        raise TrainingError("behavior_weights are all 0; some behavior must be drawn.")
    held_out = config.held_out_behaviors or ()
    if len(set(held_out)) < len(held_out):
        raise TrainingError(f"held_out_behaviors is {held_out}; name each behavior once.")
    for behavior in held_out:
        if behavior not in behavior_names:
            raise TrainingError(
                f"held_out_behaviors has {behavior!r}, and the log has {', '.join(map(repr, behavior_names))}: give their names."
            )
    if config.held_out_behaviors and set(config.held_out_behaviors) >= set(behavior_names):
        raise TrainingError("held_out_behaviors are all behaviors of the log; leave some to learn from.")
    if obs_dims is None:
        return
    rule = rule_of(config.termination)
    asked = {
        "absolute": config.features.absolute, "angles": config.features.angles, "masked": config.features.masked,
        "termination": rule.dims if rule else None,
    }  # fmt: skip
    for name, dims in asked.items():
        if dims and max(dims) >= obs_dims:
            raise TrainingError(
                f"{name} names dimension {max(dims)} of obs, and this log's are 0 to {obs_dims - 1}: give others."
            )
