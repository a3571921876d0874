"""The trainer's speed and memory, as ratios measured side by side in one run.

    .venv/bin/python benchmarks/dynamics.py [--parts step fit sweep memory] [--rounds 15]

step: a training step of the default ensemble against one large matrix product of as many operations.
fit: a whole `fit` against the same training as PyTorch libraries of the field write it (eager, batched products, an index
table for each epoch, held-out evaluation after each), on two threads and on one; needs `pip install torch==2.13.0`.
sweep: 24 small runs as one program against 24 fits one after the other, compiling included.
memory: the peak while fitting 1,000,000 transitions, beyond the data.
Prints Markdown: median [lowest, highest] over the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

PARTS = ("step", "fit", "sweep", "memory")
OBS, ACT, BATCH, MEMBERS, WIDTH, DEPTH = 17, 6, 256, 7, 200, 4
EPOCHS, RECORDS = 25, 40_000  # 3,516 steps: half as many as `fit` takes by default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--alone", choices=(*PARTS, "torch"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(ALONE[arguments.alone](arguments.rounds)))
        return
    for part in arguments.parts:
        print(f"\n## {part}\n\n{SHOWN[part](arguments.rounds)}", flush=True)


def measure(what: str, rounds: int, *, cores: int | None = None) -> dict[str, Any]:
    """One part in a process of its own, on so many cores."""
    cores = cores or len(os.sched_getaffinity(0))
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(cores), "OMP_NUM_THREADS": str(cores)}
    command = [sys.executable, __file__, "--alone", what, "--rounds", str(rounds)]
    if cores < len(os.sched_getaffinity(0)):
        command = ["taskset", "-c", ",".join(map(str, range(cores))), *command]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def log(records: int, *, episode: int = 100) -> Any:
    import numpy as np

    from worldrex.data import from_columns

    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    number = np.arange(records)
    states = np.empty((records // episode, episode + 1, OBS), np.float32)
    states[:, 0] = normal(len(states), OBS)
    for place in range(episode):
        states[:, place + 1] = 0.9 * states[:, place] + 0.4 * normal(len(states), OBS)
    obs, next_obs = (np.ascontiguousarray(part.reshape(-1, OBS)) for part in (states[:, :-1], states[:, 1:]))
    columns = {
        "obs": obs, "action": normal(records, ACT), "reward": normal(records), "next_obs": next_obs,
        "truncated": number % episode == episode - 1, "episode": number // episode,
        "behavior": np.array(list("abcd"))[number * 4 // records],
    }  # fmt: skip
    return from_columns(columns, source="made up", unlabeled="a")


def step_alone(rounds: int) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.sharding import NamedSharding
    from jax.sharding import PartitionSpec as P

    from worldrex.dynamics import Run, TrainConfig, layout
    from worldrex.dynamics.programs import NETWORK_AXIS, compile_programs

    data = log(20_000)
    config = TrainConfig(hidden=(WIDTH,) * DEPTH, batch=BATCH, warmup_steps=0, steps=10**6)

    def stepper(penalty: Any) -> tuple[Callable[[], None], float]:
        mesh = layout.mesh_of(1)
        tables, held = layout.tables_of(data, [None, None], config)
        assignments = layout.assignments_of(
            [Run(penalty, 10.0)], [()], [(penalty, True)], config, mesh.shape[NETWORK_AXIS]
        )
        place = NamedSharding(mesh, P(NETWORK_AXIS))
        tables, held = jax.device_put((tables, held), NamedSharding(mesh, P()))
        assignments = jax.device_put(assignments, place)
        started = time.perf_counter()
        programs = compile_programs(mesh, tables, tables, held, assignments, config, ((penalty, True),), 1)
        compiling = time.perf_counter() - started
        order, active = layout.line_up(np.ones(assignments.fold.shape[0], bool), mesh, place)
        state = {"networks": programs.begin(tables, assignments)}

        def advance() -> None:
            state["networks"], info = programs.advance(
                state["networks"], tables, assignments, order, active, jnp.int32(0), jnp.int32(10)
            )
            jax.block_until_ready(info)

        return advance, compiling

    widths = [OBS + ACT, *[WIDTH] * DEPTH]
    products = sum(a * b for a, b in pairwise(widths)) + 2 * WIDTH * (OBS + 1)
    operations = 3 * 2 * BATCH * MEMBERS * products
    side = round((operations / 2) ** (1 / 3))
    matrix = jax.random.normal(jax.random.key(0), (side, side))
    product = jax.jit(lambda x: x @ x)
    penalized, compiling = stepper("variance")
    plain, _ = stepper("none")

    def multiply() -> None:
        for _ in range(10):
            product(matrix).block_until_ready()

    kinds = {"product": multiply, "penalized": penalized, "plain": plain}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds + 1):
        for name, run in kinds.items():
            started = time.perf_counter()
            run()
            if number:
                seconds[name].append((time.perf_counter() - started) / 10)
    return {"seconds": seconds, "operations": operations, "compiling": compiling}


def step_shown(rounds: int) -> str:
    found = measure("step", rounds)
    seconds = found["seconds"]
    of_product = [a / b for a, b in zip(seconds["penalized"], seconds["product"], strict=True)]
    of_plain = [a / b - 1 for a, b in zip(seconds["penalized"], seconds["plain"], strict=True)]
    return "\n".join(
        [
            f"{MEMBERS} members, {DEPTH} x {WIDTH}, batch {BATCH}: {found['operations'] / 1e9:.2f} GFLOP a step",
            "",
            "| | ms |",
            "|---|---|",
            *[f"| {name} | {spread([1e3 * x for x in values])} |" for name, values in seconds.items()],
            "",
            f"- a step over the product: {spread(of_product)}",
            f"- the penalty adds: {100 * statistics.median(of_plain):.1f} %",
            f"- compiling: {found['compiling']:.1f} s",
        ]
    )


def fit_alone(rounds: int) -> dict[str, Any]:
    from worldrex.dynamics import FitConfig, fit

    steps = EPOCHS * (RECORDS * 9 // 10) // BATCH
    config = FitConfig(
        loss="nll", hidden=(WIDTH,) * DEPTH, batch=BATCH, warmup_steps=steps // 2, steps=steps - steps // 2
    )
    data = log(RECORDS)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        fit(data, config)
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "steps": steps}


def torch_alone(rounds: int) -> dict[str, Any]:
    import numpy as np
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    data = log(RECORDS)
    inputs = torch.tensor(np.concatenate([data.obs, data.action], 1))
    targets = torch.tensor(np.concatenate([data.next_obs - data.obs, data.reward[:, None]], 1))
    train = RECORDS * 9 // 10
    mean, std = inputs[:train].mean(0), inputs[:train].std(0)
    widths = [OBS + ACT, *[WIDTH] * DEPTH, 2 * (OBS + 1)]

    def fit() -> None:
        weights = [torch.randn(MEMBERS, a, b) / a**0.5 for a, b in pairwise(widths)]
        biases = [torch.zeros(MEMBERS, 1, b) for b in widths[1:]]
        high, low = torch.full((OBS + 1,), 0.5), torch.full((OBS + 1,), -10.0)
        parameters = [x.requires_grad_() for x in (*weights, *biases, high, low)]
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=5e-5)
        soft = torch.nn.functional.softplus

        def losses(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            h = (x - mean) / std
            for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                h = torch.baddbmm(bias, h, weight)
                h = torch.nn.functional.silu(h) if number < DEPTH else h
            mu, log_var = h.chunk(2, -1)
            log_var = high - soft(high - log_var)
            log_var = low + soft(log_var - low)
            return ((mu - y) ** 2 * torch.exp(-log_var) + log_var).mean((1, 2))

        rng = np.random.default_rng(0)
        for _ in range(EPOCHS):
            table = np.stack([rng.permutation(train) for _ in range(MEMBERS)])
            for start in range(0, train - BATCH + 1, BATCH):
                rows = torch.from_numpy(table[:, start : start + BATCH])
                optimizer.zero_grad()
                (losses(inputs[rows], targets[rows]).sum() + 0.01 * (high - low).sum()).backward()
                optimizer.step()
            with torch.no_grad():
                losses(inputs[train:].expand(MEMBERS, -1, -1), targets[train:])

    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        fit()
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds}


def fit_shown(rounds: int) -> str:
    rounds = max(rounds // 15, 1)
    lines = ["| cores | worldrex `fit`, s, compiling included | eager PyTorch, s | ratio |", "|---|---|---|---|"]
    for cores in (2, 1):
        ours, theirs = measure("fit", rounds, cores=cores), measure("torch", rounds, cores=cores)
        if "missing" in theirs:
            return f"PyTorch is missing: {theirs['missing']}"
        ratio = statistics.median(theirs["seconds"]) / statistics.median(ours["seconds"])
        lines.append(f"| {cores} | {spread(ours['seconds'])} | {spread(theirs['seconds'])} | {ratio:.2f} |")
    return "\n".join(lines)


def sweep_alone(rounds: int) -> dict[str, Any]:
    del rounds
    import jax

    from worldrex.dynamics import Run, TrainConfig, train

    config = TrainConfig(members=5, hidden=(64, 64), batch=BATCH, warmup_steps=500, steps=1500)
    runs = [Run("variance", weight, True, (), seed) for weight in (0.0, 1.0, 10.0, 100.0) for seed in range(6)]
    data = log(RECORDS)
    started = time.perf_counter()
    train(data, runs, config)
    together = time.perf_counter() - started
    jax.clear_caches()
    started = time.perf_counter()
    for run in runs[:6]:
        train(data, [run], config)
    return {"together": together, "six apart": time.perf_counter() - started}


def sweep_shown(rounds: int) -> str:
    found = measure("sweep", rounds)
    apart = 4 * found["six apart"]
    return (
        f"24 runs of 5 members, 2 x 64: {found['together']:.1f} s as one program, {apart:.0f} s one after the other (four times "
        f"six, each compiled anew as a process of its own would): {apart / found['together']:.1f} x"
    )


def memory_alone(rounds: int) -> dict[str, Any]:
    del rounds
    import resource

    from worldrex.dynamics import FitConfig, fit

    data = log(1_000_000, episode=1000)
    size = sum(getattr(data, name).nbytes for name in ("obs", "action", "reward", "next_obs"))
    fit(data, FitConfig(warmup_steps=50, steps=100, hidden=(WIDTH,) * DEPTH, batch=BATCH))
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "data": size}


def memory_shown(rounds: int) -> str:
    found = measure("memory", rounds)
    allowed = 3 * found["data"] + 500e6
    return (
        f"1,000,000 transitions of {OBS} + {ACT} dimensions are {found['data'] / 1e6:.0f} MB; peak {found['peak'] / 1e6:.0f} MB, "
        f"{found['peak'] / allowed:.2f} of 3 x data + 500 MB"
    )


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


ALONE = {"step": step_alone, "fit": fit_alone, "torch": torch_alone, "sweep": sweep_alone, "memory": memory_alone}
SHOWN = {"step": step_shown, "fit": fit_shown, "sweep": sweep_shown, "memory": memory_shown}

if __name__ == "__main__":
    main()
