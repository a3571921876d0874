"""ERM and the penalized models on a task with a known truth: errors under behaviors that nobody logged, and slopes.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/tasks.py --task gusty-hopper [--weights 0 100 300] [--seeds 0 1] ...
                           [--ray ADDRESS]

Logs the task's behaviors (--records of each), trains an ensemble for each weight and seed as one program, and scores it under
the unlogged behaviors. Prints a Markdown table: mean squared error over all outputs as a multiple of the noise floor, the same
for the output that a gust moves most alone, and the slopes of that output and of the reward in the direction in which the
operators answered the gust, per unit of the action; mean over the seeds [lowest, highest]. With --ray a Ray cluster trains
(HOST:PORT of its head, auto, or local), to the same table; each ensemble is a chunk.
"""

import argparse
import time
from functools import partial

import numpy as np

from worldrex import tasks
from worldrex.data import CollectConfig, collect
from worldrex.dynamics import Run, TrainConfig, connected, fit_runs, train_on_ray
from worldrex.evaluation import action_slope, output_scale, squared_errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tasks.names(), default="gusty-hopper")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 100.0, 300.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--records", type=int, default=25_000)
    parser.add_argument("--test-records", type=int, default=4000)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--per-dimension", action="store_true", help="penalize the risks of each output apart")
    parser.add_argument("--ray", metavar="ADDRESS")
    arguments = parser.parse_args()
    task = tasks.task(arguments.task)
    logged = collect(CollectConfig(task=task.name, steps_per_behavior=arguments.records))
    test = collect(CollectConfig(task=task.name, behaviors="unlogged", steps_per_behavior=arguments.test_records))
    scale = output_scale(logged)
    floor = tasks.noise_floor(task, test.obs, test.action, test.next_obs, test.reward) / scale**2
    of_logged = logged.rows(np.arange(0, len(logged), len(logged) // 2000))
    told = tasks.noise_floor(task, of_logged.obs, of_logged.action, of_logged.next_obs, of_logged.reward) / scale**2
    some = test.rows(np.arange(0, len(test), max(len(test) // task.slope_records, 1)))
    direction = np.array(task.direction)
    moved = int(np.abs(tasks.gust_effect(task, some.obs, some.action).mean(0) / scale).argmax())
    truth = tasks.true_slope(task, some.obs, some.action).mean(0) @ direction
    name = task.output_names[moved]

    config = TrainConfig(
        members=arguments.members, elites=arguments.members, hidden=tuple(arguments.hidden), batch=1024,
        steps=arguments.steps, per_dimension=arguments.per_dimension,
    )  # fmt: skip
    runs = [Run("variance", weight, True, (), seed) for weight in arguments.weights for seed in arguments.seeds]
    started = time.perf_counter()
    if arguments.ray is None:
        models, _ = fit_runs(logged, runs, config)
    else:
        with connected(arguments.ray):
            models, _ = fit_runs(logged, runs, config, trainer=partial(train_on_ray, runs_per_chunk=1, say=print))
    seconds = time.perf_counter() - started

    behaviors = test.behavior_names
    print(
        f"{task.name}: {arguments.records:,} records of each behavior, {config.members} members of {config.hidden}, ",
        end="",
    )
    apart = ", each output apart" if config.per_dimension else ""
    print(f"batch {config.batch:,}{apart}, {config.warmup_steps:,} + {config.steps:,} steps, {seconds:.0f} s\n")
    columns = [*behaviors, *(f"{name}: {behavior}" for behavior in behaviors)]
    columns += [f"slope of {name} (true {truth[moved]:.3g})", f"slope of the reward (true {truth[-1]:.3g})"]
    print(f"| weight | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for weight in arguments.weights:
        rows = []
        for model, run in zip(models, runs, strict=True):
            if run.weight == weight:
                errors, slope = squared_errors(model, test, scale), action_slope(model, some) @ direction
                parts = [(errors[test.behavior == b], floor[test.behavior == b]) for b in range(len(behaviors))]
                rows.append(
                    [error.mean() / least.mean() for error, least in parts]
                    + [error[:, moved].mean() / least[:, moved].mean() for error, least in parts]
                    + [slope[moved], slope[-1]]
                )
        cells = [f"{np.mean(column):.3g} [{min(column):.3g}, {max(column):.3g}]" for column in zip(*rows, strict=True)]
        print(f"| {weight:g} | {' | '.join(cells)} |", flush=True)
    print()
    for log, floors in ((test, floor), (of_logged, told)):
        for number, behavior in enumerate(log.behavior_names):
            own = floors[log.behavior == number]
            print(
                f"- noise floor, {behavior}: {own.mean():.3g}; of {name} {own[:, moved].mean():.3g}, of the reward ",
                end="",
            )
            print(f"{own[:, -1].mean():.3g}")


if __name__ == "__main__":
    main()
