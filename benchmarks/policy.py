"""Policies on the gusty pendulum: from ERM's model, from the penalized one, and from the simulator itself, in reality.

    .venv/bin/python benchmarks/policy.py [--seeds 0 1 2 3 4] [--models runs/policy] [--pessimism 1] [--horizon 5] ...

Logs the built-in task, fits ERM's model and one at penalty weight 300 (2 x 64, batch 1,024, as `worldrex run` does; kept in
--models and not fitted again), and learns a policy for each model, pessimism and seed as one program. The simulator stands
beside them as a world that is not uncertain of anything: the task's own equations, here in JAX. Each policy then acts,
deterministically, in --episodes episodes of the real environment (Gymnasium). With --fit-each the seeds share nothing: each has
a log, fits and policies of its own (fits that benchmarks/policy_evaluation.py kept are taken: --models). Prints a Markdown
table: interquartile mean over the seeds [95 % interval] of the mean return, and of what the world that it was learned in
promises.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import worldrex
from worldrex import tasks
from worldrex.evaluation import interquartile_mean
from worldrex.evaluation.episodes import run_episodes
from worldrex.policy import Learned, MOPOConfig, Outcome, PolicyRun, optimize_runs, setting_of
from worldrex.policy.learning import learn
from worldrex.policy.mopo import stacked
from worldrex.runs import write_json

TASK = "gusty-pendulum"
MODELS = {"ERM": 0.0, "variance 300": 300.0}


class Simulator(NamedTuple):
    """The gusty pendulum's own equations as a world; one array, so that it can be stacked."""

    strength: jax.Array

    def step(self, obs: jax.Array, action: jax.Array, *, key: jax.Array) -> Outcome:
        angle, speed, torque = jnp.arctan2(obs[:, 1], obs[:, 0]), obs[:, 2], jnp.clip(action[:, 0], -3, 3)
        reward = -(angle**2 + 0.1 * speed**2 + 0.001 * torque**2)
        gust = self.strength * jax.random.normal(key, speed.shape)
        speed = jnp.clip(speed + 0.05 * (4.5 * jnp.sin(angle) + 3 * (torque + gust)), -8, 8)
        angle = angle + 0.05 * speed
        nothing = jnp.zeros_like(speed)
        return Outcome(jnp.stack([jnp.cos(angle), jnp.sin(angle), speed], -1), reward, nothing, nothing > 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--models", type=Path, default=Path("runs/policy"))
    parser.add_argument("--pessimism", type=float, nargs="+", default=[1.0])
    parser.add_argument("--horizon", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--uncertainty", default="aleatoric")
    parser.add_argument("--real-ratio", type=float, default=0.05)
    parser.add_argument("--absorb-beyond", type=float)
    parser.add_argument("--absorb-reward", type=float)
    parser.add_argument("--conservatism", type=float, default=0.0)
    parser.add_argument("--imitation", type=float, default=0.0)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--without-references", action="store_true", help="the two models' rows only")
    parser.add_argument("--fit-each", action="store_true", help="each seed: a log, fits and policies of its own")
    arguments = parser.parse_args()
    task = tasks.task(TASK)
    config = MOPOConfig(
        hidden=tuple(arguments.hidden), steps=arguments.steps, horizon=arguments.horizon,
        rollouts=5000 // arguments.horizon, uncertainty=arguments.uncertainty, real_ratio=arguments.real_ratio,
        absorb_beyond=arguments.absorb_beyond, absorb_reward=arguments.absorb_reward, conservatism=arguments.conservatism,
        imitation=arguments.imitation,
    )  # fmt: skip
    if arguments.fit_each:
        return fit_each(arguments, task, config)
    data = logged(arguments.models)
    models = [fitted(data, weight, arguments.models) for weight in MODELS.values()]
    print("| learned in | pessimism | return in reality | promised | seconds |\n|---|---|---|---|---|")
    runs = [PolicyRun(p, s, m) for m in range(len(models)) for p in arguments.pessimism for s in arguments.seeds]
    started = time.perf_counter()
    found = optimize_runs(models, data, runs, config)
    seconds = time.perf_counter() - started
    for number, name in enumerate(MODELS):
        for pessimism in arguments.pessimism:
            chosen = [i for i, run in enumerate(runs) if (run.model, run.pessimism) == (number, pessimism)]
            seeds = [runs[i].seed for i in chosen]
            print(
                row(name, f"{pessimism:g}", found, chosen, seeds, task, arguments.episodes, f"{seconds:.0f} (all)"),
                flush=True,
            )
    if arguments.without_references:
        return
    # The simulator is not uncertain of anything.
    plain = replace(config, uncertainty="aleatoric", absorb_beyond=None, absorb_reward=None)
    simulator = setting_of(models[:1], data, plain)._replace(worlds=stacked([Simulator(jnp.float32(task.strength))]))
    in_simulator = [PolicyRun(0.0, seed) for seed in arguments.seeds]
    started = time.perf_counter()
    best = learn(simulator, in_simulator, plain, task.episode_steps)
    seconds_there = time.perf_counter() - started
    every = list(range(len(in_simulator)))
    print(row("the simulator", "-", best, every, arguments.seeds, task, arguments.episodes, f"{seconds_there:.0f}"))
    print(f"| doing nothing | - | {returns_of(None, task, arguments.episodes, 0):.1f} | - | - |")
    for behavior in worldrex.describe(data).behaviors:
        assert behavior.mean_return is not None
        print(f"| logged: {behavior.name} | - | {behavior.mean_return:.1f} | - | - |")
    print(f"\ncompiling: {found.compile_seconds:.0f} and {best.compile_seconds:.0f} s; {config}")


def fit_each(arguments: argparse.Namespace, task: tasks.Task, config: MOPOConfig) -> None:
    """A row for each model kind: over seeds that share nothing, from the log on."""
    real: dict[str, list[float]] = {name: [] for name in MODELS}
    promised: dict[str, list[float]] = {name: [] for name in MODELS}
    for seed in arguments.seeds:
        data = logged(arguments.models, seed)
        models = [fitted(data, weight, arguments.models, seed) for weight in MODELS.values()]
        runs = [PolicyRun(arguments.pessimism[0], seed, number) for number in range(len(models))]
        found = optimize_runs(models, data, runs, config)
        for number, name in enumerate(MODELS):
            real[name].append(returns_of(found.policies[number], task, arguments.episodes, seed))
            promised[name].append(float(found.progress.model_return[number]))
            print(f"seed {seed}, {name}: {real[name][-1]:.1f}, promised {promised[name][-1]:.1f}", flush=True)
    print("\n| learned in | return in reality | promised |\n|---|---|---|")
    for name in MODELS:
        print(f"| {name} | {spread(real[name])} | {spread(promised[name])} |")


def logged(folder: Path, seed: int = 0) -> worldrex.Transitions:
    path = folder / ("logged.parquet" if seed == 0 else f"logged-{seed}.parquet")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        worldrex.collect(worldrex.CollectConfig(task=TASK, seed=seed)).save(path)
    return worldrex.load(path)


def fitted(data: worldrex.Transitions, weight: float, folder: Path, seed: int = 0) -> worldrex.WorldModel:
    path = folder / f"seed-{seed}-weight-{weight:g}"
    if not path.exists():
        started = time.perf_counter()
        worldrex.fit(data, worldrex.FitConfig(hidden=(64, 64), batch=1024, weight=weight, seed=seed)).save(path)
        write_json(path / "seconds.json", time.perf_counter() - started)
    return worldrex.load_model(path)


def row(
    name: str, pessimism: str, found: Learned, chosen: list[int], seeds: list[int], task: tasks.Task, episodes: int,
    seconds: str,
) -> str:  # fmt: skip
    real = [returns_of(found.policies[i], task, episodes, seed) for i, seed in zip(chosen, seeds, strict=True)]
    promised = [float(found.progress.model_return[number]) for number in chosen]
    return f"| {name} | {pessimism} | {spread(real)} | {spread(promised)} | {seconds} |"


def returns_of(policy: worldrex.Policy | None, task: tasks.Task, episodes: int, seed: int) -> float:
    """Mean return in the real environment, by the policy's deterministic actions."""

    def choose(obs: np.ndarray, info: object) -> np.ndarray:
        return np.zeros((len(obs), 1), np.float32) if policy is None else np.asarray(policy.act(obs))

    return float(run_episodes(task.make_env(20), choose, episodes, seed=seed).returns.mean())


def spread(values: list[float]) -> str:
    found = interquartile_mean(np.array(values)[:, None])
    return f"{found.value:.1f} [{found.low:.1f}, {found.high:.1f}]"


if __name__ == "__main__":
    main()
