"""The main job: collect or load, describe, leave one behavior out, fit, score, learn policies and try them, report.

It stands between the command line and the rooms, since it is the one thing that uses them all.
"""

import dataclasses
import datetime
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from worldrex import policy_stages, stages, tasks
from worldrex.data import (
    CollectConfig,
    DataError,
    Description,
    LoadOptions,
    Transitions,
    collect,
    describe,
    load,
    render,
)
from worldrex.dynamics import Features, TrainConfig, TrainingError, require_fitting, require_trainable
from worldrex.evaluation import (
    CrossvalConfig,
    Reality,
    ReturnsConfig,
    reality_of,
    reality_of_task,
    require_comparable,
    require_judgeable,
    require_logged,
    require_sweepable,
)
from worldrex.event_files import EventFiles
from worldrex.policy import MOPOConfig, PolicyError, require_learnable
from worldrex.return_tables import policies_caption, policies_table, policy_sentences
from worldrex.runs import open_run, write_json
from worldrex.stages import Job
from worldrex.summary_tables import unlogged_caption, unlogged_table
from worldrex.terminal import Terminal

# Smaller networks than those of `worldrex fit`, on larger batches: measured on the gusty tasks.
HIDDEN, BATCH = (64, 64), 1024
POLICY_STEPS = 10_000


@dataclass(frozen=True, kw_only=True)
class RunConfig(LoadOptions):
    """The whole job: logs of several behaviors in, a world model that holds under others out, with the evidence."""

    task: str = "gusty-pendulum"
    """Built-in task to collect from, unless --data is given."""
    data: tuple[Path, ...] = ()
    """Logs: files (Parquet, CSV, NPZ, NPY, HDF5) or folders (Parquet, Minari, LeRobot), or minari:ID."""
    unlogged: tuple[Path, ...] = ()
    """Logs of policies that are not in --data: the test. Nothing is trained or chosen on them."""
    out: Path | None = None
    """Run folder; a new one under runs/ if not given. An unfinished run of the same settings is resumed."""
    quick: bool = False
    """The same path with small trainings, in under a minute; other settings that are given are kept."""
    seed: int = 0
    """Seed of everything: collecting, splits, first weights, batches; those of crossval and fit follow it."""
    features: Features = field(default_factory=Features)
    """What the networks see and in which terms they predict, in crossval and fit alike."""
    termination: str | None = None
    """Where episodes end for good, in crossval and fit alike: learned, none or a rule, as `worldrex fit` has it."""
    crossval: CrossvalConfig = field(default_factory=CrossvalConfig)
    fit: TrainConfig = field(default_factory=lambda: TrainConfig(hidden=HIDDEN, batch=BATCH))
    policies: int = 3
    """Policies to learn in each model, under as many seeds, and in the real environment; 0: the job ends with the models."""
    env: str | None = None
    """Gymnasium environment (or MODULE:ID) that the logs in --data are of: where the policies are tried."""
    episodes: int = 50
    """Episodes in which each policy is tried."""
    optimize: MOPOConfig = field(default_factory=lambda: MOPOConfig(hidden=HIDDEN, steps=POLICY_STEPS))


def quickened(config: RunConfig) -> RunConfig:
    """The configuration that `--quick` stands for: smaller trainings, but for settings that were given others."""
    usual = RunConfig()

    def smaller(part: Any, of: Any, **small: Any) -> Any:
        return dataclasses.replace(part, **{k: v for k, v in small.items() if getattr(part, k) == getattr(of, k)})

    return dataclasses.replace(
        smaller(config, usual, policies=1),
        crossval=smaller(config.crossval, usual.crossval, weights=(0.0, 100.0), seeds=1, warmup_steps=500, steps=1500),
        fit=smaller(config.fit, usual.fit, members=3, elites=3, batch=512, warmup_steps=500, steps=2000),
        optimize=smaller(config.optimize, usual.optimize, steps=2000),
    )


