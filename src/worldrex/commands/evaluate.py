"""`worldrex evaluate`."""

import datetime
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from gymnasium.spaces import Box

from worldrex import tasks
from worldrex.commands.flags import NONE, LoadFlags
from worldrex.commands.json_flag import Json
from worldrex.data import Transitions, load
from worldrex.dynamics import load_model, longest_episode
from worldrex.evaluation import (
    EvaluationError,
    Reality,
    ReturnsConfig,
    film,
    judge,
    reality_of,
    reality_of_task,
    require_filmable,
    require_judgeable,
    require_together,
)
from worldrex.policy import CloneConfig, Policy, clone, load_policy
from worldrex.policy.scales import scales_of
from worldrex.return_tables import returns_caption, returns_sentences, returns_table
from worldrex.runs import check_file, open_run, write_json
from worldrex.terminal import Terminal

POLICIES = tyro.conf.arg(
    metavar="DIR ...",
    help="Folders of a policy, or run folders that hold one; several are taken for one learner's under several seeds.",
    help_behavior_hint="(required)",
)
TASK = tyro.conf.arg(metavar="NAME", help="Built-in task, whose behaviors are run beside it.", help_behavior_hint=NONE)
ENV = tyro.conf.arg(
    metavar="ID", help="Any registered Gymnasium environment instead, or MODULE:ID.", help_behavior_hint=NONE
)
STEPS = tyro.conf.arg(
    metavar="N",
    help="Steps of an episode in --env, at most.",
    help_behavior_hint="(default: the environment's own limit)",
)
MODEL = tyro.conf.arg(
    metavar="DIR", help="The model that it was learned in: what it promised.", help_behavior_hint=NONE
)
DATA = tyro.conf.arg(
    metavar="LOG ...",
    help="The logs that the model was fitted on: they bound its rollouts and, without a task, are the baseline.",
    help_behavior_hint=NONE,
)
CLONING = tyro.conf.arg(
    metavar="N",
    help="Updates of behavior cloning on --data, which stands beside; 0 for none.",
    help_behavior_hint=f"(default: {CloneConfig.steps:,})",
)
FOLDER = tyro.conf.arg(
    metavar="DIR", help="Run folder to write.", help_behavior_hint="(default: runs/evaluate-NAME-DATE-TIME)"
)
RENDER = tyro.conf.arg(
    metavar="FILE.gif",
    help="Film an episode and, with --model, its rollout from the same start beside it.",
    help_behavior_hint=NONE,
)
REFERENCE = tyro.conf.arg(
    metavar="LOW HIGH",
    help="Returns of a random and of a reference policy: scores from 0 to 100 between them.",
    help_behavior_hint=NONE,
)


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags, ReturnsConfig):
    """A policy's return in the real environment: deterministic and stochastic, with intervals, beside baselines."""

    reference: Annotated[tuple[float, float] | None, REFERENCE] = None
    policies: Annotated[tuple[Path, ...], tyro.conf.Positional, POLICIES]
    task: Annotated[str | None, TASK] = None
    env: Annotated[str | None, ENV] = None
    episode_steps: Annotated[int | None, STEPS] = None
    model: Annotated[Path | None, MODEL] = None
    data: Annotated[tuple[Path, ...], DATA] = ()
    cloning_steps: Annotated[int, CLONING] = CloneConfig.steps
    render: Annotated[Path | None, RENDER] = None
    out: Annotated[Path | None, FOLDER] = None
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Run the episodes, write config.json and summary.json."""
    config = ReturnsConfig(command.episodes, command.seed, command.reference)
    require_judgeable(config)
    reality = _reality(command)
    policies = [load_policy(path) for path in command.policies]
    model = load_model(command.model) if command.model else None
    taken_for: list[str] = []
    if not command.data and any(value is not None for value in command.settings().values()):
        raise EvaluationError("the flags on how logs are read go with --data; give the logs with --data LOG ...")
    data = load(*command.data, options=command, say=taken_for.append) if command.data else None
    space = require_together(policies, reality, model, data)
    if command.cloning_steps < 0:
        raise EvaluationError(f"cloning_steps is {command.cloning_steps}; give 0 (none) or more.")
    imitation = CloneConfig(
        steps=command.cloning_steps, seed=command.seed, action_low=command.action_low, action_high=command.action_high
    )
    imitated = data if command.cloning_steps else None
    if imitated is not None:
        scales_of(imitated, command.action_low, command.action_high)  # refuses what cannot be imitated
    if command.render is not None:
        check_file(command.render, flag="--render")
        require_filmable(reality, command.render, with_model=model is not None)
    settings = asdict(config) | {
        "policies": command.policies, "env": reality.env_id, "settings": reality.settings, "model": command.model,
        "data": command.data, "cloning_steps": command.cloning_steps,
    } | command.settings()  # fmt: skip
    name = reality.name.split("/")[-1].split(":")[-1]
    out = command.out or Path("runs") / f"evaluate-{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    folder = open_run(out, settings, command=["worldrex", *sys.argv[1:]])
    for line in taken_for:
        terminal.say(line, label="read")
    for line in _differing(reality, policies[0], space, data):
        terminal.say(line, label="caution")
    who = "the policy" if len(policies) == 1 else f"{len(policies)} policies"
    what = f"{who} and the baselines in {reality.name}, {config.episodes} episodes each"
    cloned = None
    with folder.job("evaluate" if imitated is None else "clone"):
        if imitated is not None:
            with terminal.stage("clone", f"imitates the log, {command.cloning_steps:,} updates: a baseline") as tick:
                cloned = clone(imitated, imitation, tick=tick)
            folder.begin("evaluate")
        with terminal.stage("evaluate", what) as tick:
            judged = judge(policies, reality, config, model=model, data=data, cloned=cloned, tick=tick)
        for path, entry in zip(command.policies, judged["policies"], strict=True):
            entry["path"] = path
        summary = {"format": 1, "kind": "evaluate", "model": command.model, **judged}
        write_json(folder.path / "summary.json", summary)
        if command.render is not None:
            film(command.render, policies[0], reality, model=model, data=data, seed=config.seed)
    terminal.show(returns_table(summary), caption=returns_caption(summary))
    for label, sentence in returns_sentences(summary):
        terminal.say(sentence, label=label)
    for path in (command.render, folder.path / "summary.json"):
        if path is not None:
            terminal.say(str(path), label="wrote")
    return summary


def _differing(reality: Reality, policy: Policy, space: Box, data: Transitions | None) -> Iterator[str]:
    """In what the environment is not the one of the log, as far as can be seen."""
    low, high = (np.asarray(bound) for bound in (policy.scales.low, policy.scales.high))
    if (low < space.low).any() or (high > space.high).any():
        yield (
            f"the policy's actions reach from {_listed(low)} to {_listed(high)}, the environment takes {_listed(space.low)} to "
            f"{_listed(space.high)}."
        )
    if reality.task is None and data is not None and (logged := longest_episode(data.episode)) != reality.episode_steps:
        yield (
            f"a logged episode has up to {logged} steps, one of the environment {reality.episode_steps}: their returns do not "
            f"compare. --episode-steps {logged} would make them."
        )


def _listed(bound: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in bound)


def _reality(command: Command) -> Reality:
    if (command.task is None) == (command.env is None):
        raise EvaluationError(
            f"give --task NAME ({', '.join(tasks.names())}) or --env ID, a Gymnasium environment; one of the two."
        )
    if command.env is not None:
        return reality_of(command.env, episode_steps=command.episode_steps)
    if command.episode_steps is not None:
        raise EvaluationError("--episode-steps goes with --env; an episode of a task has the task's own length.")
    return reality_of_task(tasks.task(command.task or ""))
