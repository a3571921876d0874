"""The trainer's defaults, measured: which loss is penalized, over which outputs, with which estimate of the penalty; how
large a network, on how large a batch.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/choices.py [--of loss | size] [--seeds 0 1 2]

Each row trains one ensemble per seed on the gusty pendulum's logged behaviors (all weights and seeds of a choice as one
program) and scores it under the unlogged ones. Prints a Markdown table: mean squared error as a multiple of the noise
floor, mean over the seeds with the lowest and highest.
"""

import argparse
import dataclasses

import numpy as np

from worldrex import tasks
from worldrex.data import CollectConfig, collect
from worldrex.dynamics import Run, TrainConfig, fit_runs
from worldrex.evaluation import action_slope, output_scale, score

SMALL = TrainConfig(members=3, elites=3, hidden=(64, 64), batch=256, warmup_steps=1000, steps=4000)
CHOICES = {
    "loss": {
        "squared, mean of outputs": dataclasses.replace(SMALL, loss="squared", per_dimension=False),
        "squared, each output apart": dataclasses.replace(SMALL, loss="squared", per_dimension=True),
        "Gaussian NLL, mean of outputs": dataclasses.replace(SMALL, loss="nll", per_dimension=False),
        "Gaussian NLL, each output apart": dataclasses.replace(SMALL, loss="nll", per_dimension=True),
    },
    "size": {
        "4 x 200, batch 256 (`fit`)": TrainConfig(),
        "2 x 64, batch 1,024 (`run`)": TrainConfig(hidden=(64, 64), batch=1024),
        "2 x 64, batch 256": TrainConfig(hidden=(64, 64)),
    },
}
# Weight of the penalty, and whether it is debiased.
SETTINGS = {
    "loss": [(0.0, True), (10.0, True), (100.0, True), (100.0, False)],
    "size": [(0.0, True), (100.0, True)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--of", choices=CHOICES, default="loss")
    arguments = parser.parse_args()
    seeds, settings = arguments.seeds, SETTINGS[arguments.of]
    task = tasks.task("gusty-pendulum")
    logged = collect(CollectConfig(task=task.name))
    test = collect(CollectConfig(task=task.name, behaviors="unlogged"))
    scale = output_scale(logged)
    floor = tasks.noise_floor(task, test.obs, test.action, test.next_obs, test.reward)
    truth = tasks.true_slope(task, test.obs, test.action).mean(0)[2, 0]
    print(f"| {arguments.of} | weight | {' | '.join(test.behavior_names)} | slope (true {truth:.3f}) |")
    print("|---|---|" + "---|" * (test.num_behaviors + 1))
    for name, config in CHOICES[arguments.of].items():
        runs = [Run("variance", weight, debiased, (), seed) for weight, debiased in settings for seed in seeds]
        models, _ = fit_runs(logged, runs, config)
        for place, (weight, debiased) in enumerate(settings):
            of_setting = models[place * len(seeds) : (place + 1) * len(seeds)]
            tables = [score({"model": model}, test, scale, floor=floor) for model in of_setting]
            ratios = {
                behavior: [table[behavior]["model"] / table[behavior]["noise_floor"] for table in tables]
                for behavior in test.behavior_names
            }
            slopes = [action_slope(model, test)[2, 0] for model in of_setting]
            cells = [_spread(values) for values in (*ratios.values(), slopes)]
            print(f"| {name}{'' if debiased else ', plain'} | {weight:g} | {' | '.join(cells)} |", flush=True)


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    main()
