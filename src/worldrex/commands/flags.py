"""Flags that several verbs share."""

from pathlib import Path
from typing import Annotated

import tyro

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
