"""`worldrex describe`."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from worldrex.commands.flags import Json, LoadFlags, Logs
from worldrex.data import DataError, describe, load_unchecked, render
from worldrex.data.findings import plural
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags):
    """What is in a log: columns, behaviors, episodes, ranges, problems. Exit 2 if it cannot be used."""

    paths: Logs
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Describe the files together."""
    description = describe(load_unchecked(*command.paths, options=command, say=partial(terminal.say, label="read")))
    terminal.show(render(description))
    errors = sum(finding.severity == "error" for finding in description.findings)
    if errors:
        raise DataError(f"the data cannot be used: {plural(errors, 'error')}, told above.")
    return description.to_json()
