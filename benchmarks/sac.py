"""Soft actor-critic by itself, against Stable-Baselines3's: how it learns in Gymnasium environments, and how fast.

    .venv/bin/python benchmarks/sac.py curves [--env Pendulum-v1] [--steps 10000] [--seeds 0 1 2 3 4] [--out runs/sac]
    .venv/bin/python benchmarks/sac.py speed [--hidden 256 256] [--obs 17] [--act 6] [--updates 500] [--turns 5]

Both by Stable-Baselines3's defaults (2 x 256, batch 256, Adam at 3e-4, discount 0.99, tau 0.005, 100 random steps, one update a
step, buffer of a million, automatic temperature), in a process that is held to one core.

`curves` learns under each seed, in turns, and judges every --every steps by the mean return of ten episodes by deterministic
actions, which begin alike for both. Each run is kept in the folder --out when it is done, and not run again. Prints a Markdown
table: mean over the seeds with its 95 % interval (Student's), the difference (Welch's), and processor time for a step.

`speed` takes turns in one process. An update: SAC.train of Stable-Baselines3 itself, with the sampling and logging that it does,
and this library's step with the draw of its batch. A step: the whole of `learn` and `learn_online`, in an environment that costs
nothing. Prints microseconds, of the clock and of the processor: median [least, most] over the turns.

Needs `pip install 'worldrex[stable-baselines3]'`.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import torch
from gymnasium.spaces import Box
from scipy import stats
from stable_baselines3 import SAC
from stable_baselines3.common.logger import configure

from worldrex.evaluation import reality_of
from worldrex.evaluation.episodes import Chooser, run_episodes
from worldrex.policy import OnlineConfig, OnlineProgress, learn_online, replay, sac
from worldrex.policy.replay import Batch
from worldrex.runs import write_json

LEARNERS = ("worldrex", "Stable-Baselines3")
CAPACITY = 100_000
EPISODES = 10
JUDGING_SEED = 12345
Times = tuple[float, float]
"""Seconds of the clock and of the processor."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    curves = parts.add_parser("curves")
    curves.add_argument("--env", default="Pendulum-v1")
    curves.add_argument("--steps", type=int, default=10_000)
    curves.add_argument("--every", type=int, default=1000)
    curves.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    curves.add_argument("--learners", nargs="+", choices=LEARNERS, default=LEARNERS, help="whose runs to make now")
    curves.add_argument("--out", type=Path, default=Path("runs/sac"))
    speed = parts.add_parser("speed")
    speed.add_argument("--hidden", type=int, nargs="+", default=[256, 256])
    speed.add_argument("--obs", type=int, default=17)
    speed.add_argument("--act", type=int, default=6)
    speed.add_argument("--updates", type=int, default=500)
    speed.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    {"curves": print_curves, "speed": print_speed}[arguments.part](arguments)


def print_curves(arguments: argparse.Namespace) -> None:
    found: dict[str, list[dict]] = {name: [] for name in LEARNERS}
    for seed in arguments.seeds:
        for name in arguments.learners:
            learn = ours if name == "worldrex" else theirs
            file = arguments.out / f"{arguments.env}-{arguments.steps}-{arguments.every}-{name}-{seed}.json"
            if not file.exists():
                arguments.out.mkdir(parents=True, exist_ok=True)
                returns, used = learn(arguments.env, arguments.steps, arguments.every, seed)
                write_json(file, {"returns": returns, "processor_seconds": used})
                print(f"{name}, seed {seed}: {returns[-1]:.1f} in {used:.0f} s of a core", flush=True)
            found[name].append(json.loads(file.read_text()))
    if len(arguments.learners) < len(LEARNERS):
        return
    print(f"\n{arguments.env}, {len(arguments.seeds)} seeds\n")
    print(f"| steps | {' | '.join(LEARNERS)} | difference |\n|---|---|---|---|")
    own, other = (np.array([run["returns"] for run in runs]) for runs in found.values())
    for number in range(own.shape[1]):
        print(f"| {(number + 1) * arguments.every:,} | {compared(own[:, number], other[:, number])} |")
    print(f"| mean of the curve | {compared(own.mean(1), other.mean(1))} |")
    used = [[1e3 * run["processor_seconds"] / arguments.steps for run in runs] for runs in found.values()]
    print(f"| processor ms for a step | {' | '.join(spread(of_one, 1) for of_one in used)} | |")


def ours(env_id: str, steps: int, every: int, seed: int) -> tuple[list[float], float]:
    """Mean returns, every so many steps, and the processor's seconds of learning."""
    returns: list[float] = []
    judging = 0.0

    def report(progress: OnlineProgress) -> None:
        nonlocal judging
        started = time.process_time()
        returns.append(judged(env_id, lambda obs, info: np.asarray(progress.policy.act(obs))))
        judging += time.process_time() - started

    started = time.process_time()
    learn_online(
        reality_of(env_id).make_many(1), OnlineConfig(steps=steps, seed=seed), report=report, report_every=every
    )
    return returns, time.process_time() - started - judging


def theirs(env_id: str, steps: int, every: int, seed: int) -> tuple[list[float], float]:
    learner = SAC("MlpPolicy", reality_of(env_id).make(), seed=seed, device="cpu")
    returns, used = [], 0.0
    for _ in range(0, steps, every):
        started = time.process_time()
        learner.learn(every, reset_num_timesteps=False)
        used += time.process_time() - started
        returns.append(judged(env_id, lambda obs, info: learner.predict(obs, deterministic=True)[0]))
    return returns, used


