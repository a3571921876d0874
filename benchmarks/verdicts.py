"""How often the verdict is right: leave-one-behavior-out on many logs of the tasks with and without a gust.

    .venv/bin/python benchmarks/verdicts.py [--seeds 100 101 ... 119] [--runs runs/verdicts]

Each seed collects its own log and compares the weights as `worldrex crossval` does by default; nothing is known of the truth
or of unlogged behaviors. On gusty-pendulum the verdict should be "helps", on plain-pendulum "buys nothing". Tables
that are in --runs are read and not made again. Prints a Markdown table.
"""

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jax

from worldrex.data import CollectConfig, collect
from worldrex.evaluation import CrossvalConfig, CrossvalTable, crossval, verdict
from worldrex.runs import write_json

EXPECTED = {"gusty-pendulum": "helps", "plain-pendulum": "buys nothing"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(100, 120)))
    parser.add_argument("--runs", type=Path, default=Path("runs/verdicts"))
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 2)
    arguments.runs.mkdir(parents=True, exist_ok=True)
    print("| task | verdicts | wrong | chosen weights | gain of the candidate, share of ERM's worst error |")
    print("|---|---|---|---|---|")
    for task, expected in EXPECTED.items():
        print(row(task, expected, [compare(task, seed, arguments.runs) for seed in arguments.seeds]), flush=True)


def compare(task: str, seed: int, runs: Path) -> CrossvalTable:
    path = runs / f"{task}-{seed}.json"
    if not path.exists():
        started = time.perf_counter()
        table = crossval(collect(CollectConfig(task=task, seed=seed)), CrossvalConfig(seed=seed))
        write_json(path, table.to_json() | {"seconds": time.perf_counter() - started})
    return CrossvalTable.from_json(json.loads(path.read_text()))


def row(task: str, expected: str, tables: Sequence[CrossvalTable]) -> str:
    selections = [table.selection for table in tables]
    kinds = Counter(verdict(selection, {}).kind for selection in selections)
    weights = Counter(f"{selection.chosen:g}" for selection in selections)
    gains = [s.best.gain.value / s.erm.worst.value for s in selections if s.best is not None]
    gain = f"{statistics.median(gains):.1%} [{min(gains):.1%}, {max(gains):.1%}]"
    cells = [", ".join(f"{what} {count}" for what, count in counts.most_common()) for counts in (kinds, weights)]
    return f"| {task} | {cells[0]} | {len(tables) - kinds[expected]} of {len(tables)} | {cells[1]} | {gain} |"


if __name__ == "__main__":
    main()
