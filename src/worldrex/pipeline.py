"""The main job: collect or load, describe, leave one behavior out, fit, score under unlogged behaviors, report.

It stands between the command line and the rooms, since it is the one thing that uses them all.
"""

import dataclasses
import datetime
import shlex
import sys
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldrex import tasks
from worldrex.data import CollectConfig, DataError, Transitions, collect, describe, holdout, load, render
from worldrex.data.findings import plural
from worldrex.data.transitions import COLUMNS
from worldrex.dynamics import Progress, Run, TrainConfig, WorldModel, fit_runs, load_model, require_trainable
from worldrex.evaluation import (
    CrossvalConfig,
    CrossvalTable,
    action_slope,
    crossval,
    output_scale,
    require_comparable,
    require_sweepable,
    score,
    verdict,
)  # fmt: skip
from worldrex.runs import RunFolder, open_run, write_json
from worldrex.summary_tables import WEIGHTS_CAPTION, unlogged_caption, unlogged_table, weights_table
from worldrex.terminal import Terminal

# With two behaviors no weight can be compared; the penalized model that is shown beside ERM takes this one.
UNCOMPARED_WEIGHT = 100.0


@dataclass(frozen=True)
class RunConfig:
    """The whole job: logs of several behaviors in, a world model that holds under others out, with the evidence."""

    task: str = "gusty-pendulum"
    """Built-in task to collect from, unless --data is given."""
    data: tuple[Path, ...] = ()
    """Files of logged transitions (Parquet or NPZ)."""
    unlogged: tuple[Path, ...] = ()
    """Files logged by policies that are not in --data: the test. Nothing is trained or chosen on them."""
    behavior_cycle: int | None = None
    """Where files do not name behaviors: episode i was logged by behavior i mod this."""
    out: Path | None = None
    """Run folder; a new one under runs/ if not given. An unfinished run of the same settings is resumed."""
    quick: bool = False
    """The same path with small trainings, in under a minute."""
    seed: int = 0
    """Seed of everything: collecting, splits, first weights, batches; those of crossval and fit follow it."""
    crossval: CrossvalConfig = field(default_factory=CrossvalConfig)
    fit: TrainConfig = field(default_factory=TrainConfig)


def quickened(config: RunConfig) -> RunConfig:
    """The configuration that `--quick` stands for: fewer weights, seeds, members and steps."""
    return dataclasses.replace(
        config,
        crossval=dataclasses.replace(config.crossval, weights=(0.0, 100.0), seeds=1, warmup_steps=500, steps=1500),
        fit=dataclasses.replace(config.fit, members=3, elites=3, batch=512, warmup_steps=500, steps=2000),
    )


class _Job(NamedTuple):
    config: RunConfig
    name: str
    folder: RunFolder
    terminal: Terminal


def run(config: RunConfig, terminal: Terminal) -> dict[str, Any]:
    """Do the whole job in a run folder.

    **Returns:** what summary.json holds. **Raises:** the rooms' errors for input that cannot be used. On any exit before
    the end the folder says so in status.json, and the same call with the same `out` goes on after the last finished stage.
    """
    started = time.perf_counter()
    config = quickened(config) if config.quick else config
    config = dataclasses.replace(
        config,
        crossval=dataclasses.replace(config.crossval, seed=config.seed),
        fit=dataclasses.replace(config.fit, seed=config.seed),
    )
    # What cannot be used is refused before a folder is made.
    require_sweepable(config.crossval)
    require_trainable(config.fit, ())
    given = _load(config)
    name = config.data[0].stem if config.data else config.task
    out = config.out or Path("runs") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    settings = dataclasses.asdict(dataclasses.replace(config, out=None))
    if given:
        # Files that have changed since must not be mixed with what was kept of the old ones.
        settings["records_crc32"] = [_checksum(part) for part in given if part is not None]
    folder = open_run(out, settings, command=["worldrex", *sys.argv[1:]])
    terminal.say(f"{folder.path}{' (resumed)' if folder.resumed else ''}", label="folder")
    job = _Job(config, name, folder, terminal)
    summary = _stages(job, given, started)
    if summary["unlogged"]:
        terminal.show(unlogged_table(summary), caption=unlogged_caption(summary))
    terminal.say(summary["verdict"]["sentence"], label="verdict")
    terminal.say(str(folder.path / "report.html"), label="report")
    return summary


def _stages(job: _Job, given: tuple[Transitions, Transitions | None] | None, started: float) -> dict[str, Any]:
    with job.folder.job("collect"):
        logged, unlogged = given or _collect(job)
        described = _describe(job, logged, unlogged)
        table = _crossval(job, logged)
        models = _fit(job, logged, table)
        summary = described | _score(job, logged, unlogged, table, models)
        _report(job, summary, started)
    return summary


