"""The models of benchmarks/gusty.py under behaviors that were written down before anyone had seen an error under them.

    .venv/bin/python benchmarks/untouched.py [--seeds 0 1 2 3 4] [--runs runs/benchmark]

The task's own unlogged behaviors were in sight while the task and the defaults were settled. These were not: they were
committed first and scored afterwards, with nothing tuned since. Prints a Markdown table of squared errors as multiples
of the noise floor, median [lowest, highest] over the seeds; and how much of each behavior's log lies outside of what was
logged: the share of its records whose nearest logged record (of standardized observation and action) is farther than
99 % of the logged records' own nearest ones. Without support no penalty can help.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
from gusty import MODELS, run, spread
from jaxtyping import Float, Float64
from scipy.spatial import KDTree

from worldrex import load, load_model, tasks
from worldrex.data import Transitions, collect_from
from worldrex.evaluation import output_scale, score
from worldrex.tasks.behaviors import Behavior, Feedback

TASK = "gusty-pendulum"


class Push:
    """A constant torque, whatever is seen."""

    def __init__(self, torque: float) -> None:
        self.torque = torque

    def __call__(self, obs: Float[np.ndarray, "env 3"]) -> Float64[np.ndarray, "env 1"]:
        return np.full((len(obs), 1), self.torque)


UNTOUCHED = (
    Behavior("leans fully", "Adds the whole gust.", Feedback(0.7, 0.2), compensation=-1.0, noise=0.3),
    Behavior("leans a little", "Firm; adds a quarter.", Feedback(1.8, 0.5), compensation=-0.25, noise=0.5),
    Behavior("pushes one way", "Constant torque.", Push(1.0), compensation=0.0, noise=0.7),
    Behavior("weak random torques", "No feedback.", Feedback(0.0, 0.0), compensation=0.0, noise=0.6),
    Behavior("swings up", "Feedback with the wrong sign.", Feedback(-0.5, -0.3), compensation=0.0, noise=0.4),
    Behavior("overcompensates", "Half more than the gust.", Feedback(0.7, 0.2), compensation=1.5, noise=0.3),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"))
    arguments = parser.parse_args()
    tables = [score_run(seed, arguments.runs) for seed in arguments.seeds]
    print(f"| x noise floor | {' | '.join(MODELS.values())} | outside the log |\n|---|{'---|' * (len(MODELS) + 1)}")
    for behavior in tables[0]:
        rows = [table[behavior] for table in tables]
        cells = [spread([row[model] / row["noise_floor"] for row in rows]) for model in MODELS]
        outside = statistics.median(row["outside"] for row in rows)
        print(f"| {behavior} | {' | '.join(cells)} | {100 * outside:.0f} % |")
    print(f"\nseeds {', '.join(map(str, arguments.seeds))}")


def score_run(seed: int, runs: Path) -> dict[str, dict[str, float]]:
    """Errors of one seed's models, by behavior."""
    run(TASK, seed, runs, quick=False)
    folder = runs / f"{TASK}-seed{seed}"
    task = tasks.task(TASK)
    data = collect_from(task, UNTOUCHED, task.steps_per_behavior, seed=seed)
    models = {name: load_model(folder / ("model" if name == "chosen" else f"models/{name}")) for name in MODELS}
    floor = tasks.noise_floor(task, data.obs, data.action, data.next_obs, data.reward)
    logged = load(folder / "data" / "logged.parquet")
    table = score(models, data, output_scale(logged), floor=floor, seed=seed)
    for number, name in enumerate(data.behavior_names):
        table[name]["outside"] = outside(data.rows(data.behavior == number), logged)
    return table


def outside(data: Transitions, logged: Transitions) -> float:
    """Share of the records that lie farther from the log than the log from itself, but for 1 % of it."""
    known = np.column_stack([logged.obs, logged.action])
    mean, std = known.mean(0), known.std(0)
    tree = KDTree((known - mean) / std)
    own = tree.query(tree.data[::10], k=2)[0][:, 1]
    distance = tree.query((np.column_stack([data.obs, data.action]) - mean) / std)[0]
    return float((distance > np.quantile(own, 0.99)).mean())


if __name__ == "__main__":
    main()
