"""Flags that several verbs share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from worldrex.data import LoadOptions

NONE = "(default: none)"

LOG_FILES = tyro.conf.arg(
    metavar="LOG ...",
    help="Logs, one or more: files (Parquet, CSV, NPZ, NPY, HDF5) or folders (Parquet, Minari, LeRobot), or minari:ID.",
    help_behavior_hint="",
)
Logs = Annotated[tuple[Path, ...], tyro.conf.Positional, LOG_FILES]

CYCLE = tyro.conf.arg(
    metavar="N",
    help="In logs that do not name behaviors, episode i was logged by behavior i mod N.",
    help_behavior_hint="(default: one behavior for each log)",
)
PATTERN = tyro.conf.arg(
    metavar="REGEX",
    help="The behavior is what the first group (or all of it) finds in the log's name, e.g. 'run-(\\w+)-\\d+'.",
    help_behavior_hint=NONE,
)
BEHAVIORS = tyro.conf.arg(
    metavar="FILE.csv",
    help="Columns episode and behavior: who logged each episode, numbered as in the log.",
    help_behavior_hint=NONE,
)
COLUMN = tyro.conf.arg(
    metavar="NAME",
    help="Column of the behavior, if it is not behavior; of Minari, infos/KEY or an episode's attribute; of LeRobot, of the "
    "frames or of the episodes' metadata.",
    help_behavior_hint=NONE,
)
OBS_DIMS = tyro.conf.arg(metavar="N", help="Width of obs in a flat NPY matrix.", help_behavior_hint=NONE)
ACTION_DIMS = tyro.conf.arg(metavar="N", help="Width of action in a flat NPY matrix.", help_behavior_hint=NONE)
ACTION_LOW = tyro.conf.arg(
    metavar="FLOAT ...",
    help="Least action of the action space, one number for all components or one for each; below it is an error.",
    help_behavior_hint=NONE,
)
ACTION_HIGH = tyro.conf.arg(metavar="FLOAT ...", help="Greatest action of the same.", help_behavior_hint=NONE)


@dataclass(frozen=True, kw_only=True)
class LoadFlags(LoadOptions):
    """The options of reading logs, as flags."""

    behavior_cycle: Annotated[int | None, CYCLE] = None
    behavior_pattern: Annotated[str | None, PATTERN] = None
    behaviors: Annotated[Path | None, BEHAVIORS] = None
    behavior_column: Annotated[str | None, COLUMN] = None
    obs_dims: Annotated[int | None, OBS_DIMS] = None
    action_dims: Annotated[int | None, ACTION_DIMS] = None
    action_low: Annotated[tuple[float, ...] | None, ACTION_LOW] = None
    action_high: Annotated[tuple[float, ...] | None, ACTION_HIGH] = None
