"""`worldrex fit`."""

import dataclasses
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import tyro

from worldrex.data import load
from worldrex.dynamics import FitConfig, fit
from worldrex.runs import open_run, write_json
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command(FitConfig):
    """Fit one world model, its risk made even over the behaviors."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Files of logged transitions (Parquet or NPZ)."""
    behavior_cycle: int | None = None
    """Where files do not name behaviors: episode i was logged by behavior i mod this."""
    out: Path
    """Run folder to write; the model is in its folder model/."""
    json: bool = False
    """Print the summary as JSON on stdout."""


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Fit, write config.json, model/ and summary.json."""
    data = load(*command.paths, behavior_cycle=command.behavior_cycle)
    config = FitConfig(**{field.name: getattr(command, field.name) for field in fields(FitConfig)})
    folder = open_run(command.out, dataclasses.asdict(command), command=["worldrex", *sys.argv[1:]])
    holdout_risk: dict[str, float] = {}
    with folder.job("fit"), terminal.stage("fit", f"{config.members} members on {len(data):,} records") as tick:

        def report(progress: Any) -> None:
            holdout_risk.update(zip(data.behavior_names, progress.holdout_risk[0].tolist(), strict=True))
            folder.log(
                [
                    {
                        "stage": "fit",
                        "step": progress.step,
                        "train_risk": progress.train_risk[0],
                        "holdout_risk": holdout_risk,
                    }
                ]
            )

        model = fit(data, config, report=report, tick=tick)
        model.save(folder.path / "model")
        summary = {
            "format": 1, "kind": "fit", "seed": config.seed, "penalty": config.penalty, "weight": config.weight,
            "holdout_risk": holdout_risk,
        }  # fmt: skip
        write_json(folder.path / "summary.json", summary)
    for name, value in holdout_risk.items():
        terminal.say(f"{'':<9}held-out risk {value:.4g}  {name}")
    terminal.say(f"{'wrote':<9}{folder.path / 'model'}")
    return summary
