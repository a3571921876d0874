"""`worldrex fit`."""

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from worldrex.commands.flags import LoadFlags, Logs
from worldrex.commands.json_flag import Json
from worldrex.commands.training_flags import FeatureFlags, Names, Numbers, Patience, TensorBoard, configuration
from worldrex.data import Transitions, load
from worldrex.data.findings import plural
from worldrex.dynamics import (
    FitConfig,
    Progress,
    TrainingError,
    fit,
    forget,
    longest_episode,
    processes,
    require_fitting,
    require_trainable,
    rule_of,
)
from worldrex.event_files import EventFiles
from worldrex.runs import RunError, open_run, write_json
from worldrex.stages import checkpoints
from worldrex.terminal import Terminal

ADDRESS = tyro.conf.arg(
    metavar="HOST:PORT", help="Where process 0 listens to the others.", help_behavior_hint="(default: none)"
)


@dataclass(frozen=True, kw_only=True)
class Command(FitConfig, LoadFlags):
    """Fit one world model, its risk made even over the behaviors."""

    behavior_weights: Numbers = None
    baselines: Numbers = None
    patience: Patience = None
    held_out_behaviors: Names = None
    features: FeatureFlags = field(default_factory=FeatureFlags)

    paths: Logs
    out: Path
    """Run folder to write; the model is in its folder model/. An unfinished run of the same settings is resumed."""
    resume: bool = False
    """Refuse to start anew: go on with the unfinished run in --out."""
    devices: int = 1
    """Devices that share each batch; the others train other members. A CPU simulates as many as are asked for."""
    processes: int = 1
    """Processes that train together, each given the same command but for --process; each reads its part of the files."""
    process: int = 0
    """Number of this process, from 0; process 0 writes the run folder."""
    coordinator: Annotated[str | None, ADDRESS] = None
    tensorboard: TensorBoard = False
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Fit, write config.json, model/ and summary.json."""
    config = configuration(FitConfig, command)
    require_trainable(config, [config.weight])
    _together(command)
    taken_for: list[str] = []
    data = load(*command.paths, options=command, say=taken_for.append, part=(command.process, command.processes))
    whole = processes.whole_log(data)
    require_fitting(config, whole.behavior_names, data.obs.shape[1], longest_episode(data.episode))
    # Files that have changed since must not be mixed with a checkpoint of the old ones.
    settings = dataclasses.asdict(config) | {"paths": command.paths} | command.settings()
    settings["records_crc32"] = processes.of_each(data.checksum())
    devices = command.devices if command.processes == 1 else processes.devices()
    if command.process > 0:
        terminal.say(
            f"{plural(len(data), 'record')} for process 0, which tells how it goes", label=f"{command.process}"
        )
        fit(data, config, devices_per_batch=devices)
        return {}
    if command.resume and not (command.out / "config.json").exists():
        raise RunError(f"--resume: {command.out} holds no run to go on with. Leave --resume away to begin one.")
    mirror = EventFiles(command.out / "tensorboard") if command.tensorboard else None
    folder = open_run(command.out, settings, command=["worldrex", *sys.argv[1:]], mirror=mirror)
    for line in (*taken_for, *_cautions(config, data)):
        terminal.say(line, label="read")
    holdout_risk: dict[str, float] = {}
    with (
        folder.job("fit"),
        terminal.stage("fit", f"{plural(config.members, 'member')} on {plural(len(whole.behavior), 'record')}") as tick,
    ):

        def report(progress: Progress) -> None:
            holdout_risk.update(zip(whole.behavior_names, progress.holdout_risk[0].tolist(), strict=True))
            folder.log(
                [
                    {
                        "stage": "fit",
                        "step": progress.step,
                        "total": progress.total,
                        "train_risk": progress.train_risk[0],
                        "holdout_risk": holdout_risk,
                        "holdout_penalty": progress.holdout_penalty[0],
                    }
                ]
            )

        model = fit(
            data, config, report=report, tick=tick, devices_per_batch=devices, **checkpoints(folder, terminal, "fit")
        )
        model.save(folder.path / "model")
        summary = {
            "format": 1, "kind": "fit", "seed": config.seed, "penalty": config.penalty, "weight": config.weight,
            "holdout_risk": holdout_risk,
        }  # fmt: skip
        write_json(folder.path / "summary.json", summary)
        forget(folder.path / "checkpoint")
    for name, value in holdout_risk.items():
        terminal.say(f"held-out risk {value:.4g} under {name}" if value == value else f"nothing held out of {name}")
    terminal.say(str(folder.path / "model"), label="wrote")
    return summary


def _cautions(config: FitConfig, data: Transitions) -> list[str]:
    """What a person should know of a given rule of termination that the log does not follow."""
    rule = rule_of(config.termination)
    if rule is None:
        return []
    ends = np.asarray(rule.ends(data.next_obs))
    if (ends == data.terminated).all():
        return []
    return [
        f"the rule of termination ends {100 * ends.mean():.3g} % of the log's records, and {100 * data.terminated.mean():.3g} % "
        f"ended there; they differ in {int((ends != data.terminated).sum()):,}"
    ]


def _together(command: Command) -> None:
    """Join the other processes, and have as many devices as are asked for."""
    if command.processes < 1 or command.devices < 1:
        raise TrainingError(
            f"processes is {command.processes} and devices {command.devices}; training needs 1 or more of each."
        )
    if command.processes > 1 and command.coordinator is None:
        raise TrainingError(
            f"{command.processes} processes need an address to meet at: give all of them --coordinator HOST:PORT, with the host "
            "of process 0 and a free port."
        )
    if command.processes == 1 and (command.coordinator is not None or command.process != 0):
        raise TrainingError(
            "--process and --coordinator are for several processes: give --processes, how many there are."
        )
    if command.processes > 1 and command.coordinator is not None:
        processes.simulate(command.devices, exactly=True)
        processes.connect(command.coordinator, command.processes, command.process)
    elif command.devices > 1:
        processes.simulate(command.devices)
