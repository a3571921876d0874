"""Penalties on mini-batches, of the batch's own risks and of risks that are tracked over the batches.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/tracking.py --task gusty-pendulum --batches 64 256 --decays 0 0.9 0.97 0.99

Of each penalty one network of 2 x 64 (1,000 + 4,000 steps) is trained for each batch size, decay (`tracking`; 0: the batch
alone) and seed on a log of 10,000 records of each behavior (seed 0), and scored under fresh records of those that nobody logged.
Prints a Markdown table: the squared error as a multiple of the noise floor, the worst of these behaviors or that --under one of
them, mean over the seeds [lowest, highest].
"""

import argparse
import sys
from dataclasses import replace

from policy_shift import CONFIG, Records, floor_of, ratios
from policy_shift_tables import across

from worldrex import tasks
from worldrex.dynamics import Run, fit_runs

PENALTIES = (
    ("V-REx, debiased", "variance", 100.0, True),
    ("V-REx, plain", "variance", 100.0, False),
    ("standard deviation", "std", 10.0, True),
    ("mean absolute deviation", "mad", 10.0, True),
    ("MM-REx (worst)", "worst", 10.0, True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tasks.names(), default="gusty-pendulum")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--test-records", type=int, default=2000)
    parser.add_argument("--batches", type=int, nargs="+", default=[256])
    parser.add_argument("--decays", type=float, nargs="+", default=[0.0, 0.97])
    parser.add_argument("--under", default="worst")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    seeds, decays = arguments.seeds, arguments.decays
    records = Records(tasks.task(arguments.task), arguments.records, arguments.test_records)
    test = records.tests["unlogged"]
    if arguments.under not in ("worst", *test.behavior_names):
        sys.exit(f"--under is {arguments.under!r}; give worst, or one of {', '.join(map(repr, test.behavior_names))}.")
    floor = floor_of(records.task, test, records.scale)
    print(f"**{arguments.task}**, {arguments.under}, seeds {', '.join(map(str, seeds))}\n")
    print(
        f"| batch | penalty | weight | {' | '.join(f'{decay:g}' if decay else 'the batch alone' for decay in decays)} |"
    )
    print(f"|---|---|---|{'---|' * len(decays)}", flush=True)
    runs = [Run(name, weight, debiased, (), seed) for _, name, weight, debiased in PENALTIES for seed in seeds]  # type: ignore[arg-type]
    for batch in arguments.batches:
        cells: list[list[str]] = [[] for _ in PENALTIES]
        for decay in decays:
            models, _ = fit_runs(records.log, runs, replace(CONFIG, batch=batch, tracking=decay))
            told = ratios(models, test, records.scale, floor)
            errors = told.max(1) if arguments.under == "worst" else told[:, test.behavior_names.index(arguments.under)]
            for place, of_penalty in enumerate(cells):
                of_penalty.append(across(errors[place * len(seeds) : (place + 1) * len(seeds)].tolist()))
        for (title, _, weight, _), of_penalty in zip(PENALTIES, cells, strict=True):
            print(f"| {batch:,} | {title} | {weight:g} | {' | '.join(of_penalty)} |", flush=True)


if __name__ == "__main__":
    main()
