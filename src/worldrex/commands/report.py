"""`worldrex report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from worldrex.commands.flags import Json
from worldrex.report import write_page
from worldrex.terminal import Terminal

FOLDERS = tyro.conf.arg(metavar="DIR ...", help="Run folders, one or more.", help_behavior_hint="")


@dataclass(frozen=True, kw_only=True)
class Command:
    """One self-contained HTML page from one run folder or more."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional, FOLDERS]
    out: Path
    """The page to write."""
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Write the page."""
    write_page(command.folders, command.out)
    terminal.say(str(command.out), label="wrote")
    return {"page": str(command.out)}
