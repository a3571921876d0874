"""Training on a log that lies on disk: memory and throughput against the same training on a log in memory.

    .venv/bin/python benchmarks/beyond_memory.py [--records 100000000] [--steps 400] [--folder /tmp/beyond]

Makes a log of so many transitions (17 + 6 dimensions, 174 bytes each) with `write_mapped`, and trains the default ensemble
on it; then the same on its first million records in memory. Prints Markdown: the most memory that the process had (its own
and that of the file's pages it looked at), and training steps a second after the first report. Leaves nothing behind.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OBS, ACT, EPISODE, CHUNK = 17, 6, 1000, 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000_000)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/beyond"))
    parser.add_argument("--alone", choices=("disk", "memory"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(train(arguments.folder / "log", arguments.steps, arguments.alone)))
        return
    from worldrex.data import write_mapped

    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        started = time.perf_counter()
        write_mapped(chunks(arguments.records), arguments.folder / "log")
        size = sum(path.stat().st_size for path in (arguments.folder / "log").iterdir())
        wrote = time.perf_counter() - started
        print(
            f"{arguments.records:,} transitions, {size / 1e9:.1f} GB, made and written in {wrote:.0f} s\n", flush=True
        )
        print("| log | records | peak memory, GB | before the first step, s | steps/s |\n|---|---|---|---|---|")
        for alone in ("disk", "memory") * 2:
            found = in_process(alone, arguments)
            print(
                f"| {alone} | {found['records']:,} | {found['peak'] / 1e9:.2f} | {found['before']:.0f} | {found['rate']:.1f} |",
                flush=True,
            )
    finally:
        shutil.rmtree(arguments.folder)


def in_process(alone: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [
        sys.executable,
        __file__,
        "--alone",
        alone,
        "--folder",
        str(arguments.folder),
        "--steps",
        str(arguments.steps),
    ]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(len(os.sched_getaffinity(0)))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def chunks(records: int) -> Iterator[Any]:
    """A stable linear system with noise under four behaviors, in parts."""
    import numpy as np

    from worldrex.data import from_columns

    for number in range(-(-records // CHUNK)):
        rng = np.random.default_rng(number)
        count = min(CHUNK, records - number * CHUNK)
        episodes = -(-count // EPISODE)
        states = np.empty((episodes, EPISODE + 1, OBS), np.float32)
        states[:, 0] = rng.standard_normal((episodes, OBS), np.float32)
        noise = rng.standard_normal((episodes, EPISODE, OBS), np.float32)
        for step in range(EPISODE):
            states[:, step + 1] = 0.9 * states[:, step] + 0.4 * noise[:, step]
        place = np.arange(count)
        yield from_columns(
            {
                "obs": states[:, :-1].reshape(-1, OBS)[:count], "next_obs": states[:, 1:].reshape(-1, OBS)[:count],
                "action": rng.standard_normal((count, ACT), np.float32), "reward": rng.standard_normal(count, np.float32),
                "truncated": (place % EPISODE == EPISODE - 1) | (place == count - 1), "episode": place // EPISODE,
                "behavior": np.array(list("abcd"))[place // EPISODE % 4],
            },
            source="made up", unlabeled="a",
        )  # fmt: skip


def train(path: Path, steps: int, where: str) -> dict[str, Any]:
    from worldrex import dynamics
    from worldrex.data import Transitions, load

    data = load(path)
    if where == "memory":
        first = data.rows(slice(0, CHUNK))
        data = Transitions(**{name: x.copy() if hasattr(x, "copy") else x for name, x in vars(first).items()})
    times: list[float] = []
    started = time.perf_counter()

    def tick(step: int, total: int) -> None:
        del step, total
        times.append(time.perf_counter())

    dynamics.fit(data, dynamics.FitConfig(warmup_steps=100, steps=steps), tick=tick)
    # The first stretch holds what is done once; the last one the evaluation of its end.
    rate = 100 * (len(times) - 2) / (times[-2] - times[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"records": len(data), "peak": peak, "before": times[0] - started, "rate": rate}


if __name__ == "__main__":
    main()
