"""The stages of the main job that train and judge: compare the weights, fit the models, score them.

Each leaves what a resumed run needs in the run folder, and logs to it while it trains.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from worldrex import tasks
from worldrex.data import Transitions
from worldrex.data.findings import plural
from worldrex.dynamics import (
    Progress,
    Run,
    TrainConfig,
    TrainedPenalty,
    WorldModel,
    fit_runs,
    forget,
    load_model,
    split_of,
)
from worldrex.evaluation import (
    CrossvalConfig,
    CrossvalTable,
    Reality,
    ReturnsConfig,
    Selection,
    action_slope,
    crossval,
    errors_on_map,
    output_scale,
    penalty_noise,
    score,
    score_records,
    shift_map,
    verdict,
)
from worldrex.policy import MOPOConfig
from worldrex.runs import RunFolder
from worldrex.summary_tables import FOLDS_CAPTION, WEIGHTS_CAPTION, folds_table, weights_table
from worldrex.terminal import Terminal

# With two behaviors no weight can be compared; the penalized model that is shown beside ERM takes this one.
UNCOMPARED_WEIGHT = 100.0


class Job(NamedTuple):
    """What the stages share."""

    name: str
    """Of the task, or of the first file."""
    task: tasks.Task | None
    """The built-in task that was collected, whose truth is known; None for files."""
    crossval: CrossvalConfig
    fit: TrainConfig
    optimize: MOPOConfig
    policies: int
    """In each model, from as many seeds; 0 for none."""
    reality: Reality | None
    """Where the policies are tried; None for files without an environment."""
    returns: ReturnsConfig
    folder: RunFolder
    terminal: Terminal


def checkpoints(folder: RunFolder, terminal: Terminal, stage: str) -> dict[str, Any]:
    """What `train` needs to leave its state in the run folder, and to go on from there."""
    return {
        "checkpoint": folder.path / "checkpoint" / stage,
        "begins": partial(_begins, folder, terminal, stage),
        "say": terminal.say,
    }


def _begins(folder: RunFolder, terminal: Terminal, stage: str, step: int) -> None:
    folder.forget_metrics(stage, after=step)
    if step:
        terminal.say(f"goes on after step {step:,}")


def log_weights(folder: RunFolder, data: Transitions, progress: Progress, runs: list[Run]) -> None:
    """Log how a cross-validation stands: one record for each penalty and weight, the mean over left-out behaviors and seeds."""
    choices = [(run.penalty, run.weight) if run.weight else ("none", 0.0) for run in runs]
    several = len({penalty for penalty, weight in choices if weight}) > 1

    def record(choice: tuple[str, float]) -> dict[str, Any]:
        own = np.array([other == choice for other in choices])
        return {
            "stage": "crossval",
            **({"penalty": choice[0]} if several and choice[1] else {}),
            "weight": choice[1],
            "step": progress.step,
            "total": progress.total,
            "train_risk": progress.train_risk[own].mean(),
            "holdout_risk": _by_name(data, _finite_mean(progress.holdout_risk[own])),
            "holdout_penalty": progress.holdout_penalty[own].mean(),
        }

    folder.log(map(record, sorted(dict.fromkeys(choices), key=lambda choice: (choice[1] > 0, choice))))


def compare_weights(job: Job, logged: Transitions) -> CrossvalTable:
    """Leave one behavior out, for each weight and seed."""
    kept = job.folder.kept("crossval")
    if kept is not None:
        job.terminal.seconds["crossval"] = kept["seconds"]
        return CrossvalTable.from_json(kept)
    job.folder.begin("crossval")
    config = job.crossval
    folds = len(np.unique(logged.behavior))
    weights = 1 + len({weight for weight in config.weights if weight > 0}) if folds > 2 else 1
    several = [(len(config.penalties), "penalty")] if len(config.penalties) > 1 else []
    what = " x ".join(
        plural(count, noun)
        for count, noun in (
            (folds, "left-out behavior"), *several, (weights, "weight"), (config.seeds, "seed"), (config.members, "member")
        )
    )  # fmt: skip
    report = partial(log_weights, job.folder, logged)

    with job.terminal.stage("crossval", what) as tick:
        table = crossval(logged, config, report=report, tick=tick, **checkpoints(job.folder, job.terminal, "crossval"))
    job.folder.keep("crossval", table.to_json() | {"seconds": job.terminal.seconds["crossval"]})
    forget(job.folder.path / "checkpoint" / "crossval")
    job.terminal.show(weights_table(table.selection), caption=WEIGHTS_CAPTION)
    job.terminal.show(folds_table(table.selection, table.distance), caption=FOLDS_CAPTION)
    return table


def penalty_of(job: Job, selection: Selection) -> TrainedPenalty:
    """The candidate's, or the first of those that could not be compared."""
    return job.crossval.penalties[0] if selection.best is None else cast(TrainedPenalty, selection.penalty)


