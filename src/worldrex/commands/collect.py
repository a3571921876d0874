"""`worldrex collect`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from worldrex.data import CollectConfig, collect, describe, render
from worldrex.runs import check_file
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command(CollectConfig):
    """Run a task's behaviors and write what they log as Parquet."""

    out: Path
    """The file to write; it must not exist."""
    json: bool = False
    """Print the description as JSON on stdout."""


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Collect, write, describe."""
    check_file(command.out)
    config = CollectConfig(**{field.name: getattr(command, field.name) for field in fields(CollectConfig)})
    with terminal.stage("collect", f"{config.task}: the {config.behaviors} behaviors") as tick:
        data = collect(config, progress=tick)
    data.save(command.out)
    description = describe(data)
    terminal.say(render(description))
    terminal.say(f"{'wrote':<9}{command.out}")
    return description.to_json()
