"""`worldrex convert`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldrex.commands.flags import LoadFlags, Logs
from worldrex.commands.json_flag import Json
from worldrex.data import load_each, write_mapped
from worldrex.data.findings import plural
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags):
    """Write logs, one in memory at a time, as one log that is used where it lies on disk: for logs beyond memory."""

    paths: Logs
    out: Path
    """Folder to write, with one NPY file for each column."""
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Convert, and say what came of it."""
    with terminal.stage("convert", f"{plural(len(command.paths), 'log')}, one after the other"):
        logs = load_each(*command.paths, options=command, say=lambda line: terminal.say(line))
        records = write_mapped(logs, command.out)
    terminal.say(f"{command.out}, {plural(records, 'record')}", label="wrote")
    return {"format": 1, "kind": "convert", "records": records, "path": str(command.out)}
