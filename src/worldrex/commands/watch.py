"""`worldrex watch`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from worldrex.commands.json_flag import Json
from worldrex.terminal import Terminal
from worldrex.watch import watch

FOLDER = tyro.conf.arg(metavar="DIR", help="Run folder of `run`, `crossval` or `fit`.", help_behavior_hint="")


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a running job stands: risks, penalty, steps per second, time left. On a pipe, a line for each report."""

    folder: Annotated[Path, tyro.conf.Positional, FOLDER]
    once: bool = False
    """Show how it stands now, and end; else it is followed to its end."""
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Follow the job."""
    return watch(command.folder, terminal, once=command.once)
