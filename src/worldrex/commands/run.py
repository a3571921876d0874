"""`worldrex run`."""

from dataclasses import dataclass, fields
from typing import Any

from worldrex import pipeline
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command(pipeline.RunConfig):
    """Logs of several behaviors in, a world model that holds under others out, with the evidence in a report."""

    json: bool = False
    """Print the summary as JSON on stdout, everything else on stderr."""


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Run the main job and return its summary."""
    config = pipeline.RunConfig(**{field.name: getattr(command, field.name) for field in fields(pipeline.RunConfig)})
    return pipeline.run(config, terminal)
