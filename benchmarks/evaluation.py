"""What scoring costs beside the forward passes that it needs, and how long leaving behaviors out takes.

    .venv/bin/python benchmarks/evaluation.py [--parts score crossval] [--records 1000000] [--hidden 200 200 200 200] [--obs 3]

"score": a model of 7 members, all of them elites and none of them trained (the time is the same), is scored on a log of
four behaviors with episodes of 40 records: everything that `worldrex score` tells, with calibration, open-loop errors,
uncertainty and bootstrap intervals. Beside it the bare forward passes: means and standard deviations of the elites on the
same blocks of records, compiled, nothing else. They take turns in one process, behavior by behavior. Prints a Markdown
table: ratios to the bare passes, with the least and the most of the behaviors. On a machine that others use, too, the
processor's seconds (of all threads) tell more than those of the clock.

"crossval": the whole of `crossval` on gusty-pendulum with five operators, six weights and three seeds, with and without
pairs of behaviors left out, on two simulated devices, compiling included; seed 0.
"""

import argparse
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from worldrex import tasks
from worldrex.data import Transitions
from worldrex.data.collect import collect_from
from worldrex.dynamics import TrainConfig, WorldModel
from worldrex.dynamics.ensemble import init_network
from worldrex.dynamics.normalizer import Normalizer
from worldrex.evaluation import CrossvalConfig, crossval, score, score_records
from worldrex.evaluation.record_scores import BLOCK

MEMBERS, BEHAVIORS, STEPS = 7, 4, 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=["score", "crossval"], default=["score", "crossval"])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--hidden", type=int, nargs="+", default=list(TrainConfig().hidden))
    parser.add_argument("--obs", type=int, default=3)
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 2 if "crossval" in arguments.parts else 1)
    if "score" in arguments.parts:
        scoring(arguments.records, tuple(arguments.hidden), arguments.obs)
    if "crossval" in arguments.parts:
        leaving_out()


def leaving_out() -> None:
    task = tasks.task("gusty-pendulum")
    fifth = replace(task.logged[1], name="compensates fully", compensation=1.0)
    data = collect_from(task, (*task.logged, fifth), task.steps_per_behavior)
    print(
        "| behaviors | weights | seeds | pairs | seconds | of them compiling | processor seconds |\n|---|---|---|---|---|---|---|"
    )
    for pairs in (0, 10):
        started = time.perf_counter(), time.process_time()
        table = crossval(data, CrossvalConfig(weights=(0.0, 1.0, 10.0, 30.0, 100.0, 300.0), pairs=pairs))
        seconds, processor = time.perf_counter() - started[0], time.process_time() - started[1]
        print(f"| 5 | 6 | 3 | {pairs} | {seconds:.0f} | {table.compile_seconds:.0f} | {processor:.0f} |", flush=True)


def scoring(records: int, hidden: tuple[int, ...], obs: int) -> None:
    data = made_up_log(records, obs)
    model = untrained(hidden, obs)
    scale = np.ones(obs + 1)
    bare = BareForward(model)
    timed = {
        "bare forward passes": bare,
        "one pass: error, NLL, CRPS, PIT, coverage": lambda part: score_records(model, part, scale),
        "all that is told": lambda part: score({"model": model}, part, scale, diagnosed=("model",)),
    }
    parts = [data.rows(data.behavior == number) for number in range(BEHAVIORS)]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for run in timed.values():
        run(parts[0].rows(slice(0, 50 * STEPS)))  # compile
    for part in parts:
        for name, run in timed.items():
            started = time.perf_counter(), time.process_time()
            run(part)
            seconds[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    size = " x ".join(map(str, hidden))
    print(f"{len(data):,} records, {MEMBERS} members of {size} units, obs of {obs}; {jax.devices()[0]}\n")
    print("| what | seconds | ratio | processor seconds | ratio |\n|---|---|---|---|---|")
    bare_seconds = np.array(seconds["bare forward passes"])
    for name, values in seconds.items():
        each = np.array(values)
        ratios, ratio = each / bare_seconds, each.sum(0) / bare_seconds.sum(0)
        cells = [
            f"{each[:, kind].sum():.1f} | {ratio[kind]:.2f} [{ratios[:, kind].min():.2f}, {ratios[:, kind].max():.2f}]"
            for kind in range(2)
        ]
        print(f"| {name} | {' | '.join(cells)} |")


class BareForward:
    """Mean and standard deviation of each elite on each block."""

    def __init__(self, model: WorldModel) -> None:
        self.networks = jax.tree.map(jnp.asarray, (model.networks, model.normalizer))

        def told(arrays: tuple, obs: jax.Array, action: jax.Array) -> tuple[jax.Array, ...]:
            networks, normalizer = arrays
            prediction = model._replace(networks=networks, normalizer=normalizer).predict(obs, action)
            return prediction[4:8]  # of the members

        self.told = jax.jit(told)

    def __call__(self, data: Transitions) -> None:
        last = None
        for start in range(0, len(data), BLOCK):
            rows = np.minimum(np.arange(start, start + BLOCK), len(data) - 1)
            last = self.told(self.networks, data.obs[rows], data.action[rows])
        jax.block_until_ready(last)


def untrained(hidden: tuple[int, ...], obs: int) -> WorldModel:
    keys = jax.random.split(jax.random.key(0), MEMBERS)
    networks = jax.vmap(lambda key: init_network(obs + 1, obs + 1, hidden, key=key))(keys)
    units = np.zeros(obs + 1, np.float32), np.ones(obs + 1, np.float32)
    return WorldModel(networks, Normalizer(*units, *units), np.arange(MEMBERS), obs, (), {})


def made_up_log(records: int, obs: int) -> Transitions:
    rng = np.random.default_rng(0)
    records -= records % (BEHAVIORS * STEPS)
    row = np.arange(records)
    states, after = rng.normal(size=(2, records, obs)).astype(np.float32)
    return Transitions(
        obs=states, action=rng.normal(size=(records, 1)).astype(np.float32), next_obs=after,
        reward=rng.normal(size=records).astype(np.float32), terminated=np.zeros(records, bool),
        truncated=row % STEPS == STEPS - 1, episode=(row // STEPS).astype(np.int32),
        behavior=(row * BEHAVIORS // records).astype(np.int32), behavior_names=("a", "b", "c", "d"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
