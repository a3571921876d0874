"""Time and memory of the group penalties beside the usual ways of computing them; value and gradient, as Markdown.

.venv/bin/python benchmarks/risk.py [--quick]    # minutes; PyTorch and TensorFlow where installed; 2 threads each

Each table's entries take turns, one call each, round after round, so that what else the machine does hits all alike.
A time is the median over the rounds, with the first and third quartiles; a ratio is the median of the rounds' ratios.
Memory is what the entry's process held at most, less what it held before the first call.
"""

import argparse
import importlib
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

THREADS = 2
# Read by the frameworks when they are imported.
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from worldrex import risk  # noqa: E402

WEIGHT = 10.0
Call = Callable[[], object]
SIZES = (1_000, 10_000, 100_000, 1_000_000)


def optional(name: str) -> Any:
    """A framework, with as many threads as the others; None where it is not installed."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed: its rows are left out.\n")
        return None
    if name == "torch":
        module.set_num_threads(THREADS)
    if name == "tensorflow":
        module.config.threading.set_intra_op_parallelism_threads(THREADS)
        module.config.threading.set_inter_op_parallelism_threads(THREADS)
    return module


def batch(rows: int, records: int, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Losses and groups, each `[rows, records]`, or `[records]` for one row; the groups at random."""
    rng = np.random.default_rng(0)
    shape = (rows, records) if rows > 1 else (records,)
    return rng.chisquare(1, shape).astype(np.float32), rng.integers(0, groups, shape)


def ours(losses: Any, groups: Any, num_groups: int, debiased: bool) -> Any:
    return risk.objective(risk.group_moments(losses, groups, num_groups), weight=WEIGHT, debiased=debiased)


def with_jax(losses: np.ndarray, groups: np.ndarray, num_groups: int, debiased: bool = False) -> Call:
    x, ids = jnp.asarray(losses), jnp.asarray(groups, jnp.int32)
    f = jax.jit(jax.value_and_grad(lambda x, ids: ours(x, ids, num_groups, debiased).sum()))
    return lambda: jax.block_until_ready(f(x, ids))


def with_torch(torch: Any, losses: np.ndarray, groups: np.ndarray, num_groups: int, debiased: bool = False) -> Call:
    x, ids = torch.tensor(losses, requires_grad=True), torch.tensor(groups)
    return lambda: torch.autograd.grad(ours(x, ids, num_groups, debiased).sum(), x)


def with_tensorflow(tf: Any, losses: np.ndarray, groups: np.ndarray, num_groups: int, debiased: bool = False) -> Call:
    x, ids = tf.constant(losses), tf.constant(groups, tf.int32)
    return tensorflow_call(tf, lambda x, ids: ours(x, ids, num_groups, debiased), x, ids, compiled=True)


