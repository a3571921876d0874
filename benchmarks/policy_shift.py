"""Every penalty on every built-in task: errors under behaviors that were logged, left out, and never logged.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/policy_shift.py methods --tasks gusty-pendulum [...] [--seeds 0 1 2 3 4]
    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/policy_shift.py conditions [--seeds 0 1 2]

`methods`: for each task a log (seed 0, --records of each behavior) is compared leaving each behavior out, for all penalties at
the weights 1, 10, 100 and 300 (one seed); each penalty then has the weight of its least worst left-out error. Of each, one
network of 2 x 64 (batch 1,024, 1,000 + 4,000 steps) is trained for each seed and scored under fresh records of the logged
behaviors and of those that nobody logged. --weights-of takes the weights that were found on another task.

`conditions`: ERM and V-REx, plain and debiased, at weight 100 on the gusty pendulum under other gusts, behaviors of unequal
noise, more behaviors, and mini-batches of other sizes; 40,960 records in all, whatever the number of behaviors.

What is measured is kept in --out (JSON) and not measured again; benchmarks/policy_shift_figure.py draws it. Prints Markdown
tables: squared errors as multiples of the noise floor, on plain tasks, which have none, of the outputs' variance in the log; mean
over the seeds [lowest, highest].
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldrex import tasks
from worldrex.data import CollectConfig, Transitions, collect, collect_from, concatenate
from worldrex.dynamics import Run, TrainConfig, WorldModel, fit_runs
from worldrex.evaluation import CrossvalConfig, action_slope, crossval, output_scale, squared_errors
from worldrex.runs import write_json
from worldrex.tasks import Behavior, Feedback, Task

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
    parts = parser.add_subparsers(dest="part", required=True)
    methods = parts.add_parser("methods")
    methods.add_argument("--tasks", nargs="+", choices=tasks.names(), default=["gusty-pendulum"])
    methods.add_argument("--weights-of", choices=tasks.names())
    methods.add_argument("--records", type=int, default=10_000)
    methods.add_argument("--test-records", type=int, default=2000)
    methods.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    conditions = parts.add_parser("conditions")
    conditions.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for part in (methods, conditions):
        part.add_argument("--out", type=Path, default=Path("runs/policy_shift"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    {"methods": print_methods, "conditions": print_conditions}[arguments.part](arguments)


def print_methods(arguments: argparse.Namespace) -> None:
    for name in arguments.tasks:
        task = tasks.task(name)
        found = kept(arguments.out / f"{name}.json", lambda task=task: measured(task, arguments))
        picked = found["picked"]
        print(f"\n**{name}**: {found['records']:,} records of each behavior; ", end="")
        print(f"slope of {found['moved']}, true {found['true_slope']:.3g}\n")
        print("| | weight | logged, mean | left out, worst | unlogged, mean | unlogged, worst | slope |")
        print("|---|---|---|---|---|---|---|")
        for row in found["rows"]:
            left_out = "" if row["left_out"] is None else f"{row['left_out']:.3g}"
            cells = [across(row[column]) for column in ("logged", "unlogged", "worst", "slope")]
            print(f"| {row['name']} | {row['weight']:g} | {cells[0]} | {left_out} | {' | '.join(cells[1:])} |")
        if picked:
            print(f"\nLeaving behaviors out picks {picked['penalty']} at weight {picked['weight']:g} of all of them.")


def measured(task: Task, arguments: argparse.Namespace) -> dict[str, Any]:
    log = collect(CollectConfig(task=task.name, steps_per_behavior=arguments.records))
    scale = output_scale(log)
    seen = collect(CollectConfig(task=task.name, steps_per_behavior=arguments.test_records, seed=1))
    unseen = collect(CollectConfig(task=task.name, behaviors="unlogged", steps_per_behavior=arguments.test_records))
    floors = {"logged": floor_of(task, seen, scale), "unlogged": floor_of(task, unseen, scale)}
    some = unseen.rows(np.arange(0, len(unseen), max(len(unseen) // task.slope_records, 1)))
    direction = np.array(task.direction)
    moved = int(np.abs(tasks.gust_effect(task, some.obs, some.action).mean(0) / scale).argmax())
    if arguments.weights_of:
        others = json.loads((arguments.out / f"{arguments.weights_of}.json").read_text())["rows"]
        weights, left_out, picked = {row["name"]: row["weight"] for row in others}, {}, None
    else:
        weights, left_out, picked = chosen(log, task, scale)
    rows = []
    for method in METHODS:
        runs = [Run(method.penalty, weights[method.name], method.debiased, (), seed) for seed in arguments.seeds]  # type: ignore[arg-type]
        models, _ = fit_runs(log, runs, replace(CONFIG, sampler=method.sampler))  # type: ignore[arg-type]
        told = {
            name: ratios(models, data, scale, floors[name]) for name, data in (("logged", seen), ("unlogged", unseen))
        }
        rows.append(
            {
                "name": method.name, "weight": weights[method.name], "left_out": left_out.get(method.name),
                "logged": told["logged"].mean(1).tolist(), "unlogged": told["unlogged"].mean(1).tolist(),
                "worst": told["unlogged"].max(1).tolist(),
                "each": dict(zip(unseen.behavior_names, told["unlogged"].T.tolist(), strict=True)),
                "slope": [float(action_slope(model, some)[moved] @ direction) for model in models],
            }
        )  # fmt: skip
        print(f"{task.name}, {method.name}", flush=True)
    return {
        "records": arguments.records, "moved": task.output_names[moved], "rows": rows, "picked": picked,
        "true_slope": float(tasks.true_slope(task, some.obs, some.action).mean(0)[moved] @ direction),
    }  # fmt: skip


def chosen(
    log: Transitions, task: Task, scale: np.ndarray
) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
    """Of each method the weight of the least worst left-out error, and that error; and the choice among them all."""
    config = CrossvalConfig(
        penalty=COMPARED, weights=WEIGHTS, seeds=1, pairs=0, members=1, elites=1, termination="none"
    )  # type: ignore[arg-type]
    tables = {True: crossval(log, config), False: crossval(log, replace(config, penalty="variance", debiased=False))}
    every = log.rows(np.arange(0, len(log), max(len(log) // 4000, 1)))
    floor = floor_of(task, every, scale).mean(1)
    of_behavior = {name: floor[every.behavior == number].mean() for number, name in enumerate(log.behavior_names)}
    weights: dict[str, float] = {}
    worst: dict[str, float] = {}
    for method in METHODS:
        rows = [row for row in tables[method.debiased].rows if row["penalty"] == method.penalty]
        risks = {
            weight: [row["risk"] / of_behavior[row["behavior"]] for row in rows if row["weight"] == weight]
            for weight in {row["weight"] for row in rows}
        }
        weights[method.name] = min(risks, key=lambda weight: max(risks[weight]))
        worst[method.name] = max(risks[weights[method.name]])
    selection = tables[True].selection
    return weights, worst, {"penalty": selection.penalty, "weight": selection.chosen}


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


PENDULUM = tasks.task("gusty-pendulum")
ALL_RECORDS = 40_960
TRIO = (("ERM", 0.0, True), ("plain", 100.0, False), ("debiased", 100.0, True))


class Condition(NamedTuple):
    """What is other than in the task."""

    name: str
    behaviors: tuple[Behavior, ...] = PENDULUM.logged
    strengths: tuple[float, ...] = ()
    correlation: float = 0.0
    batch: int = 1024


def operators(number: int) -> tuple[Behavior, ...]:
    """As the task's own four: skill and compensation rise together."""
    return tuple(
        Behavior(f"operator {i + 1}", "Feedback.", Feedback(kp, 0.3 * kp), compensation=share, noise=0.4)
        for i, (kp, share) in enumerate(zip(np.linspace(0.5, 2, number), np.linspace(0, 0.75, number), strict=True))
    )


