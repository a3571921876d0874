"""`worldrex describe`."""

from dataclasses import dataclass
from typing import Any

from worldrex.commands.flags import BehaviorCycle, Json, Logs
from worldrex.data import DataError, describe, load_unchecked, render
from worldrex.data.findings import plural
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is in a log: columns, behaviors, episodes, ranges, problems. Exit 2 if it cannot be used."""

    paths: Logs
    behavior_cycle: BehaviorCycle = None
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Describe the files together."""
    description = describe(load_unchecked(*command.paths, behavior_cycle=command.behavior_cycle))
    terminal.show(render(description))
    errors = sum(finding.severity == "error" for finding in description.findings)
    if errors:
        raise DataError(f"the data cannot be used: {plural(errors, 'error')}, told above.")
    return description.to_json()
