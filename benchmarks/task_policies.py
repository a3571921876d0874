"""Policies out of the models of a finished run of a built-in task, under other settings, in the real environment.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/task_policies.py RUN_DIR [--termination hopper] [--pessimism 1] ...

RUN_DIR is the folder of `worldrex run --task NAME`. For ERM's model and the penalized one a policy is learned for each seed, all
as one program, and tried in --episodes episodes each. --termination replaces what the models were fitted with: a rule's name,
learned or none. Prints a row of a Markdown table: mean return over episodes and seeds (the interval is that of the mean of the
middle half), what the own model promised, and the same of the best logged behavior.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import worldrex
from worldrex import tasks
from worldrex.evaluation import Contender, ReturnsConfig, contest, reality_of_task
from worldrex.policy import MOPOConfig, PolicyRun, optimize_runs

MODELS = ("erm", "penalized")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--termination")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--horizon", type=int, default=5)
    parser.add_argument("--pessimism", type=float, default=1.0)
    parser.add_argument("--uncertainty", default="aleatoric")
    parser.add_argument("--real-ratio", type=float, default=0.05)
    parser.add_argument("--conservatism", type=float, default=0.0)
    arguments = parser.parse_args()
    task = tasks.task(json.loads((arguments.run / "summary.json").read_text())["task"])
    data = worldrex.load(arguments.run / "data" / "logged.parquet")
    models = {name: worldrex.load_model(arguments.run / "models" / name) for name in MODELS}
    if arguments.termination is not None:
        models = {name: model._replace(termination=arguments.termination) for name, model in models.items()}
    reality = reality_of_task(task)
    space = reality.action_space()
    config = MOPOConfig(
        hidden=tuple(arguments.hidden), steps=arguments.steps, horizon=arguments.horizon, pessimism=arguments.pessimism,
        uncertainty=arguments.uncertainty, real_ratio=arguments.real_ratio, conservatism=arguments.conservatism,
        action_low=tuple(map(float, space.low)), action_high=tuple(map(float, space.high)),
    )  # fmt: skip
    runs = [PolicyRun(config.pessimism, seed, number) for number in range(len(MODELS)) for seed in arguments.seeds]
    started = time.perf_counter()
    learned = optimize_runs(list(models.values()), data, runs, config).policies
    seconds = time.perf_counter() - started
    of_model = np.array_split(np.arange(len(runs)), len(MODELS))
    contenders = {
        name: Contender([learned[number] for number in numbers], name)
        for name, numbers in zip(MODELS, of_model, strict=True)
    }
    told = contest(contenders, models, "penalized", data, reality, ReturnsConfig(episodes=arguments.episodes))["policy"]
    rows = [told[name] for name in MODELS]
    cells = [
        f"{row['mean']['value']:.1f} [{row['low']:.1f}, {row['high']:.1f}] | {row['promised']['value']:.0f}"
        for row in rows
    ]
    best = told["best_behavior"]
    best_cell = f"{best['mean']['value']:.1f} [{best['low']:.1f}, {best['high']:.1f}]"
    print(f"| {' | '.join(cells)} | {best_cell} | {seconds:.0f} s")


if __name__ == "__main__":
    main()
