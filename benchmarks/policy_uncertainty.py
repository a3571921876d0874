"""What each uncertainty says of ERM's model and of the penalized one on the gusty pendulum, and whether it finds the errors.

    .venv/bin/python benchmarks/policy_uncertainty.py [--models runs/policy] [--steps-per-behavior 2560] [--seed 7]

The models are those of benchmarks/policy.py, which fits and keeps them under --models. Fresh records of the logged behaviors
and of those that nobody logged; of each record the squared error of the model's mean against the true mean over gusts, in
units of the outputs' deviation in the log. Prints the root mean squared error, and of each uncertainty its mean and its rank
correlation with the squared error (Spearman's). `regressions` is not in the package, and here to see why: the deviation over
the behaviors of a regression of the residuals on observation and action, behavior by behavior.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import worldrex
from worldrex import tasks
from worldrex.evaluation.uncertainty import rank_correlation
from worldrex.policy.worlds import world_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.policy import MODELS, TASK, fitted, logged

NAMES = ("aleatoric", "disagreement", "pairwise", "behavior_spread")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("runs/policy"))
    parser.add_argument("--steps-per-behavior", type=int, default=2560)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    data = logged(arguments.models)
    print("| model | behaviors | root mean squared error |", *(f"{name} |" for name in (*NAMES, "regressions")))
    print("|---" * (len(NAMES) + 4) + "|")
    for name, weight in MODELS.items():
        model = fitted(data, weight, arguments.models)
        worlds = {measure: world_of(model, data, uncertainty=measure, margin=0.1) for measure in NAMES}
        for which in ("logged", "unlogged"):
            drawn = worldrex.CollectConfig(
                task=TASK, behaviors=which, steps_per_behavior=arguments.steps_per_behavior, seed=arguments.seed
            )
            new = worldrex.collect(drawn)
            error = squared_error(model, new)
            told = {measure: np.asarray(world.uncertainty(new.obs, new.action)) for measure, world in worlds.items()}
            told["regressions"] = regressions(model, data, new)
            cells = (f"{values.mean():.3f}, {rank_correlation(values, error):.2f} |" for values in told.values())
            print(f"| {name} | {which} | {np.sqrt(error.mean()):.3f} |", *cells)


def squared_error(model: worldrex.WorldModel, data: worldrex.Transitions) -> np.ndarray:
    """Of the model's mean, summed over the outputs; the risk of the truth on records that are what the model predicts."""
    told = model.predict(data.obs, data.action)
    truth = tasks.noise_floor(
        tasks.task(TASK), data.obs, data.action, np.asarray(told.next_obs), np.asarray(told.reward)
    )
    return (truth / np.asarray(model.normalizer.output_std, np.float64) ** 2).sum(1)


def regressions(model: worldrex.WorldModel, data: worldrex.Transitions, new: worldrex.Transitions) -> np.ndarray:
    told = model.predict(data.obs, data.action)
    residual = np.column_stack([data.next_obs - told.next_obs, data.reward - told.reward]) / model.normalizer.output_std
    inputs, asked = (np.column_stack([np.ones(len(x)), x.obs, x.action]) for x in (data, new))
    fits = [
        asked @ np.linalg.lstsq(inputs[own], residual[own], rcond=None)[0]
        for own in data.behavior == np.unique(data.behavior)[:, None]
    ]
    return np.sqrt(np.var(fits, axis=0).sum(-1))


if __name__ == "__main__":
    main()
