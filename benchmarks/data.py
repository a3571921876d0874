"""Speed and memory of what the data room does with large logs, as Markdown.

    .venv/bin/python benchmarks/data.py describe [--rows 10000000] [--columns 40] [--rounds 3]

`describe`: a log of so many rows and columns is generated in memory (obs, action, reward, next_obs, terminated, truncated,
episode, behavior; four behaviors that take turns, episodes of 1,000 steps), once exact and once with next_obs rounded, so
that each step must be compared with a tolerance. Statistics, returns and all checks are timed together, in one thread, the
median of the rounds. Memory is what the process held at most during it, less what it held before, the log included.
"""

import argparse
import dataclasses
import statistics
import time
from pathlib import Path

import numpy as np

from worldrex.data import Transitions, describe

ACTIONS = 3
SINGLE = 5  # reward, terminated, truncated, episode, behavior
STEPS = 1000
BEHAVIORS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["describe"])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    data = log(arguments.rows, arguments.columns)
    describe(data.rows(slice(0, 10_000)))  # imports and first calls
    print("| log | rows | columns | rows/s | memory beside the log |\n|---|---|---|---|---|")
    for kind in ("exact", "rounded"):
        if kind == "rounded":
            inside = ~data.truncated
            data.next_obs[inside] += np.float32(1e-6)
        seconds, memory = [], []
        for _ in range(arguments.rounds):
            before = forget_peak()
            started = time.perf_counter()
            found = describe(data).findings
            seconds.append(time.perf_counter() - started)
            memory.append(status("VmHWM") - before)
            assert not found, found
        speed = arguments.rows / statistics.median(seconds)
        held = f"{max(memory) / 1e6:.0f} MB"
        print(f"| {kind} | {arguments.rows:,} | {arguments.columns} | {speed:,.0f} | {held} |", flush=True)


def log(rows: int, columns: int) -> Transitions:
    """Random numbers that continue within the episodes."""
    width = (columns - ACTIONS - SINGLE) // 2
    rng = np.random.default_rng(0)
    obs = rng.standard_normal((rows + 1, width), np.float32)
    place = np.arange(rows) % STEPS
    episode = (np.arange(rows) // STEPS).astype(np.int32)
    data = Transitions(
        obs=obs[:-1],
        action=rng.standard_normal((rows, columns - SINGLE - 2 * width), np.float32),
        reward=rng.standard_normal(rows, np.float32),
        next_obs=obs[1:].copy(),
        terminated=np.zeros(rows, bool),
        truncated=place == STEPS - 1,
        episode=episode,
        behavior=episode % BEHAVIORS,
        behavior_names=tuple(f"behavior {i}" for i in range(BEHAVIORS)),
    )
    data.truncated[-1] = True
    for field in dataclasses.fields(Transitions):  # as a log in a file is
        if field.name not in ("behavior_names", "next_obs"):
            getattr(data, field.name).flags.writeable = False
    return data


def forget_peak() -> int:
    """Bytes that this process holds now; the peak counts from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(name: str) -> int:
    """Bytes, from what Linux says about this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
