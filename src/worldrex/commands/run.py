"""`worldrex run`."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from worldrex import pipeline
from worldrex.commands.flags import Json, LoadFlags, Numbers, Patience
from worldrex.dynamics import TrainConfig
from worldrex.evaluation import CrossvalConfig
from worldrex.terminal import Terminal

FILES = tyro.conf.arg(metavar="LOG ...", help_behavior_hint="")
FOLDER = tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: runs/NAME-DATE-TIME)")


@dataclass(frozen=True)
class Crossval(CrossvalConfig):
    """Which weights to compare, and how each of the trainings goes: smaller than the final one, since there are many."""

    behavior_weights: Numbers = None
    baselines: Numbers = None
    patience: Patience = None
    seed: tyro.conf.Suppress[int] = 0


@dataclass(frozen=True)
class Train(TrainConfig):
    """How the final models are trained."""

    behavior_weights: Numbers = None
    baselines: Numbers = None
    patience: Patience = None
    seed: tyro.conf.Suppress[int] = 0


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags, pipeline.RunConfig):
    """Logs of several behaviors in, a world model that holds under others out, with the evidence in a report."""

    data: Annotated[tuple[Path, ...], FILES] = ()
    unlogged: Annotated[tuple[Path, ...], FILES] = ()
    out: Annotated[Path | None, FOLDER] = None
    crossval: Crossval = field(default_factory=Crossval)
    fit: Train = field(default_factory=Train)
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Run the main job and return its summary."""
    config = pipeline.RunConfig(**{field.name: getattr(command, field.name) for field in fields(pipeline.RunConfig)})
    return pipeline.run(config, terminal)
