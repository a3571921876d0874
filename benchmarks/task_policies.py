"""Policies for a built-in task out of ERM's models and out of penalized ones, in the real environment.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/task_policies.py --task gusty-reacher [--weight 100] [--keep DIR] ...
    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/task_policies.py --run RUN_DIR [--termination hopper] ...

The first logs the task (seed 0), fits for each seed ERM's model and one at the penalty weight (three members of 2 x 64, batch
1,024, 1,000 + 6,000 steps; log and models are kept in --keep and not made again), and learns in each model a policy of that
seed. The second takes the two models of a finished `worldrex run --task NAME` and learns in each
a policy of every seed. All policies are one program; each acts, deterministically, in --episodes real episodes, the same for
all. --termination replaces what the models were fitted with: a rule's name, learned or none.

Prints a Markdown table: interquartile mean of the return over episodes and seeds with its 95 % interval, the mean of all, what
the own model promised [least, most], and the same of the policy learned in the simulator itself (--simulator STEPS), of nothing,
of the logged behaviors, of the laws that these steer by without sight of the gust, and of behavior cloning.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from gymnasium.spaces import Box

import worldrex
from worldrex import tasks
from worldrex.data import CollectConfig, Transitions, collect
from worldrex.dynamics import Run, TrainConfig, WorldModel, fit_runs
from worldrex.evaluation import ReturnsConfig, evaluate_in_model, reality_of_task
from worldrex.evaluation.baselines import baseline_choosers, chooser_of
from worldrex.evaluation.episodes import Chooser, Episodes
from worldrex.evaluation.returns import returns_of, runner
from worldrex.policy import CloneConfig, MOPOConfig, OnlineConfig, PolicyRun, clone, learn_online, optimize_runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path)
    source.add_argument("--task", choices=tasks.names())
    parser.add_argument("--weight", type=float, default=100.0)
    parser.add_argument("--records", type=int, help="of each behavior; the task's own number where none is given")
    parser.add_argument("--keep", type=Path, default=Path("runs/fits"))
    parser.add_argument("--termination")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--horizon", type=int, default=5)
    parser.add_argument("--pessimism", type=float, default=1.0)
    parser.add_argument("--uncertainty", default="aleatoric")
    parser.add_argument("--real-ratio", type=float, default=0.05)
    parser.add_argument("--conservatism", type=float, default=0.0)
    parser.add_argument("--imitation", type=float, default=0.0)
    parser.add_argument("--simulator", type=int, default=0, metavar="STEPS", help="of SAC in the real environment")
    arguments = parser.parse_args()
    task = tasks.task(arguments.task or json.loads((arguments.run / "summary.json").read_text())["task"])
    data = worldrex.load(arguments.run / "data" / "logged.parquet") if arguments.run else logged(task, arguments)
    of_kind = of_run(arguments.run) if arguments.run else fitted(task, data, arguments)
    models = [model for kind in of_kind.values() for model in kind]
    if arguments.termination is not None:
        models = [model._replace(termination=arguments.termination) for model in models]
    reality = reality_of_task(task)
    space = reality.action_space()
    config = MOPOConfig(
        hidden=tuple(arguments.hidden), steps=arguments.steps, horizon=arguments.horizon, pessimism=arguments.pessimism,
        uncertainty=arguments.uncertainty, real_ratio=arguments.real_ratio, conservatism=arguments.conservatism,
        imitation=arguments.imitation,
        action_low=tuple(map(float, space.low)), action_high=tuple(map(float, space.high)),
    )  # fmt: skip
    # A model for each seed, or one for all of them.
    own = np.split(np.arange(len(models)), len(of_kind))
    runs = [
        PolicyRun(config.pessimism, seed, int(kind[i % len(kind)]))
        for kind in own
        for i, seed in enumerate(arguments.seeds)
    ]
    started = time.perf_counter()
    policies = optimize_runs(models, data, runs, config).policies
    seconds = time.perf_counter() - started

    judging = ReturnsConfig(episodes=arguments.episodes)
    run = runner(reality, judging, 1, None)
    print(f"{task.name}: {len(data):,} records; {len(runs)} policies in {seconds:.0f} s; {config}\n")
    print("| | return, middle half | mean | promised | steps |\n|---|---|---|---|---|")
    for number, name in enumerate(of_kind):
        mine = list(range(number * len(arguments.seeds), (number + 1) * len(arguments.seeds)))
        ran = [run(chooser_of(policies[i], 0)) for i in mine]
        told = [
            evaluate_in_model(models[runs[i].model], policies[i], one.starts, reality.episode_steps, data=data)
            for i, one in zip(mine, ran, strict=True)
        ]
        promised = np.array([one.estimate.value for one in told])
        print(f"{row(name, ran, judging)} {promised.mean():.1f} [{promised.min():.1f}, {promised.max():.1f}]", end="")
        print(f" | {np.mean([one.steps.mean() for one in ran]):.0f} | each: ", end="")
        print(", ".join(f"{one.returns.mean():.1f}" for one in ran), flush=True)
    if arguments.simulator:
        online = OnlineConfig(hidden=config.hidden, steps=arguments.simulator)
        print(row("the simulator", [run(chooser_of(learn_online(reality.make_many(1), online), 0))], judging))
    others = baseline_choosers(reality, space, 0) | blind(task, space)
    cloning = CloneConfig(action_low=config.action_low, action_high=config.action_high)
    others["behavior cloning"] = chooser_of(clone(data, cloning), 0)
    for name, choose in others.items():
        print(row(name, [run(choose)], judging), flush=True)


def blind(task: tasks.Task, space: Box) -> dict[str, Chooser]:
    """Each law that the logged behaviors steer by, without sight of the gust and with a steady hand."""
    steady = {
        f"{behavior.name}: its law, blind": replace(behavior, compensation=0.0, noise=0.0) for behavior in task.logged
    }
    alone = {behavior.controller: name for name, behavior in reversed(steady.items())}
    rng = np.random.default_rng(0)
    return {
        name: lambda obs, info, law=steady[name]: law.act(obs, info["gust"], space=space, rng=rng)
        for name in alone.values()
    }


def row(name: str, ran: list[Episodes], judging: ReturnsConfig) -> str:
    told = returns_of(np.stack([one.returns for one in ran]), np.concatenate([one.steps for one in ran]), judging)
    middle = told["return"]
    return (
        f"| {name} | {middle['value']:.1f} [{middle['low']:.1f}, {middle['high']:.1f}] | {told['mean']['value']:.1f} |"
    )


def of_run(folder: Path) -> dict[str, list[WorldModel]]:
    return {name: [worldrex.load_model(folder / "models" / name)] for name in ("erm", "penalized")}


def logged(task: tasks.Task, arguments: argparse.Namespace) -> Transitions:
    path = arguments.keep / f"{task.name}.parquet"
    if not path.exists():
        arguments.keep.mkdir(parents=True, exist_ok=True)
        collect(CollectConfig(task=task.name, steps_per_behavior=arguments.records)).save(path)
    return worldrex.load(path)


def fitted(task: tasks.Task, data: Transitions, arguments: argparse.Namespace) -> dict[str, list[WorldModel]]:
    """For each weight the models of the seeds."""
    config = TrainConfig(
        members=3, elites=3, hidden=(64, 64), batch=1024, steps=6000, termination=task.termination or "none"
    )
    runs = [Run("variance", weight, True, (), seed) for weight in (0.0, arguments.weight) for seed in arguments.seeds]
    paths = [arguments.keep / f"{task.name}-seed-{run.seed}-weight-{run.weight:g}" for run in runs]
    missing = [number for number, path in enumerate(paths) if not (path / "model.json").exists()]
    if missing:
        for number, model in zip(missing, fit_runs(data, [runs[i] for i in missing], config)[0], strict=True):
            model.save(paths[number])
    models = [worldrex.load_model(path) for path in paths]
    names = ("ERM", f"weight {arguments.weight:g}")
    return {name: models[i * len(arguments.seeds) : (i + 1) * len(arguments.seeds)] for i, name in enumerate(names)}


if __name__ == "__main__":
    main()
