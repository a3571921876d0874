"""Flags that several verbs share."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from worldrex.dynamics import Features

LOG_FILES = tyro.conf.arg(
    metavar="FILE ...", help="Files of logged transitions (Parquet or NPZ), one or more.", help_behavior_hint=""
)
Logs = Annotated[tuple[Path, ...], tyro.conf.Positional, LOG_FILES]

CYCLE = tyro.conf.arg(
    metavar="N",
    help="In files that do not name behaviors, episode i was logged by behavior i mod N.",
    help_behavior_hint="(default: one behavior for each file)",
)
BehaviorCycle = Annotated[int | None, CYCLE]

Json = Annotated[
    bool,
    tyro.conf.arg(help="Print the summary as JSON on stdout, everything else on stderr.", help_behavior_hint=""),
]

NONE = "(default: none)"
Numbers = Annotated[tuple[float, ...] | None, tyro.conf.arg(metavar="FLOAT ...", help_behavior_hint=NONE)]
Patience = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=NONE)]
Names = Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="NAME ...", help_behavior_hint=NONE)]
Dims = Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="INT ...", help_behavior_hint=NONE)]

TensorBoard = Annotated[
    bool,
    tyro.conf.arg(
        help="Write the metrics for TensorBoard too, into tensorboard/ of the run folder.", help_behavior_hint=""
    ),
]


@dataclass(frozen=True)
class FeatureFlags(Features):
    """What the networks see of the log, and in which terms they predict."""

    absolute: Dims = None
    angles: Dims = None
    masked: Dims = None


T = TypeVar("T")


def configuration(kind: type[T], command: Any) -> T:
    """The dataclass `kind` that a command's flags are those of."""
    given = {field.name: getattr(command, field.name) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**given | {"features": Features(**dataclasses.asdict(given["features"]))})
