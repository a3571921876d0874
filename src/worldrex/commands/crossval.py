"""`worldrex crossval`."""

import dataclasses
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import tyro

from worldrex.data import load
from worldrex.evaluation import CrossvalConfig, crossval, require_comparable
from worldrex.runs import open_run, write_json
from worldrex.summary_tables import weights_table
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command(CrossvalConfig):
    """Leave one behavior out, for each weight and seed, and choose the weight by the worst left-out risk."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Files of logged transitions (Parquet or NPZ)."""
    behavior_cycle: int | None = None
    """Where files do not name behaviors: episode i was logged by behavior i mod this."""
    out: Path
    """Run folder to write."""
    json: bool = False
    """Print the summary as JSON on stdout."""


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Compare the weights, write config.json and summary.json."""
    data = load(*command.paths, behavior_cycle=command.behavior_cycle)
    require_comparable(data)
    config = CrossvalConfig(**{field.name: getattr(command, field.name) for field in fields(CrossvalConfig)})
    folder = open_run(command.out, dataclasses.asdict(command), command=["worldrex", *sys.argv[1:]])
    with (
        folder.job("crossval"),
        terminal.stage("crossval", f"{data.num_behaviors} behaviors, one left out at a time") as tick,
    ):
        table = crossval(data, config, tick=tick)
        summary = {"format": 1, "kind": "crossval", "seed": config.seed, **table.to_json()}
        write_json(folder.path / "summary.json", summary)
    terminal.say(weights_table(table.selection))
    chosen = table.selection.chosen
    terminal.say(
        f"{'chosen':<9}{f'{config.penalty}, weight {chosen:g}' if chosen else 'ERM (no penalty)'}: {table.selection.rule}"
    )
    return summary
