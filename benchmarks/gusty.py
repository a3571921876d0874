"""The main job over several seeds, with and without the gust: what the penalty buys under behaviors that nobody logged.

    .venv/bin/python benchmarks/gusty.py [--seeds 0 1 2 3 4] [--runs runs/benchmark] [--quick]

Each seed is a whole `worldrex run` in a process of its own, into a run folder under --runs; folders that are finished are
read and not run again. Prints Markdown tables: median [lowest, highest] over the seeds.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODELS = {"erm": "ERM", "chosen": "chosen", "plain": "plain penalty, same weight"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    for task in ("gusty-pendulum", "plain-pendulum"):
        summaries = [run(task, seed, arguments.runs, quick=arguments.quick) for seed in arguments.seeds]
        print(f"\n## {task}, seeds {', '.join(map(str, arguments.seeds))}\n")
        print(table(summaries, relative=task == "gusty-pendulum"))


def run(task: str, seed: int, runs: Path, *, quick: bool) -> dict[str, Any]:
    folder = runs / f"{task}{'-quick' if quick else ''}-seed{seed}"
    measured = folder / "process.json"
    if not measured.exists():
        command = [
            Path(sys.executable).with_name("worldrex"),
            "run",
            "--task",
            task,
            "--seed",
            str(seed),
            "--out",
            folder,
        ]
        started = time.perf_counter()
        subprocess.run([*command, *(["--quick"] if quick else [])], check=True, stdout=sys.stderr)
        # The largest of all children so far: exact for the first run, an upper bound after it.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        measured.write_text(json.dumps({"wall_seconds": time.perf_counter() - started, "peak_gib_at_most": peak}))
    return json.loads((folder / "summary.json").read_text()) | json.loads(measured.read_text())


def table(summaries: list[dict[str, Any]], *, relative: bool) -> str:
    unit = "x noise floor" if relative else "normalized squared error"
    lines = [f"| {unit} | {' | '.join(MODELS.values())} |", "|---|" + "---|" * len(MODELS)]
    for behavior in summaries[0]["unlogged"]:
        entries = [summary["unlogged"][behavior] for summary in summaries]
        cells = [spread([entry[m] / (entry["noise_floor"] if relative else 1) for entry in entries]) for m in MODELS]
        lines.append(f"| {behavior} | {' | '.join(cells)} |")
    truth = summaries[0]["slope"]["truth"]
    slopes = [spread([summary["slope"][m] for summary in summaries]) for m in MODELS]
    lines.append(f"| slope of ω in torque (true {truth:.3f}) | {' | '.join(slopes)} |")
    lines.append("")
    lines.append(f"- chosen weights: {', '.join(format(s['chosen']['weight'], 'g') for s in summaries)}")
    lines.append(f"- verdicts: {', '.join(s['verdict']['kind'] for s in summaries)}")
    if not relative:
        gaps = [s["unlogged"][b]["chosen"] / s["unlogged"][b]["erm"] - 1 for s in summaries for b in s["unlogged"]]
        lines.append(
            f"- chosen over ERM, largest difference under any behavior and seed: {100 * max(map(abs, gaps)):.2f} %"
        )
    lines.append(f"- wall seconds of `worldrex run`: {spread([s['wall_seconds'] for s in summaries], 0)}")
    compiling = [sum(s["compile_seconds"].values()) for s in summaries]
    lines.append(f"- compiling, seconds: {spread(compiling, 1)}")
    lines.append(f"- peak memory, GiB, at most: {max(s['peak_gib_at_most'] for s in summaries):.2f}")
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int | None = None) -> str:
    def show(value: float) -> str:
        return f"{value:.3g}" if digits is None else f"{value:.{digits}f}"

    return f"{show(statistics.median(values))} [{show(min(values))}, {show(max(values))}]"


if __name__ == "__main__":
    main()