def run(config: RunConfig, terminal: Terminal, *, tensorboard: bool = False) -> dict[str, Any]:
    """Do the whole job in a run folder; with `tensorboard`, its metrics go there too.

    **Returns:** what summary.json holds. **Raises:** the rooms' errors for input that cannot be used. On any exit before
    the end the folder says so in status.json, and the same call with the same `out` goes on after the last finished stage.
    """
    started = time.perf_counter()
    config = quickened(config) if config.quick else config
    ends, learned = _termination(config), TrainConfig().termination
    for part in (config.crossval, config.fit):
        if part.features not in (Features(), config.features) or part.termination not in (learned, ends):
            raise TrainingError(
                "crossval and fit see the same, and episodes end for both where they do: give --features... and --termination, "
                "and not those of --fit or --crossval."
            )
    shared = {"seed": config.seed, "features": config.features, "termination": ends}
    config = dataclasses.replace(
        config,
        crossval=dataclasses.replace(config.crossval, **shared),
        fit=dataclasses.replace(config.fit, **shared),
        optimize=dataclasses.replace(config.optimize, seed=config.seed),
    )
    # What cannot be used is refused before a folder is made.
    require_sweepable(config.crossval)
    require_trainable(config.fit, ())
    require_learnable(config.optimize)
    returns = ReturnsConfig(episodes=config.episodes, seed=config.seed)
    require_judgeable(returns)
    if config.policies < 0:
        raise PolicyError(f"policies is {config.policies}; give the number of seeds, or 0 to end with the models.")
    taken_for: list[str] = []
    given = _load(config, taken_for.append)
    if given:
        task, behaviors, obs_dims = None, given[0].behavior_names, given[0].obs.shape[1]
    else:
        task = tasks.task(config.task)
        behaviors, obs_dims = [behavior.name for behavior in task.logged], len(task.output_names) - 1
    for settings in (config.crossval, config.fit):
        require_fitting(settings, behaviors, obs_dims)
    reality = _reality(config, task, given)
    optimize = _within(config, reality)
    name = config.data[0].stem if config.data else config.task
    out = config.out or Path("runs") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    settings = dataclasses.asdict(dataclasses.replace(config, out=None))
    for option in fields(LoadOptions):
        del settings[option.name]
    settings |= config.settings()  # without those that were not given, as runs of before these options have it
    if given:
        # Files that have changed since must not be mixed with what was kept of the old ones.
        settings["records_crc32"] = [part.checksum() for part in given if part is not None]
    mirror = EventFiles(out / "tensorboard") if tensorboard else None
    folder = open_run(out, settings, command=["worldrex", *sys.argv[1:]], mirror=mirror)
    job = Job(name, task, config.crossval, config.fit, optimize, config.policies, reality, returns, folder, terminal)
    with folder.job("collect"):
        terminal.say(f"{folder.path}{' (resumed)' if folder.resumed else ''}", label="folder")
        for line in taken_for:
            terminal.say(line, label="read")
        logged, unlogged = given or _collect(job)
        summary: dict[str, Any] = {**_describe(job, logged, unlogged), "quick": config.quick}
        table = stages.compare_weights(job, logged)
        models = stages.fit_models(job, logged, table)
        summary |= stages.score_models(job, logged, unlogged, table, models)
        summary |= policy_stages.learn_and_judge(job, logged, models, penalty_chosen=table.selection.chosen > 0)
        _report(job, summary, started)
    if summary["policy"]:
        terminal.show(policies_table(summary), caption=policies_caption(summary))
        for label, sentence in policy_sentences(summary):
            terminal.say(sentence, label=label)
    if summary["unlogged"]:
        terminal.show(unlogged_table(summary), caption=unlogged_caption(summary))
    terminal.say(summary["verdict"]["sentence"], label="verdict")
    terminal.say(str(folder.path / "report.html"), label="report")
    return summary