def judged(env_id: str, choose: Chooser) -> float:
    env = reality_of(env_id).make_many(EPISODES)
    return float(run_episodes(env, choose, EPISODES, seed=JUDGING_SEED).returns.mean())


def compared(own: np.ndarray, other: np.ndarray) -> str:
    difference = stats.ttest_ind(own, other, equal_var=False).confidence_interval()
    cells = [f"{x.mean():.1f} [{', '.join(f'{end:.1f}' for end in student(x))}]" for x in (own, other)]
    return f"{' | '.join(cells)} | {own.mean() - other.mean():.1f} [{difference.low:.1f}, {difference.high:.1f}]"


def student(values: np.ndarray) -> tuple[float, float]:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


class Still(gymnasium.Env):
    """Costs nothing."""

    def __init__(self, obs_dims: int, action_dims: int) -> None:
        self.observation_space = Box(-np.inf, np.inf, (obs_dims,), np.float32)
        self.action_space = Box(-1, 1, (action_dims,), np.float32)
        self.obs = np.zeros(obs_dims, np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return self.obs, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return self.obs, 0.0, False, False, {}


def print_speed(arguments: argparse.Namespace) -> None:
    config = OnlineConfig(hidden=tuple(arguments.hidden), steps=arguments.updates, learning_starts=0)
    dims = arguments.obs, arguments.act
    rng = np.random.default_rng(0)
    obs, after = rng.normal(size=(2, CAPACITY, dims[0])).astype(np.float32)
    action = rng.uniform(-1, 1, (CAPACITY, dims[1])).astype(np.float32)
    reward, ends = rng.normal(size=CAPACITY).astype(np.float32), np.zeros(CAPACITY, np.float32)
    records = obs, action, reward, after, ends
    learner = SAC(
        "MlpPolicy", Still(*dims), buffer_size=CAPACITY, learning_starts=0, device="cpu",
        policy_kwargs={"net_arch": arguments.hidden},
    )  # fmt: skip
    learner.set_logger(configure(None, []))
    buffer = learner.replay_buffer
    assert buffer is not None
    buffer.observations[:, 0], buffer.next_observations[:, 0], buffer.actions[:, 0] = obs, after, action
    buffer.rewards[:, 0], buffer.dones[:, 0], buffer.full = reward, ends, True
    print(f"hidden {arguments.hidden}, obs {dims[0]}, act {dims[1]}\n")
    print("| | worldrex | Stable-Baselines3 | ratio | processor: worldrex | Stable-Baselines3 | ratio |")
    print("|---|---|---|---|---|---|---|")
    envs = lambda: gymnasium.vector.SyncVectorEnv([lambda: gymnasium.wrappers.TimeLimit(Still(*dims), 1000)])  # noqa: E731
    for name, own, other in (
        ("an update", updates_of(records, config), lambda: learner.train(arguments.updates, config.batch)),
        ("a step", partial(learn, envs, config), lambda: learner.learn(arguments.updates, reset_num_timesteps=False)),
    ):
        print(f"| {name}, µs | {raced(own, other, arguments)} |", flush=True)


def learn(envs: Callable[[], gymnasium.vector.VectorEnv], config: OnlineConfig) -> None:
    learn_online(envs(), config)


def updates_of(records: Sequence[np.ndarray], config: OnlineConfig) -> Callable[[], None]:
    key = jax.random.key(0)
    obs_dims, action_dims = records[0].shape[1], records[1].shape[1]
    buffer = replay.init(CAPACITY, obs_dims, action_dims)
    buffer = buffer._replace(records=Batch(*map(jnp.asarray, records)), size=jnp.int32(CAPACITY))

    @partial(jax.jit, donate_argnums=0)
    def run(state: sac.SACState, buffer: replay.Replay, first: jax.Array) -> sac.SACState:
        def update(number: jax.Array, state: sac.SACState) -> sac.SACState:
            for_batch, for_update = jax.random.split(jax.random.fold_in(key, number))
            batch = replay.draw(buffer, buffer.records, config.batch, 0, key=for_batch)
            return sac.step(state, batch, config, key=for_update)[0]

        return jax.lax.fori_loop(first, first + config.steps, update, state)

    state = [sac.init(obs_dims, action_dims, config, key=key)]

    def turn() -> None:
        state[0] = jax.block_until_ready(run(state[0], buffer, jnp.int32(0)))

    return turn


def raced(own: Callable[[], object], other: Callable[[], object], arguments: argparse.Namespace) -> str:
    spent: tuple[list[Times], list[Times]] = [], []
    for run in (own, other):
        run()  # compile
    for _ in range(arguments.turns):
        for run, times in zip((own, other), spent, strict=True):
            started = time.perf_counter(), time.process_time()
            run()
            used = time.perf_counter() - started[0], time.process_time() - started[1]
            times.append((1e6 * used[0] / arguments.updates, 1e6 * used[1] / arguments.updates))
    cells = []
    for clock in range(2):
        columns = [[used[clock] for used in times] for times in spent]
        ratios = [theirs / mine for mine, theirs in zip(*columns, strict=True)]
        cells += [*(spread(column) for column in columns), spread(ratios, 2)]
    return " | ".join(cells)


def spread(values: Sequence[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} [{min(values):,.{digits}f}, {max(values):,.{digits}f}]"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of Stable-Baselines3's dependencies
        main()