def _load(config: RunConfig) -> tuple[Transitions, Transitions | None] | None:
    """The files that were given, checked; None where a task is to be collected."""
    if not config.data:
        if config.unlogged or config.behavior_cycle is not None:
            raise DataError("--unlogged and --behavior-cycle go with --data; give the logs with --data FILE ...")
        tasks.task(config.task)
        return None
    logged = load(*config.data, behavior_cycle=config.behavior_cycle)
    require_comparable(logged)
    if not config.unlogged:
        return logged, None
    unlogged = load(*config.unlogged)
    widths = [(part.obs.shape[1], part.action.shape[1]) for part in (logged, unlogged)]
    if widths[0] != widths[1]:
        raise DataError(
            f"--unlogged has obs and action of widths {widths[1]}, --data {widths[0]}; give logs of the same system."
        )
    return logged, unlogged


def _collect(job: _Job) -> tuple[Transitions, Transitions]:
    logs = []
    job.folder.begin("collect")
    with job.terminal.stage("collect", f"{job.name}: behaviors to learn from, and unlogged ones to test on") as tick:
        for behaviors in ("logged", "unlogged"):
            path = job.folder.path / "data" / f"{behaviors}.parquet"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                config = CollectConfig(task=job.config.task, behaviors=behaviors, seed=job.config.seed)
                collect(config, progress=tick).save(path)
            logs.append(load(path))
    require_comparable(logs[0])
    return logs[0], logs[1]


def _describe(job: _Job, logged: Transitions, unlogged: Transitions | None) -> dict[str, Any]:
    job.folder.begin("describe")
    with job.terminal.stage("describe", "behaviors, episodes, ranges, problems"):
        description = describe(logged)
        job.terminal.show(render(description))

    def behaviors(data: Transitions | None) -> list[dict[str, Any]]:
        summaries = describe(data).behaviors if data is not None else ()
        return [
            {
                "name": summary.name,
                "records": summary.records,
                "episodes": summary.episodes,
                "episode_return": summary.mean_return,
                "episode_return_std": summary.std_return,
            }
            for summary in summaries
        ]

    return {
        "format": 1,
        "kind": "run",
        "task": job.name,
        "seed": job.config.seed,
        "command": shlex.join(["worldrex", *sys.argv[1:]]),
        "quick": job.config.quick,
        "data": {
            "records": description.records,
            "episodes": description.episodes,
            "obs_dims": description.obs_width,
            "action_dims": description.action_width,
            "behaviors": behaviors(logged),
            "unlogged": behaviors(unlogged),
            "findings": [dataclasses.asdict(finding) for finding in description.findings],
        },
    }


def _crossval(job: _Job, logged: Transitions) -> CrossvalTable:
    kept = job.folder.kept("crossval")
    if kept is not None:
        job.terminal.seconds["crossval"] = kept["seconds"]
        return CrossvalTable.from_json(kept)
    job.folder.begin("crossval")
    config = job.config.crossval
    folds = len(np.unique(logged.behavior))
    weights = sorted({0.0, *config.weights}) if folds > 2 else [0.0]
    what = " x ".join(
        plural(count, noun)
        for count, noun in (
            (folds, "left-out behavior"), (len(weights), "weight"), (config.seeds, "seed"), (config.members, "member")
        )
    )  # fmt: skip

    def report(progress: Progress, runs: list[Run]) -> None:
        of_weight = np.array([run.weight for run in runs])
        job.folder.log(
            {
                "stage": "crossval",
                "weight": weight,
                "step": progress.step,
                "train_risk": progress.train_risk[of_weight == weight].mean(),
                "holdout_risk": _by_name(logged, _finite_mean(progress.holdout_risk[of_weight == weight])),
                "holdout_penalty": progress.holdout_penalty[of_weight == weight].mean(),
            }
            for weight in weights
        )

    with job.terminal.stage("crossval", what) as tick:
        table = crossval(logged, config, report=report, tick=tick)
    job.folder.keep("crossval", table.to_json() | {"seconds": job.terminal.seconds["crossval"]})
    job.terminal.show(weights_table(table.selection), caption=WEIGHTS_CAPTION)
    return table