def fit_models(job: Job, logged: Transitions, table: CrossvalTable) -> dict[str, WorldModel]:
    """ERM, the best penalized model, and the same with the plain penalty; "chosen" is one of the first two."""
    selection, debiased = table.selection, job.crossval.debiased
    penalty = penalty_of(job, selection)
    weight = UNCOMPARED_WEIGHT if selection.candidate is None else selection.candidate
    runs = {
        "erm": Run(penalty, 0.0, debiased, (), job.fit.seed),
        "penalized": Run(penalty, weight, debiased, (), job.fit.seed),
    }
    if debiased and penalty in ("variance", "std"):
        runs["plain"] = Run(penalty, weight, False, (), job.fit.seed)
    chosen = "penalized" if selection.chosen else "erm"
    kept = job.folder.kept("fit")
    if kept is not None:
        job.terminal.seconds["fit"] = kept["seconds"]
    else:
        job.folder.begin("fit")

        def report(progress: Progress) -> None:
            phase = "unpenalized" if progress.step <= job.fit.warmup_steps else "penalized"
            job.folder.log(
                {
                    "stage": "fit",
                    "model": name,
                    "step": progress.step,
                    "total": progress.total,
                    "phase": phase,
                    "train_risk": progress.train_risk[place],
                    "holdout_risk": _by_name(logged, progress.holdout_risk[place]),
                    "holdout_penalty": progress.holdout_penalty[place],
                }
                for place, name in enumerate(runs)
            )

        what = f"{len(runs)} ensembles of {job.fit.members} on all behaviors: {', '.join(runs)}; weight {weight:g}"
        with job.terminal.stage("fit", what) as tick:
            models, sweep = fit_runs(
                logged, list(runs.values()), job.fit, report=report, tick=tick,
                **checkpoints(job.folder, job.terminal, "fit"),
            )  # fmt: skip
        for name, model in zip(runs, models, strict=True):
            model.save(job.folder.path / "models" / name)
            if name == chosen:
                model.save(job.folder.path / "model")
        job.folder.keep("fit", {"compile_seconds": sweep.compile_seconds, "seconds": job.terminal.seconds["fit"]})
        forget(job.folder.path / "checkpoint" / "fit")
    return {name: load_model(job.folder.path / "models" / name) for name in runs} | {
        "chosen": load_model(job.folder.path / "model")
    }


