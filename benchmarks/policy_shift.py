"""Every penalty on every built-in task: errors under behaviors that were logged, left out, and never logged.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/policy_shift.py --tasks gusty-pendulum [...] [--seeds 0 1 2 3 4]

For each task a log (seed 0, --records of each behavior) is compared leaving each behavior out, for all penalties at the weights
1, 10, 100 and 300 (--selection-seeds); each penalty then has the weight of its least worst left-out error. Of each, one network
of 2 x 64 (batch 1,024, 1,000 + 4,000 steps) is trained for each seed and scored under fresh records of the logged behaviors and
of those that nobody logged. --weights-of takes the weights that were found on another task; the left-out errors at those are told
if the task's own behaviors have been left out before, without it. `--only IRM --weights 1000 10000` has rows of that method at
these weights, and chooses nothing.

What is measured is kept in --out (JSON) and not measured again; benchmarks/policy_shift_figure.py draws it. Prints Markdown
tables: squared errors as multiples of the noise floor, on plain tasks, which have none, of the outputs' variance in the log; mean
over the seeds [lowest, highest].
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from policy_shift_tables import fits_of, print_picked, print_table, worst_left_out

from worldrex import tasks
from worldrex.data import CollectConfig, Transitions, collect
from worldrex.dynamics import Run, TrainConfig, WorldModel, fit_runs
from worldrex.evaluation import CrossvalConfig, action_slope, crossval, output_scale, squared_errors
from worldrex.runs import write_json
from worldrex.tasks import Task

CONFIG = TrainConfig(members=1, elites=1, hidden=(64, 64), batch=1024, steps=4000, termination="none")
WEIGHTS = (1.0, 10.0, 100.0, 300.0)
COMPARED = ("variance", "std", "mad", "worst", "irm", "group_dro", "quantile")


class Method(NamedTuple):
    """A row of the tables."""

    name: str
    penalty: str
    debiased: bool = True
    sampler: str = "natural"


METHODS = (
    Method("ERM", "none"),
    Method("ERM, balanced", "none", sampler="balanced"),
    Method("V-REx, plain", "variance", debiased=False),
    Method("V-REx, debiased", "variance"),
    Method("standard deviation", "std"),
    Method("mean absolute deviation", "mad"),
    Method("MM-REx (worst)", "worst"),
    Method("IRM", "irm"),
    Method("GroupDRO", "group_dro"),
    Method("quantile", "quantile"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=tasks.names(), default=["gusty-pendulum"])
    parser.add_argument("--weights-of", choices=tasks.names())
    parser.add_argument("--only", choices=[method.name for method in METHODS])
    parser.add_argument("--weights", type=float, nargs="+")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--test-records", type=int, default=2000)
    parser.add_argument("--selection-seeds", type=int, default=CrossvalConfig.seeds)
    parser.add_argument("--selection-batch", type=int, default=CrossvalConfig.batch)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=Path("runs/policy_shift"))
    arguments = parser.parse_args()
    if (arguments.only is None) != (arguments.weights is None):
        parser.error("--only METHOD and --weights WEIGHT ... go together")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.tasks:
        task, path = tasks.task(name), arguments.out / f"{name}.json"
        records = Records(task, arguments.records, arguments.test_records)
        found = json.loads(path.read_text()) if path.exists() else {"records": arguments.records, "fits": []}
        if found["records"] != arguments.records:
            sys.exit(f"{path} is of {found['records']:,} records, not {arguments.records:,}: give another --out.")
        rows = rows_of(arguments, path, found, records)
        named = [(method.name, weight) for method, weight in rows]
        choosing = arguments.only is None and arguments.weights_of is None
        for method, weight in [*rows, picked(found["selection"])] if choosing else rows:
            has = {fit["seed"] for fit in fits_of(found, method.name, weight)}
            if missing := [seed for seed in arguments.seeds if seed not in has]:
                found["fits"] += scored(records, method, weight, missing)
                found |= {"moved": records.moved_name, "true_slope": records.true_slope}
                write_json(path, found)
                print(f"{name}, {method.name}", file=sys.stderr, flush=True)
        print_table(name, found, named, arguments.seeds)
        if choosing:
            method, weight = picked(found["selection"])
            print_picked(found, (method.name, weight), arguments.seeds)


def rows_of(
    arguments: argparse.Namespace, path: Path, found: dict[str, Any], records: "Records"
) -> list[tuple[Method, float]]:
    """The methods, each with its weight: as given, as on another task, or chosen on this one, which is kept in `path`."""
    if arguments.only:
        return [(method, weight) for method in METHODS if method.name == arguments.only for weight in arguments.weights]
    if arguments.weights_of:
        other = arguments.out / f"{arguments.weights_of}.json"
        kept = json.loads(other.read_text()) if other.exists() else {}
        if "selection" not in kept:
            sys.exit(f"{other} has no weights yet: run it with `--tasks {arguments.weights_of}` first.")
        return [(method, kept["selection"]["weights"][method.name]) for method in METHODS]
    asked = {"seeds": arguments.selection_seeds, "batch": arguments.selection_batch}
    if found.get("selection", {}).get("of") != asked:
        found["selection"] = chosen(records, arguments.selection_seeds, arguments.selection_batch)
        write_json(path, found)
    return [(method, found["selection"]["weights"][method.name]) for method in METHODS]


def picked(selection: dict[str, Any]) -> tuple[Method, float]:
    """The choice among all penalties and weights."""
    penalty, weight = selection["picked"]
    return next(method for method in METHODS if method.debiased and method.penalty == penalty), weight


class Records:
    """A task's records, collected when something is to be trained on them."""

    def __init__(self, task: Task, number: int, test_number: int) -> None:
        self.task, self.number, self.test_number = task, number, test_number

    @cached_property
    def log(self) -> Transitions:
        return collect(CollectConfig(task=self.task.name, steps_per_behavior=self.number))

    @cached_property
    def scale(self) -> np.ndarray:
        return output_scale(self.log)

    @cached_property
    def tests(self) -> dict[str, Transitions]:
        return {
            "logged": collect(CollectConfig(task=self.task.name, steps_per_behavior=self.test_number, seed=1)),
            "unlogged": collect(
                CollectConfig(task=self.task.name, behaviors="unlogged", steps_per_behavior=self.test_number)
            ),
        }

    @cached_property
    def some(self) -> Transitions:
        unseen = self.tests["unlogged"]
        return unseen.rows(np.arange(0, len(unseen), max(len(unseen) // self.task.slope_records, 1)))

    @cached_property
    def moved(self) -> int:
        """The output that the gust moves most."""
        effect = tasks.gust_effect(self.task, self.some.obs, self.some.action)
        return int(np.abs(effect.mean(0) / self.scale).argmax())

    @property
    def moved_name(self) -> str:
        return self.task.output_names[self.moved]

    @property
    def true_slope(self) -> float:
        slope = tasks.true_slope(self.task, self.some.obs, self.some.action).mean(0)
        return float(slope[self.moved] @ np.array(self.task.direction))


def scored(records: Records, method: Method, weight: float, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Of each seed one network: its errors under each behavior and its slope."""
    runs = [Run(method.penalty, weight, method.debiased, (), seed) for seed in seeds]  # type: ignore[arg-type]
    models, _ = fit_runs(records.log, runs, replace(CONFIG, sampler=method.sampler))  # type: ignore[arg-type]
    told = {
        part: ratios(models, test, records.scale, floor_of(records.task, test, records.scale))
        for part, test in records.tests.items()
    }
    return [
        {"name": method.name, "weight": weight, "seed": seed}
        | {
            part: dict(zip(records.tests[part].behavior_names, values[i].tolist(), strict=True))
            for part, values in told.items()
        }
        | {"slope": float(action_slope(model, records.some)[records.moved] @ np.array(records.task.direction))}
        for i, (seed, model) in enumerate(zip(seeds, models, strict=True))
    ]


def chosen(records: Records, seeds: int, batch: int) -> dict[str, Any]:
    """Of each method the left-out errors and the weight of the least worst one, the mean over the seeds; and the choice
    among them all."""
    config = CrossvalConfig(
        penalty=COMPARED,
        weights=WEIGHTS,
        seeds=seeds,
        pairs=0,
        members=1,
        elites=1,
        batch=batch,
        termination="none",
    )  # type: ignore[arg-type]
    log = records.log
    table = crossval(log, config)
    plain = crossval(log, replace(config, penalty="variance", debiased=False))
    balanced = crossval(log, replace(config, penalty="variance", weights=(1.0,), sampler="balanced"))
    every = log.rows(np.arange(0, len(log), max(len(log) // 4000, 1)))
    floor = floor_of(records.task, every, records.scale).mean(1)
    of_behavior = {name: float(floor[every.behavior == i].mean()) for i, name in enumerate(log.behavior_names)}

    def errors(method: Method) -> dict[str, dict[str, list[float]]]:
        of_method = balanced if method.sampler == "balanced" else table if method.debiased else plain
        rows = [row for row in of_method.rows if row["penalty"] == method.penalty]
        return {
            f"{weight:g}": {
                name: [row["risk"] / floor for row in rows if (row["weight"], row["behavior"]) == (weight, name)]
                for name, floor in of_behavior.items()
            }
            for weight in sorted({row["weight"] for row in rows})
        }

    of_methods = {method.name: errors(method) for method in METHODS}
    weights = {
        name: float(min(of_weights, key=lambda weight: np.mean(worst_left_out(of_weights[weight]))))
        for name, of_weights in of_methods.items()
    }
    selection = table.selection
    return {
        "of": {"seeds": seeds, "batch": batch},
        "weights": weights,
        "errors": of_methods,
        "picked": [selection.penalty if selection.chosen else "none", selection.chosen],
        "rows": [
            {"penalty": row.penalty, "weight": row.weight, "worst": asdict(row.worst), "mean": asdict(row.mean)}
            for row in selection.weights
        ],
    }


def ratios(models: Sequence[WorldModel], data: Transitions, scale: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Of each model and behavior the squared error over all outputs as a multiple of the floor, `[model, behavior]`."""
    parts = [data.behavior == number for number in range(data.num_behaviors)]
    errors = [squared_errors(model, data, scale) for model in models]
    return np.array([[error[part].mean() / floor[part].mean() for part in parts] for error in errors])


def floor_of(task: Task, data: Transitions, scale: np.ndarray) -> np.ndarray:
    """What the errors are multiples of: 1, the outputs' variance in the log, where there are no gusts and no noise."""
    if task.strength == 0:
        return np.ones((len(data), len(scale)))
    return tasks.noise_floor(task, data.obs, data.action, data.next_obs, data.reward) / scale**2


if __name__ == "__main__":
    main()
