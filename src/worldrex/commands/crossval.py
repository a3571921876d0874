"""`worldrex crossval`."""

import dataclasses
import shlex
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from worldrex.commands.flags import LoadFlags, Logs
from worldrex.commands.json_flag import Json
from worldrex.commands.training_flags import (
    FeatureFlags,
    Names,
    Numbers,
    Patience,
    Penalties,
    Ray,
    TensorBoard,
    configuration,
)
from worldrex.data import Transitions, load, maps_of
from worldrex.dynamics import (
    RUNS_PER_CHUNK,
    Sweep,
    connected,
    forget,
    longest_episode,
    require_chunk,
    require_fitting,
    train_on_ray,
)
from worldrex.evaluation import CrossvalConfig, crossval, require_comparable, require_sweepable, shift_map, verdict
from worldrex.event_files import EventFiles
from worldrex.runs import FROM_CHECKPOINT, FROM_CHUNKS, open_run, write_json
from worldrex.stages import checkpoints, log_weights
from worldrex.summary_tables import FOLDS_CAPTION, WEIGHTS_CAPTION, folds_table, weights_table
from worldrex.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Command(CrossvalConfig, LoadFlags):
    """Leave one behavior out, for each penalty, weight and seed, and choose by the worst left-out risk."""

    penalty: Penalties = ("variance",)

    behavior_weights: Numbers = None
    baselines: Numbers = None
    patience: Patience = None
    held_out_behaviors: Names = None
    features: FeatureFlags = field(default_factory=FeatureFlags)

    paths: Logs
    out: Path
    """Run folder to write."""
    ray: Ray = None
    runs_per_chunk: int = RUNS_PER_CHUNK
    """With --ray: trainings that a worker does as one program. A finished chunk is kept in --out and never trained again."""
    tensorboard: TensorBoard = False
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Compare the weights, write config.json and summary.json."""
    config = configuration(CrossvalConfig, command)
    require_sweepable(config)
    require_chunk(command.runs_per_chunk)
    taken_for: list[str] = []
    data = load(*command.paths, options=command, say=taken_for.append)
    require_comparable(data)
    require_fitting(config, data.behavior_names, data.obs.shape[1], longest_episode(data.episode))
    with connected(command.ray) if command.ray is not None else nullcontext():
        return _compare(command, config, data, taken_for, terminal)


def _compare(
    command: Command, config: CrossvalConfig, data: Transitions, taken_for: list[str], terminal: Terminal
) -> dict[str, Any]:
    # Files that have changed since must not be mixed with a checkpoint of the old ones.
    settings = dataclasses.asdict(config) | {"paths": command.paths} | command.settings()
    settings["records_crc32"] = data.checksum()
    mirror = EventFiles(command.out / "tensorboard") if command.tensorboard else None
    folder = open_run(command.out, settings, command=["worldrex", *sys.argv[1:]], mirror=mirror)
    for line in taken_for:
        terminal.say(line, label="read")
    with folder.job("crossval", goes_on=FROM_CHECKPOINT if command.ray is None else FROM_CHUNKS):
        report = partial(log_weights, folder, data)
        with terminal.stage("crossval", f"{data.num_behaviors} behaviors, one left out at a time") as tick:
            told = checkpoints(folder, terminal, "crossval")
            table = crossval(data, config, report=report, tick=tick, trainer=_trainer(command, data), **told)
        found = verdict(table.selection, {})
        summary = {
            "format": 1, "kind": "crossval", "task": command.paths[0].stem, "seed": config.seed,
            "command": shlex.join(["worldrex", *sys.argv[1:]]), "verdict": dataclasses.asdict(found), **table.to_json(),
            "shift": shift_map(data, seed=config.seed).to_json(),
        }  # fmt: skip
        # Before it is written: a full disk must not take what was found, too.
        terminal.show(weights_table(table.selection), caption=WEIGHTS_CAPTION)
        terminal.show(folds_table(table.selection, table.distance), caption=FOLDS_CAPTION)
        if table.selection.pairs is not None:
            terminal.say(found.evidence[-1], label="pairs")
        chosen = table.selection.chosen
        model = f"{table.selection.penalty} penalty, weight {chosen:g}" if chosen else "ERM (no penalty)"
        terminal.say(f"{model}: {table.selection.rule}", label="chosen")
        terminal.say(found.sentence, label="verdict")
        write_json(folder.path / "summary.json", summary)
        forget(folder.path / "checkpoint")
    return summary


def _trainer(command: Command, data: Transitions) -> Callable[..., Sweep] | None:
    """The cluster, or None for this process."""
    if command.ray is None:
        return None
    # A log on disk is not sent: each node opens it.
    source = partial(load, *map(Path.absolute, command.paths), options=command) if maps_of(data) else None
    return partial(train_on_ray, runs_per_chunk=command.runs_per_chunk, source=source)
