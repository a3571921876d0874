"""`worldrex describe`."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from worldrex.commands.flags import NONE, LoadFlags, Logs
from worldrex.commands.json_flag import Json
from worldrex.data import DataError, Finding, describe, load_unchecked, render, render_page
from worldrex.data.findings import plural
from worldrex.runs import atomic_file, check_file
from worldrex.terminal import Terminal

PAGE = tyro.conf.arg(
    metavar="FILE.html",
    help="Write the same as one HTML page, with all columns and behaviors; the file must not exist.",
    help_behavior_hint=NONE,
)


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags):
    """What is in a log: columns, behaviors, episodes, ranges, problems. Exit 2 if it cannot be used."""

    paths: Logs
    html: Annotated[Path | None, PAGE] = None
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Describe the files together."""
    if command.html is not None:
        check_file(command.html, flag="--html")
    found: list[Finding] = []
    data = load_unchecked(*command.paths, options=command, say=partial(terminal.say, label="read"), found=found.append)
    description = describe(data, bounds=command.action_bounds, findings=found)
    terminal.show(render(description))
    if command.html is not None:
        with atomic_file(command.html) as file:
            file.write(render_page(description).encode("utf-8"))
        terminal.say(str(command.html), label="wrote")
    errors = sum(finding.severity == "error" for finding in description.findings)
    if errors:
        unusable = DataError(f"the data cannot be used: {plural(errors, 'error')}, told above.")
        unusable.told = description.to_json()
        raise unusable
    return description.to_json()
