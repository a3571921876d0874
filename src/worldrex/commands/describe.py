"""`worldrex describe`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from worldrex.data import DataError, describe, load_unchecked, render
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is in a log: columns, behaviors, episodes, ranges, problems. Exit 2 if it cannot be used."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Files of logged transitions (Parquet or NPZ)."""
    behavior_cycle: int | None = None
    """Where files do not name behaviors: episode i was logged by behavior i mod this."""
    json: bool = False
    """Print the description as JSON on stdout."""


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Describe the files together."""
    description = describe(load_unchecked(*command.paths, behavior_cycle=command.behavior_cycle))
    terminal.say(render(description))
    errors = sum(finding.severity == "error" for finding in description.findings)
    if errors:
        raise DataError(f"the data cannot be used: {errors} kinds of errors, listed above.")
    return description.to_json()
