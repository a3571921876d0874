"""ERM and V-REx, plain and debiased, under other gusts, unequal noise, more behaviors, and mini-batches of other sizes.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/policy_shift_conditions.py [--seeds 0 1 2 3 4]
    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/policy_shift_conditions.py --members 7 --only "batch 64"
    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/policy_shift_conditions.py --tracking 0.97

The gusty pendulum, weight 100; networks and training as in benchmarks/policy_shift.py; 40,960 records in all, whatever the number
of behaviors. One network for each seed, or an ensemble of --members, of which five of seven predict: those that do best on
held-out records. With --tracking the penalty compares risks that are tracked over the batches. What is measured is kept in --out
(JSON) and not measured again; benchmarks/policy_shift_figure.py draws a part.
Prints a Markdown table: squared errors under each behavior that nobody logged as multiples of the noise floor, and the slope of
the rate in the torque; mean over the seeds [lowest, highest].
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from policy_shift import CONFIG, floor_of, ratios
from policy_shift_tables import across

from worldrex import tasks
from worldrex.data import collect_from, concatenate
from worldrex.dynamics import Run, fit_runs
from worldrex.evaluation import action_slope, output_scale
from worldrex.runs import write_json
from worldrex.tasks import Behavior, Feedback

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--tracking", type=float, default=0.0)
    parser.add_argument("--only", default="", help="those conditions that have this in their name")
    parser.add_argument("--out", type=Path, default=Path("runs/policy_shift"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = [behavior.name for behavior in PENDULUM.unlogged]
    print(f"| condition | model | {' | '.join(names)} | slope (true 0.149) |\n|---|---|{'---|' * (len(names) + 1)}")
    ensemble = "" if arguments.members == 1 else f"members-{arguments.members}-"
    tracked = f"tracking-{arguments.tracking:g}-" if arguments.tracking else ""
    for number, condition in enumerate(CONDITIONS):
        if arguments.only not in condition.name:
            continue
        path = arguments.out / f"{ensemble}{tracked}condition-{number}.json"
        if not path.exists():
            write_json(path, under(condition, arguments.seeds, arguments.members, arguments.tracking))
        found = json.loads(path.read_text())
        for place, (model, values) in enumerate(found["models"].items()):
            cells = [across(values[name]) for name in (*names, "slope")]
            print(f"| {condition.name if place == 0 else ''} | {model} | {' | '.join(cells)} |", flush=True)


def under(condition: Condition, seeds: Sequence[int], members: int, tracking: float) -> dict[str, Any]:
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
    config = replace(CONFIG, batch=condition.batch, members=members, elites=max(5 * members // 7, 1), tracking=tracking)
    models, _ = fit_runs(log, runs, config)
    told = ratios(models, test, scale, floor)
    slopes = [float(action_slope(model, test)[2, 0]) for model in models]
    found = {}
    for place, (name, *_) in enumerate(TRIO):
        own = slice(place * len(seeds), (place + 1) * len(seeds))
        columns = dict(zip(test.behavior_names, told[own].T.tolist(), strict=True))
        found[name] = columns | {"slope": slopes[own]}
    return {"name": condition.name, "batch": condition.batch, "models": found}


if __name__ == "__main__":
    main()
