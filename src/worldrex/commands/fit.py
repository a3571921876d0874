"""`worldrex fit`."""

import dataclasses
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from worldrex.commands.flags import Json, LoadFlags, Logs, Numbers, Patience
from worldrex.data import load
from worldrex.data.findings import plural
from worldrex.dynamics import FitConfig, fit, forget, require_one_per_behavior, require_trainable
from worldrex.runs import RunError, open_run, write_json
from worldrex.stages import checkpoints
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command(FitConfig, LoadFlags):
    """Fit one world model, its risk made even over the behaviors."""

    behavior_weights: Numbers = None
    baselines: Numbers = None
    patience: Patience = None

    paths: Logs
    out: Path
    """Run folder to write; the model is in its folder model/. An unfinished run of the same settings is resumed."""
    resume: bool = False
    """Refuse to start anew: go on with the unfinished run in --out."""
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Fit, write config.json, model/ and summary.json."""
    config = FitConfig(**{field.name: getattr(command, field.name) for field in fields(FitConfig)})
    require_trainable(config, [config.weight])
    taken_for: list[str] = []
    data = load(*command.paths, options=command, say=taken_for.append)
    require_one_per_behavior(config, data.num_behaviors)
    # Files that have changed since must not be mixed with a checkpoint of the old ones.
    settings = dataclasses.asdict(config) | {"paths": command.paths} | command.settings()
    settings["records_crc32"] = data.checksum()
    if command.resume and not (command.out / "config.json").exists():
        raise RunError(f"--resume: {command.out} holds no run to go on with. Leave --resume away to begin one.")
    folder = open_run(command.out, settings, command=["worldrex", *sys.argv[1:]])
    for line in taken_for:
        terminal.say(line, label="read")
    holdout_risk: dict[str, float] = {}
    with (
        folder.job("fit"),
        terminal.stage("fit", f"{plural(config.members, 'member')} on {plural(len(data), 'record')}") as tick,
    ):

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

        model = fit(data, config, report=report, tick=tick, **checkpoints(folder, terminal, "fit"))
        model.save(folder.path / "model")
        summary = {
            "format": 1, "kind": "fit", "seed": config.seed, "penalty": config.penalty, "weight": config.weight,
            "holdout_risk": holdout_risk,
        }  # fmt: skip
        write_json(folder.path / "summary.json", summary)
        forget(folder.path / "checkpoint")
    for name, value in holdout_risk.items():
        terminal.say(f"held-out risk {value:.4g} under {name}")
    terminal.say(str(folder.path / "model"), label="wrote")
    return summary