CONDITIONS = (
    Condition("as the task is: 4 behaviors, batch 1,024"),
    *(Condition(f"batch {batch:,}", batch=batch) for batch in (64, 256, 4096)),
    *(Condition(f"{number} behaviors", operators(number)) for number in (3, 5, 10, 30)),
    Condition("30 behaviors, batch 256", operators(30), batch=256),
    Condition("gusts that last (AR(1), 0.9)", correlation=0.9),
    Condition("stronger gusts for who compensates more (1 to 3 N m)", strengths=(1.0, 2.0, 2.5, 3.0)),
    Condition("stronger gusts for who compensates less (3 to 1 N m)", strengths=(3.0, 2.0, 1.5, 1.0)),
)


def print_conditions(arguments: argparse.Namespace) -> None:
    names = [behavior.name for behavior in PENDULUM.unlogged]
    print(f"| condition | model | {' | '.join(names)} | slope (true 0.149) |\n|---|---|{'---|' * (len(names) + 1)}")
    for number, condition in enumerate(CONDITIONS):
        path = arguments.out / f"condition-{number}.json"
        found = kept(path, lambda condition=condition: under(condition, arguments.seeds))
        for place, (model, values) in enumerate(found["models"].items()):
            cells = [across(values[name]) for name in (*names, "slope")]
            print(f"| {condition.name if place == 0 else ''} | {model} | {' | '.join(cells)} |", flush=True)


def under(condition: Condition, seeds: Sequence[int]) -> dict[str, Any]:
    task = replace(PENDULUM, correlation=condition.correlation)
    each = ALL_RECORDS // len(condition.behaviors)
    strengths = condition.strengths or (task.strength,) * len(condition.behaviors)
    log = concatenate(
        [
            collect_from(replace(task, strength=strength), [behavior], each)
            for behavior, strength in zip(condition.behaviors, strengths, strict=True)
        ]
    )
    scale = output_scale(log)
    test = collect_from(task, task.unlogged, task.steps_per_behavior)
    floor = floor_of(task, test, scale)
    runs = [Run("variance", weight, debiased, (), seed) for _, weight, debiased in TRIO for seed in seeds]
    models, _ = fit_runs(log, runs, replace(CONFIG, batch=condition.batch))
    told = ratios(models, test, scale, floor)
    slopes = [float(action_slope(model, test)[2, 0]) for model in models]
    found = {}
    for place, (name, *_) in enumerate(TRIO):
        own = slice(place * len(seeds), (place + 1) * len(seeds))
        columns = dict(zip(test.behavior_names, told[own].T.tolist(), strict=True))
        found[name] = columns | {"slope": slopes[own]}
    return {"name": condition.name, "batch": condition.batch, "models": found}


def kept(path: Path, measure: Any) -> dict[str, Any]:
    if not path.exists():
        write_json(path, measure())
    return json.loads(path.read_text())


def across(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


if __name__ == "__main__":
    main()