def _fit(job: _Job, logged: Transitions, table: CrossvalTable) -> dict[str, WorldModel]:
    """ERM, the best penalized model, and the same with the plain penalty; "chosen" is one of the first two."""
    config, selection = job.config, table.selection
    weight = UNCOMPARED_WEIGHT if selection.candidate is None else selection.candidate
    runs = {
        "erm": Run(config.crossval.penalty, 0.0, config.crossval.debiased, None, config.seed),
        "penalized": Run(config.crossval.penalty, weight, config.crossval.debiased, None, config.seed),
    }
    if config.crossval.debiased and config.crossval.penalty in ("variance", "std"):
        runs["plain"] = Run(config.crossval.penalty, weight, False, None, config.seed)
    chosen = "penalized" if selection.chosen else "erm"
    kept = job.folder.kept("fit")
    if kept is not None:
        job.terminal.seconds["fit"] = kept["seconds"]
    else:
        job.folder.begin("fit")

        def report(progress: Progress) -> None:
            phase = "unpenalized" if progress.step <= config.fit.warmup_steps else "penalized"
            job.folder.log(
                {
                    "stage": "fit",
                    "model": name,
                    "step": progress.step,
                    "phase": phase,
                    "train_risk": progress.train_risk[place],
                    "holdout_risk": _by_name(logged, progress.holdout_risk[place]),
                    "holdout_penalty": progress.holdout_penalty[place],
                }
                for place, name in enumerate(runs)
            )

        what = f"{len(runs)} ensembles of {config.fit.members} on all behaviors: {', '.join(runs)}; weight {weight:g}"
        with job.terminal.stage("fit", what) as tick:
            models, sweep = fit_runs(logged, list(runs.values()), config.fit, report=report, tick=tick)
        for name, model in zip(runs, models, strict=True):
            model.save(job.folder.path / "models" / name)
            if name == chosen:
                model.save(job.folder.path / "model")
        job.folder.keep("fit", {"compile_seconds": sweep.compile_seconds, "seconds": job.terminal.seconds["fit"]})
    return {name: load_model(job.folder.path / "models" / name) for name in runs} | {
        "chosen": load_model(job.folder.path / "model")
    }


def _score(
    job: _Job, logged: Transitions, unlogged: Transitions | None, table: CrossvalTable, models: dict[str, WorldModel]
) -> dict[str, Any]:
    job.folder.begin("score")
    config, selection = job.config, table.selection
    scale = output_scale(logged)
    task = None if config.data else tasks.task(config.task)

    def scored(data: Transitions) -> dict[str, dict[str, Any]]:
        floor = tasks.noise_floor(task, data.obs, data.action, data.next_obs, data.reward) if task else None
        return score(models, data, scale, floor=floor, seed=config.seed)

    what = "under the unlogged behaviors, and on held-out episodes" if unlogged is not None else "on held-out episodes"
    with job.terminal.stage("score", what):
        _, held_out = holdout(logged, config.fit.holdout, seed=config.fit.seed)
        on_logged = scored(logged.rows(held_out))
        on_unlogged = scored(unlogged) if unlogged is not None else {}
        slope = _slopes(task, unlogged, scale, models) if task and unlogged is not None else None
    crossval_json = table.to_json()
    candidate = UNCOMPARED_WEIGHT if selection.candidate is None else selection.candidate
    return {
        "verdict": dataclasses.asdict(verdict(selection, on_unlogged)),
        "chosen": {
            "penalty": config.crossval.penalty if selection.chosen else "none",
            "weight": selection.chosen,
            "debiased": config.crossval.debiased,
            "loss": config.fit.loss,
        },
        "candidate": {"penalty": config.crossval.penalty, "weight": candidate},
        "crossval": crossval_json["crossval"],
        "selection": crossval_json["selection"],
        "unlogged": on_unlogged,
        "logged": on_logged,
        "slope": slope,
        "compile_seconds": {
            "crossval": table.compile_seconds,
            "fit": (job.folder.kept("fit") or {}).get("compile_seconds"),
        },
    }


def _slopes(task: tasks.Task, data: Transitions, scale: np.ndarray, models: dict[str, WorldModel]) -> dict[str, Any]:
    """The actuator's effect: mean slope in the action of the output that it truly moves most."""
    truth = tasks.true_slope(task, data.obs, data.action).mean(0)
    output, action = np.unravel_index(np.abs(truth / scale[:, None]).argmax(), truth.shape)
    slopes = {name: float(action_slope(model, data.obs, data.action)[output, action]) for name, model in models.items()}
    return {
        "action": task.action_names[action],
        "output": task.output_names[output],
        "truth": float(truth[output, action]),
        **slopes,
    }


def _report(job: _Job, summary: dict[str, Any], started: float) -> None:
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


def _checksum(data: Transitions) -> int:
    checksum = 0
    for column in COLUMNS:
        checksum = zlib.crc32(getattr(data, column).tobytes(), checksum)
    return checksum


def _finite_mean(risks: np.ndarray) -> np.ndarray:
    """Mean over the runs that have one, NaN where none has: for a behavior that is named and has no records."""
    return np.ma.masked_invalid(risks).mean(axis=0).filled(np.nan)


def _by_name(data: Transitions, risks: np.ndarray) -> dict[str, float]:
    return {name: float(risk) for name, risk in zip(data.behavior_names, risks, strict=True) if np.isfinite(risk)}
