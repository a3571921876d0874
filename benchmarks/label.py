"""Labels inferred without labels, against the true ones: agreement and seconds.

    .venv/bin/python benchmarks/label.py [--pipeline Pipeline-high-100000-train.npz] [--seeds 0 1 2]

The logs: the gusty pendulum's four logged behaviors (1,024 episodes of 40 steps), and, where its file is given,
NeoRL-2's Pipeline (100 episodes of 1,000 steps, episode i by policy i mod 3). Each log is labeled once per seed; prints a
Markdown table. Agreement is under the best matching of the labels.
"""

import argparse
import time

from worldrex.data import CollectConfig, LabelConfig, agreement, collect, label, load
from worldrex.data.action_models import episode_bounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    logs = {"gusty pendulum": collect(CollectConfig())}
    if arguments.pipeline:
        logs["Pipeline"] = load(arguments.pipeline, behavior_cycle=3)
    print("| log | seed | behaviors found | agreement | episodes with posterior > 0.95 | seconds |")
    print("|---|---|---|---|---|---|")
    for name, data in logs.items():
        true = data.behavior[episode_bounds(data)[1][:-1]].astype(int)
        for seed in arguments.seeds:
            started = time.perf_counter()
            found = label(data, LabelConfig(seed=seed))
            seconds = time.perf_counter() - started
            cells = f"{agreement(found.behavior, true):.1%} | {found.sure.mean():.0%} | {seconds:.1f}"
            print(f"| {name} | {seed} | {found.num_behaviors} of {data.num_behaviors} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