def score_models(
    job: Job, logged: Transitions, unlogged: Transitions | None, table: CrossvalTable, models: dict[str, WorldModel]
) -> dict[str, Any]:
    """Errors under the unlogged behaviors and on held-out episodes, where these lie, the slope in the action, the verdict.

    ERM and the penalized model are diagnosed in full; the latter goes by the name "chosen" where it was chosen.
    """
    job.folder.begin("score")
    selection, task = table.selection, job.task
    diagnosed = ("erm", "chosen" if selection.chosen else "penalized")
    scale = output_scale(logged, job.fit.features.angles)

    def scored(data: Transitions) -> dict[str, dict[str, Any]]:
        floor = tasks.noise_floor(task, data.obs, data.action, data.next_obs, data.reward) if task else None
        return score(models, data, scale, floor=floor, diagnosed=diagnosed, seed=job.fit.seed)

    what = "under the unlogged behaviors, and on held-out episodes" if unlogged is not None else "on held-out episodes"
    with job.terminal.stage("score", what):
        _, held_out = split_of(logged, job.fit)
        on_logged = scored(logged.rows(held_out))
        on_unlogged = scored(unlogged) if unlogged is not None else {}
        slope = _slopes(task, unlogged, scale, models) if task and unlogged is not None else None
        compared = {name: models[name] for name in diagnosed}
        placed = shift_map(logged, unlogged, shown=held_out, seed=job.fit.seed)
        shift = placed.to_json() | errors_on_map(placed, compared, logged, unlogged, scale)
        noise = _penalty_noise(job, logged, held_out, scale, compared)
    diagnostics = {name: entry.pop("diagnostics") for name, entry in (on_unlogged | on_logged).items()}
    crossval_json = table.to_json()
    candidate = UNCOMPARED_WEIGHT if selection.candidate is None else selection.candidate
    return {
        "verdict": dataclasses.asdict(verdict(selection, on_unlogged)),
        "chosen": {
            "penalty": penalty_of(job, selection) if selection.chosen else "none",
            "weight": selection.chosen,
            "debiased": job.crossval.debiased,
            "loss": job.fit.loss,
        },
        "candidate": {"penalty": penalty_of(job, selection), "weight": candidate},
        **{name: crossval_json[name] for name in ("crossval", "selection", "distance")},
        "unlogged": on_unlogged,
        "logged": on_logged,
        "diagnostics": diagnostics,
        "shift": shift,
        "penalty_noise": noise,
        "slope": slope,
        "compile_seconds": {
            "crossval": table.compile_seconds,
            "fit": (job.folder.kept("fit") or {}).get("compile_seconds"),
        },
    }


def _penalty_noise(
    job: Job, logged: Transitions, held_out: np.ndarray, scale: np.ndarray, models: dict[str, WorldModel]
) -> dict[str, Any] | None:
    """What a batch of the fit shows of the plain penalty; None where episodes of one behavior only are held out."""
    behavior, episode = logged.behavior[held_out], logged.episode[held_out]
    if len(np.unique(behavior)) < 2:
        return None
    told = {}
    for name, model in models.items():
        scores = score_records(model, logged, scale, held_out)
        losses = scores.squared if job.fit.loss == "squared" else scores.nll
        told[name] = dataclasses.asdict(penalty_noise(losses, behavior, episode, job.fit.batch, seed=job.fit.seed))
    return told


def _slopes(task: tasks.Task, data: Transitions, scale: np.ndarray, models: dict[str, WorldModel]) -> dict[str, Any]:
    """The actuator's effect: mean slope, in the direction in which behaviors answer the gust, of the output that a gust
    moves most: there a model of a confounded log errs most.
    """
    some = data.rows(np.unique(np.linspace(0, len(data) - 1, task.slope_records).astype(np.int64)))
    direction = np.array(task.direction)
    output = np.abs(tasks.gust_effect(task, some.obs, some.action).mean(0) / scale).argmax()
    truth = tasks.true_slope(task, some.obs, some.action).mean(0)[output] @ direction
    slopes = {name: float(action_slope(model, some)[output] @ direction) for name, model in models.items()}
    return {
        "action": task.direction_name,
        "output": task.output_names[output],
        "truth": float(truth),
        **slopes,
    }


def _finite_mean(risks: np.ndarray) -> np.ndarray:
    """Mean over the runs that have one, NaN where none has: for a behavior that is named and has no records."""
    return np.ma.masked_invalid(risks).mean(axis=0).filled(np.nan)


def _by_name(data: Transitions, risks: np.ndarray) -> dict[str, float]:
    return {name: float(risk) for name, risk in zip(data.behavior_names, risks, strict=True) if np.isfinite(risk)}
