"""`worldrex report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from worldrex.report import write_page
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command:
    """One self-contained HTML page from one run folder or more."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path
    """The page to write."""
    json: bool = False
    """Print the page's path as JSON on stdout."""


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Write the page."""
    write_page(command.folders, command.out)
    terminal.say(f"{'wrote':<9}{command.out}")
    return {"page": str(command.out)}
