"""`worldrex run`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from worldrex import pipeline
from worldrex.commands.flags import NONE, LoadFlags
from worldrex.commands.json_flag import Json
from worldrex.commands.training_flags import (
    AbsorbBeyond,
    AbsorbReward,
    Entropy,
    FeatureFlags,
    Names,
    Numbers,
    Patience,
    Penalties,
    TensorBoard,
    configuration,
)
from worldrex.dynamics import Features, TrainConfig
from worldrex.evaluation import CrossvalConfig
from worldrex.policy import MOPOConfig
from worldrex.terminal import Terminal

FILES = tyro.conf.arg(metavar="LOG ...", help_behavior_hint="")
ENV = tyro.conf.arg(metavar="ID", help_behavior_hint=NONE)
ENDS = tyro.conf.arg(metavar="RULE", help_behavior_hint="(default: the task's own rule, or learned)")
FOLDER = tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: runs/NAME-DATE-TIME)")


@dataclass(frozen=True)
class Crossval(CrossvalConfig):
    """Which penalties and weights to compare, and how each of the trainings goes: smaller than the final one's."""

    penalty: Penalties = ("variance",)
    behavior_weights: Numbers = None
    baselines: Numbers = None
    patience: Patience = None
    held_out_behaviors: Names = None
    seed: tyro.conf.Suppress[int] = 0
    features: tyro.conf.Suppress[Features] = field(default_factory=Features)
    termination: tyro.conf.Suppress[str] = TrainConfig.termination


@dataclass(frozen=True)
class Train(TrainConfig):
    """How the final models are trained: networks of 2 x 64 on batches of 1,024, measured on the gusty tasks."""

    hidden: tuple[int, ...] = pipeline.HIDDEN
    batch: int = pipeline.BATCH

    behavior_weights: Numbers = None
    baselines: Numbers = None
    patience: Patience = None
    held_out_behaviors: Names = None
    seed: tyro.conf.Suppress[int] = 0
    features: tyro.conf.Suppress[Features] = field(default_factory=Features)
    termination: tyro.conf.Suppress[str] = TrainConfig.termination


@dataclass(frozen=True)
class Optimize(MOPOConfig):
    """How policies are learned in the models: networks of 2 x 64, measured on the gusty pendulum."""

    hidden: tuple[int, ...] = pipeline.HIDDEN
    steps: int = pipeline.POLICY_STEPS
    target_entropy: Entropy = None
    absorb_beyond: AbsorbBeyond = None
    absorb_reward: AbsorbReward = None
    action_low: tyro.conf.Suppress[tuple[float, ...] | None] = None
    action_high: tyro.conf.Suppress[tuple[float, ...] | None] = None
    seed: tyro.conf.Suppress[int] = 0


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags, pipeline.RunConfig):
    """Logs of several behaviors in, a world model that holds under others out, with the evidence in a report."""

    data: Annotated[tuple[Path, ...], FILES] = ()
    unlogged: Annotated[tuple[Path, ...], FILES] = ()
    env: Annotated[str | None, ENV] = None
    termination: Annotated[str | None, ENDS] = None
    out: Annotated[Path | None, FOLDER] = None
    features: FeatureFlags = field(default_factory=FeatureFlags)
    crossval: Crossval = field(default_factory=Crossval)
    fit: Train = field(default_factory=Train)
    optimize: Optimize = field(default_factory=Optimize)
    tensorboard: TensorBoard = False
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Run the main job and return its summary."""
    return pipeline.run(configuration(pipeline.RunConfig, command), terminal, tensorboard=command.tensorboard)
