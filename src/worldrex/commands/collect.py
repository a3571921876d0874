"""`worldrex collect`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from worldrex.commands.json_flag import Json
from worldrex.data import CollectConfig, DataError, collect, describe, render
from worldrex.runs import check_file
from worldrex.terminal import Terminal

STEPS = tyro.conf.arg(
    metavar="N", help="Records of each behavior.", help_behavior_hint="(default: the task's own number)"
)


@dataclass(frozen=True, kw_only=True)
class Command(CollectConfig):
    """Run a task's behaviors and write what they log as Parquet."""

    steps_per_behavior: Annotated[int | None, STEPS] = None
    out: Path
    """The file to write; it must not exist."""
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Collect, write, describe."""
    if command.out.suffix.lower() not in ("", ".parquet", ".pq"):
        raise DataError(f"--out {command.out} is not the name of a Parquet file, which collect writes: say .parquet.")
    check_file(command.out)
    config = CollectConfig(**{field.name: getattr(command, field.name) for field in fields(CollectConfig)})
    with terminal.stage("collect", f"{config.task}: the {config.behaviors} behaviors") as tick:
        data = collect(config, progress=tick)
    data.save(command.out)
    description = describe(data)
    terminal.show(render(description))
    terminal.say(str(command.out), label="wrote")
    return description.to_json()