def _load(config: RunConfig, say: Callable[[str], None]) -> tuple[Transitions, Transitions | None] | None:
    """The files that were given, checked; None where a task is to be collected."""
    if not config.data:
        if config.env is not None:
            raise DataError("--env is the environment that the logs in --data are of; a task has its own.")
        if config.unlogged or any(value is not None for value in config.settings().values()):
            flags = "--unlogged, --behavior-cycle and the other flags on how logs are read"
            raise DataError(f"{flags} go with --data; give the logs with --data FILE ...")
        tasks.task(config.task)
        return None
    logged = load(*config.data, options=config, say=say)
    require_comparable(logged)
    if not config.unlogged:
        return logged, None
    # The turns and the episodes' numbers are those of --data.
    options = dataclasses.replace(config, behavior_cycle=None, behaviors=None)
    unlogged = load(*config.unlogged, options=options, say=say)
    widths = [(part.obs.shape[1], part.action.shape[1]) for part in (logged, unlogged)]
    if widths[0] != widths[1]:
        raise DataError(
            f"--unlogged has obs and action of widths {widths[1]}, --data {widths[0]}; give logs of the same system."
        )
    both = [name for name in unlogged.behavior_names if name in logged.behavior_names]
    if both:
        raise DataError(
            f"--unlogged and --data both hold behavior {', '.join(map(repr, both[:5]))}. A test on what was trained on proves "
            "nothing: give --unlogged logs of other policies, under other names."
        )
    return logged, unlogged


def _termination(config: RunConfig) -> str:
    """What was given, the task's own rule, or the trainer's default."""
    of_task = "" if config.data else tasks.task(config.task).termination
    return config.termination or of_task or TrainConfig().termination


def _reality(
    config: RunConfig, task: tasks.Task | None, given: tuple[Transitions, Transitions | None] | None
) -> Reality | None:
    """Where the policies are tried, checked against the logs."""
    if task is not None:
        return reality_of_task(task)
    if config.env is None or given is None:
        return None
    reality = reality_of(config.env)
    require_logged(reality, given[0])
    return reality


def _within(config: RunConfig, reality: Reality | None) -> MOPOConfig:
    """The policies' settings, their actions within the environment's space, or the one that was given with the logs."""
    low, high = config.action_low, config.action_high
    if reality is not None:
        space = reality.action_space()
        low, high = (tuple(map(float, end)) for end in (space.low, space.high))
    return dataclasses.replace(config.optimize, action_low=low, action_high=high)


def _collect(job: Job) -> tuple[Transitions, Transitions]:
    logs = []
    job.folder.begin("collect")
    with job.terminal.stage("collect", f"{job.name}: behaviors to learn from, and unlogged ones to test on") as tick:
        for behaviors in ("logged", "unlogged"):
            path = job.folder.path / "data" / f"{behaviors}.parquet"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                config = CollectConfig(task=job.name, behaviors=behaviors, seed=job.fit.seed)
                collect(config, progress=tick).save(path)
            logs.append(load(path))
    require_comparable(logs[0])
    return logs[0], logs[1]


def _describe(job: Job, logged: Transitions, unlogged: Transitions | None) -> dict[str, Any]:
    job.folder.begin("describe")
    with job.terminal.stage("describe", "behaviors, episodes, ranges, problems"):
        description = describe(logged)
        job.terminal.show(render(description))

    def behaviors(description: Description | None) -> list[dict[str, Any]]:
        return [
            {
                "name": summary.name,
                "records": summary.records,
                "episodes": summary.episodes,
                "episode_return": summary.mean_return,
                "episode_return_std": summary.std_return,
            }
            for summary in (description.behaviors if description is not None else ())
        ]

    return {
        "format": 1,
        "kind": "run",
        "task": job.name,
        "seed": job.fit.seed,
        "command": shlex.join(["worldrex", *sys.argv[1:]]),
        "data": {
            "records": description.records,
            "episodes": description.episodes,
            "obs_dims": description.obs_width,
            "action_dims": description.action_width,
            "behaviors": behaviors(description),
            "unlogged": behaviors(describe(unlogged) if unlogged is not None else None),
            "findings": [dataclasses.asdict(finding) for finding in description.findings],
        },
    }


def _report(job: Job, summary: dict[str, Any], started: float) -> None:
    # Not at the top: the charts' library would keep a person waiting for the first line.
    from worldrex.report import write_page

    job.folder.begin("report")
    page = job.folder.path / "report.html"
    with job.terminal.stage("report", "one page with the evidence"):
        summary |= {"seconds": job.terminal.seconds, "total_seconds": time.perf_counter() - started}
        write_json(job.folder.path / "summary.json", summary)
        job.folder.status("finished")
        write_page([job.folder.path], page)
    summary |= {"seconds": job.terminal.seconds, "total_seconds": time.perf_counter() - started}
    write_json(job.folder.path / "summary.json", summary)
