"""`worldrex optimize`."""

import dataclasses
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from worldrex.commands.flags import LoadFlags, Logs
from worldrex.commands.json_flag import Json
from worldrex.commands.training_flags import AbsorbBeyond, AbsorbReward, Entropy, TensorBoard
from worldrex.data import describe, load
from worldrex.data.findings import plural
from worldrex.dynamics import WorldModel, forget, load_model
from worldrex.event_files import EventFiles
from worldrex.policy import MOPOConfig, Progress, optimize, require_learnable, setting_of
from worldrex.runs import RunError, open_run, plain, write_json
from worldrex.stages import checkpoints
from worldrex.terminal import Terminal

MODEL = tyro.conf.arg(
    metavar="DIR", help="Folder of a model, or run folder that holds one.", help_behavior_hint="(required)"
)


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags, MOPOConfig):
    """Learn a policy inside a world model, pessimistic where the model does not know (MOPO)."""

    target_entropy: Entropy = None
    absorb_beyond: AbsorbBeyond = None
    absorb_reward: AbsorbReward = None

    model: Annotated[Path, tyro.conf.Positional, MODEL]
    paths: Logs
    out: Path
    """Run folder to write; the policy is in its folder policy/. An unfinished run of the same settings is resumed."""
    resume: bool = False
    """Refuse to start anew: go on with the unfinished run in --out."""
    tensorboard: TensorBoard = False
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Optimize, write config.json, policy/ and summary.json."""
    config = MOPOConfig(**{field.name: getattr(command, field.name) for field in dataclasses.fields(MOPOConfig)})
    require_learnable(config)
    model = load_model(command.model)
    taken_for: list[str] = []
    data = load(*command.paths, options=command, say=taken_for.append)
    # What does not fit is refused before a folder is made.
    setting_of([model], data, config)
    # A model or files that have changed since must not be mixed with a checkpoint of the old ones.
    settings = dataclasses.asdict(config) | {"model": command.model, "paths": command.paths} | command.settings()
    settings |= {"records_crc32": data.checksum(), "model_crc32": _checksum(model)}
    if command.resume and not (command.out / "config.json").exists():
        raise RunError(f"--resume: {command.out} holds no run to go on with. Leave --resume away to begin one.")
    mirror = EventFiles(command.out / "tensorboard") if command.tensorboard else None
    folder = open_run(command.out, settings, command=["worldrex", *sys.argv[1:]], mirror=mirror)
    for line in taken_for:
        terminal.say(line, label="read")
    told: dict[str, Any] = {}
    what = f"{config.steps:,} updates, rollouts of {plural(config.horizon, 'step')} from {plural(len(data), 'record')}"
    with folder.job("optimize"), terminal.stage("optimize", what) as tick:

        def report(progress: Progress) -> None:
            of_run = {name: value if np.ndim(value) == 0 else value[0] for name, value in progress._asdict().items()}
            told.update(plain(of_run))
            folder.log([{"stage": "optimize", **told}])

        policy = optimize(model, data, config, report=report, tick=tick, **checkpoints(folder, terminal, "optimize"))
        policy.save(folder.path / "policy")
        summary = {
            "format": 1, "kind": "optimize", "seed": config.seed, "pessimism": config.pessimism,
            "uncertainty": config.uncertainty, "absorb_beyond": config.absorb_beyond,
            "conservatism": config.conservatism, "imitation": config.imitation, "horizon": config.horizon,
            "termination": model.termination,
            "log_return": {behavior.name: behavior.mean_return for behavior in describe(data).behaviors},
            **{name: told[name] for name in ("model_return", "cut", "skipped", "temperature")},
        }  # fmt: skip
        write_json(folder.path / "summary.json", summary)
        forget(folder.path / "checkpoint")
    best = max((value, name) for name, value in summary["log_return"].items() if value is not None)
    terminal.say(
        f"an episode of this policy returns {told['model_return']:.4g} in the model; the best logged behavior's returned "
        f"{best[0]:.4g} ({best[1]})", label="promised",
    )  # fmt: skip
    if told["cut"]:
        terminal.say(f"{plural(told['cut'], 'rollout')} of the model came to what is not finite, and were cut there")
    terminal.say(str(folder.path / "policy"), label="wrote")
    return summary


def _checksum(model: WorldModel) -> int:
    """CRC-32 of its arrays."""
    checksum = 0
    for array in jax.tree.leaves((model.networks, model.normalizer, model.elites)):
        checksum = zlib.crc32(np.ascontiguousarray(array).tobytes(), checksum)
    return checksum
