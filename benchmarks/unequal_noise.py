"""What behaviors of different noise do to V-REx, whether it is noticed, and what known noise floors change.

    .venv/bin/python benchmarks/unequal_noise.py [--seeds 0 1 2] [--runs runs/unequal_noise]

The operators of gusty-pendulum log under gusts of different strength: rising with their compensation (1, 2, 2.5, 3 N m), or
falling (3, 2, 1.5, 1); the unlogged behaviors meet gusts of 2 N m as ever. ERM and V-REx (weight 300), the latter also on
the excess over each behavior's noise floor, as the simulator tells it; 3 members, batch 1,024, 1,000 + 6,000 steps. Errors
are multiples of the noise floor, median [lowest, highest] over the seeds. "Unequal" is what a leave-one-out comparison
of 1 seed and the weights 0, 100 and 300 says of the risks' spread. Prints a Markdown table.
"""

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from worldrex import tasks
from worldrex.data import Transitions, concatenate
from worldrex.data.collect import collect_from
from worldrex.dynamics import Run, TrainConfig, fit_runs
from worldrex.evaluation import CrossvalConfig, action_slope, crossval, output_scale, squared_errors
from worldrex.runs import write_json

TASK = tasks.task("gusty-pendulum")
STRENGTHS = {"equal": (2.0, 2.0, 2.0, 2.0), "rising": (1.0, 2.0, 2.5, 3.0), "falling": (3.0, 2.0, 1.5, 1.0)}
CONFIG = TrainConfig(members=3, elites=3, hidden=(64, 64), batch=1024)
MODELS = ("ERM", "V-REx", "V-REx on the excess")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/unequal_noise"))
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 2)
    arguments.runs.mkdir(parents=True, exist_ok=True)
    names = [behavior.name for behavior in TASK.unlogged]
    print(f"| gusts | model | {' | '.join(names)} | slope (true 0.149) | spread left | unequal |")
    print("|---|---|" + "---|" * (len(names) + 3))
    for gusts in STRENGTHS:
        found = [kept(gusts, seed, arguments.runs) for seed in arguments.seeds]
        spread = across([one["spread"]["least"]["value"] for one in found])
        unequal = f"{sum(one['unequal'] for one in found)} of {len(found)}"
        for model in MODELS:
            cells = [across([one[model][name] for one in found]) for name in (*names, "slope")]
            last = [spread, unequal] if model == "ERM" else ["", ""]
            print(f"| {gusts} | {model} | {' | '.join([*cells, *last])} |", flush=True)


def across(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def kept(gusts: str, seed: int, runs: Path) -> dict[str, Any]:
    path = runs / f"{gusts}-{seed}.json"
    if not path.exists():
        write_json(path, measured(gusts, seed))
    return json.loads(path.read_text())


def measured(gusts: str, seed: int) -> dict[str, Any]:
    alone = [
        (replace(TASK, strength=strength), behavior)
        for strength, behavior in zip(STRENGTHS[gusts], TASK.logged, strict=True)
    ]
    logs = [collect_from(task, [behavior], TASK.steps_per_behavior, seed=seed) for task, behavior in alone]
    log = concatenate(logs)
    scale = output_scale(log)
    floors = tuple(float((floor_of(task, part) / scale**2).mean()) for (task, _), part in zip(alone, logs, strict=True))
    plain, excess = replace(CONFIG, seed=seed), replace(CONFIG, seed=seed, baselines=floors)
    (erm, penalized), _ = fit_runs(log, [Run(weight=0.0, seed=seed), Run(weight=300.0, seed=seed)], plain)
    (of_excess,), _ = fit_runs(log, [Run(weight=300.0, seed=seed)], excess)
    test = collect_from(TASK, TASK.unlogged, TASK.steps_per_behavior, seed=seed)
    floor = (floor_of(TASK, test) / scale**2).mean(1)
    told: dict[str, Any] = {"floors": floors}
    for name, model in zip(MODELS, (erm, penalized, of_excess), strict=True):
        errors = squared_errors(model, test, scale).mean(1)
        told[name] = {
            behavior: errors[test.behavior == number].mean() / floor[test.behavior == number].mean()
            for number, behavior in enumerate(test.behavior_names)
        }
        told[name]["slope"] = float(action_slope(model, test)[2, 0])
    table = crossval(log, CrossvalConfig(weights=(0.0, 100.0, 300.0), seeds=1, seed=seed))
    spread = table.selection.spread
    assert spread is not None
    return told | {"spread": table.to_json()["selection"]["spread"], "unequal": spread.unequal}


def floor_of(task: tasks.Task, log: Transitions) -> np.ndarray:
    return tasks.noise_floor(task, log.obs, log.action, log.next_obs, log.reward)


if __name__ == "__main__":
    main()