def tensorflow_call(tf: Any, objective: Callable[..., Any], x: Any, ids: Any, *, compiled: bool) -> Call:
    def value_and_grad(x: Any, ids: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(objective(x, ids))
        return value, tape.gradient(value, x)

    f = tf.function(value_and_grad) if compiled else value_and_grad
    return lambda: [part.numpy() for part in f(x, ids)]


def notebook(tf: Any, losses: np.ndarray, groups: np.ndarray, *, compiled: bool) -> Call:
    """The first form of this code, as its notebook has it: one-hot, matmul, divide_no_nan; map_fn with boolean_mask."""

    def determine_var(x: Any) -> Any:
        batch_pol_losses, batch_pol_counts = x[0, :], x[1, :]
        return tf.math.reduce_variance(tf.boolean_mask(batch_pol_losses, batch_pol_counts > 0.0))

    def objective(obs_losses: Any, policies: Any) -> Any:
        unique_pols = tf.unique(tf.reshape(policies, [-1])).y
        pol_one_hot = tf.squeeze(tf.one_hot(policies, tf.reduce_max(unique_pols + 1), axis=-1), axis=-2)
        pol_mean_sum = tf.squeeze(tf.matmul(tf.transpose(pol_one_hot, [0, 2, 1]), obs_losses), axis=-1)
        pol_count = tf.reduce_sum(pol_one_hot, axis=-2)
        policy_losses = tf.math.divide_no_nan(pol_mean_sum, pol_count)
        policy_total_losses = tf.reduce_sum(policy_losses, axis=-1)
        policy_var_losses = tf.map_fn(determine_var, tf.stack((policy_losses, pol_count), axis=-2))
        return policy_total_losses + WEIGHT * policy_var_losses

    x, ids = tf.constant(losses[..., None]), tf.constant(groups[..., None], tf.int32)
    return tensorflow_call(tf, objective, x, ids, compiled=compiled)


def loop(torch: Any, losses: np.ndarray, num_groups: int, *, stack: bool) -> Call:
    """A loop over groups whose records lie side by side, as DomainBed's V-REx has it; `stack` is a little quicker."""
    x = torch.tensor(losses, requires_grad=True)
    each = len(losses) // num_groups

    def value_and_grad() -> Any:
        if stack:
            risks = torch.stack([part.mean() for part in x.split(each)])
        else:
            risks, start = torch.zeros(num_groups), 0
            for group in range(num_groups):
                risks[group] = x[start : start + each].mean()
                start += each
        mean = risks.mean()
        return torch.autograd.grad(mean + WEIGHT * ((risks - mean) ** 2).mean(), x)

    return value_and_grad


def measure(calls: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call in each round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(2):
            call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def shown(times: list[float]) -> str:
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def ratio(over: list[float], under: list[float]) -> str:
    return f"{statistics.median(a / b for a, b in zip(over, under, strict=True)):.3g}"


def table(title: str, times: dict[str, list[float]], references: dict[str, str], note: str = "") -> None:
    """Print each entry's time, and how many times as long each reference takes; `references`: name to column."""
    references = {name: column for name, column in references.items() if name in times}
    print(f"### {title}\n{chr(10) + note + chr(10) if note else ''}")
    print("| | ms, median [quartiles] | " + "".join(f"{column} | " for column in references.values()).rstrip())
    print("|---|---|" + "---|" * len(references))
    for name, own in times.items():
        print(f"| {name} | {shown(own)} | " + "".join(f"{ratio(times[r], own)} | " for r in references).rstrip())
    print(flush=True)


def held() -> dict[str, float]:
    """MB of this process now and at most."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    sizes = {words[0]: int(words[1]) / 1e3 for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    return {"now": sizes["VmRSS:"], "most": sizes.get("VmHWM:", float("nan"))}


def scaled(framework: str, size: int, rounds: int, debiased: bool, answer: Any) -> None:
    """In a process of its own: milliseconds, and MB beyond the inputs, of `size` records in `size` groups."""
    losses, groups = batch(1, size, size)
    if framework == "JAX":
        call = with_jax(losses, groups, size, debiased)
    elif framework == "PyTorch":
        call = with_torch(optional("torch"), losses, groups, size, debiased)
    else:
        call = with_tensorflow(optional("tensorflow"), losses, groups, size, debiased)
    # What a first call loads and compiles is no memory of the arrays: small ones go first.
    small = batch(1, 100, 100)
    with_jax(*small, 100, debiased)() if framework == "JAX" else None
    before = held()["now"]
    times = measure({framework: call}, rounds)[framework]
    answer.put((times, held()["most"] - before))


def scale(frameworks: list[str], rounds: int) -> None:
    print("### As many groups as records\n")
    print("Slope: that of log time, or log memory, against log size, from 100,000 on; 1 is linear.\n")
    print("| | records = groups | ms, median [quartiles] | MB beyond inputs | bytes a record |\n|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    for framework in frameworks:
        for debiased in (False, True):
            seen = []
            for size in SIZES:
                answer = context.Queue()
                process = context.Process(target=scaled, args=(framework, size, rounds, debiased, answer))
                process.start()
                times, memory = answer.get()
                process.join()
                seen.append((size, statistics.median(times), memory))
                kind = "debiased" if debiased else "plain"
                print(
                    f"| {framework}, {kind} | {size:,} | {shown(times)} | {memory:.0f} | {1e6 * memory / size:.0f} |",
                    flush=True,
                )
            (small, quick, little), (large, slow, much) = seen[-2:]
            decades = math.log(large / small)
            print(
                f"| **slope** | | **{math.log(slow / quick) / decades:.2f}** | "
                f"**{math.log(max(much, 1e-3) / max(little, 1e-3)) / decades:.2f}** | |",
                flush=True,
            )
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs")
    quick = parser.parse_args().quick
    print(f"JAX {jax.__version__}, {THREADS} threads, {os.cpu_count()} cores\n")
    torch, tf = optional("torch"), optional("tensorflow")

    for num_groups, rounds in ((5, 60), (4096, 7)):
        rounds = 3 if quick else rounds
        losses, groups = batch(7, 4096, num_groups)
        calls = {"JAX": with_jax(losses, groups, num_groups)}
        calls["JAX, debiased"] = with_jax(losses, groups, num_groups, debiased=True)
        if tf:
            calls["TensorFlow"] = with_tensorflow(tf, losses, groups, num_groups)
        if torch:
            calls["PyTorch"] = with_torch(torch, losses, groups, num_groups)
        if tf:
            calls["the notebook's, in tf.function"] = notebook(tf, losses, groups, compiled=True)
            calls["the notebook's, as it ran"] = notebook(tf, losses, groups, compiled=False)
        references = {"the notebook's, in tf.function": "times quicker than the notebook's in tf.function"}
        references["the notebook's, as it ran"] = "than the notebook's as it ran"
        table(f"7 models, 4,096 records each, {num_groups:,} groups", measure(calls, rounds), references)

    for num_groups in (3, 10, 100) if torch else ():
        losses, groups = batch(1, 256 * num_groups, num_groups)
        groups = np.sort(np.arange(len(losses)) % num_groups)
        calls = {
            "PyTorch": with_torch(torch, losses, groups, num_groups),
            "PyTorch, debiased": with_torch(torch, losses, groups, num_groups, debiased=True),
            "JAX": with_jax(losses, groups, num_groups),
            "loop, as in DomainBed": loop(torch, losses, num_groups, stack=False),
            "loop, stacked": loop(torch, losses, num_groups, stack=True),
        }
        references = {
            "loop, as in DomainBed": "times quicker than DomainBed's loop",
            "loop, stacked": "than the stacked loop",
        }
        table(f"256 records in each of {num_groups} groups", measure(calls, 5 if quick else 200), references)

    frameworks = ["JAX"] + ["PyTorch"] * bool(torch) + ["TensorFlow"] * bool(tf)
    for rows, records, num_groups in ((7, 256, 4), (7, 4096, 100), (1, 100_000, 1000), (1, 1_000_000, 1_000_000)):
        data = batch(rows, records, num_groups)
        makers: dict[str, Callable[..., Call]] = {"JAX": with_jax}
        if torch:
            makers["PyTorch"] = lambda *args, **options: with_torch(torch, *args, **options)
        calls = {}
        for name, make in makers.items():
            calls[name + ", plain"] = make(*data, num_groups)
            calls[name + ", debiased"] = make(*data, num_groups, debiased=True)
        times = measure(calls, 3 if quick else (9 if records > 100_000 else 60))
        print(f"### What debiasing costs: {rows} x {records:,} records, {num_groups:,} groups\n")
        print("| | plain, ms | debiased, ms | debiased / plain |\n|---|---|---|---|")
        for name in makers:
            plain, debiased = times[name + ", plain"], times[name + ", debiased"]
            print(f"| {name} | {shown(plain)} | {shown(debiased)} | {ratio(debiased, plain)} |")
        print(flush=True)

    scale(frameworks, 3 if quick else 11)


if __name__ == "__main__":
    main()
