"""Flags of the verbs that train; apart from the others, which must not wait for JAX."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import tyro

from worldrex.commands.flags import NONE
from worldrex.dynamics import Features, TrainedPenalty

Numbers = Annotated[tuple[float, ...] | None, tyro.conf.arg(metavar="FLOAT ...", help_behavior_hint=NONE)]
Patience = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=NONE)]
Names = Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="NAME ...", help_behavior_hint=NONE)]
Dims = Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="INT ...", help_behavior_hint=NONE)]
Penalties = Annotated[
    tuple[TrainedPenalty, ...],
    tyro.conf.arg(help="Penalty on the spread of the behaviors' risks, or several to compare."),
]

Entropy = Annotated[
    float | None,
    tyro.conf.arg(
        metavar="FLOAT",
        help="Entropy of the actions (scaled to [-1, 1]) that the temperature aims at.",
        help_behavior_hint="(default: minus their dimensions)",
    ),
]
AbsorbBeyond = Annotated[
    float | None,
    tyro.conf.arg(
        metavar="SHARE",
        help="Quantile of the uncertainty on the log beyond which a rollout falls into an absorbing state (MOReL).",
        help_behavior_hint="(default: there is none)",
    ),
]
AbsorbReward = Annotated[
    float | None,
    tyro.conf.arg(
        metavar="FLOAT", help="Reward of each step in it.", help_behavior_hint="(default: the least in the log)"
    ),
]
TensorBoard = Annotated[
    bool,
    tyro.conf.arg(
        help="Write the metrics for TensorBoard too, into tensorboard/ of the run folder.", help_behavior_hint=""
    ),
]
Ray = Annotated[
    str | None,
    tyro.conf.arg(
        metavar="ADDRESS",
        help="Have a Ray cluster train, to the same table: HOST:PORT of its head, auto (the one of this machine), or local (one "
        "is started here).",
        help_behavior_hint="(default: this process trains)",
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
