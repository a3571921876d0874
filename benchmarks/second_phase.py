"""REx as a second phase of training: what becomes of it when the record of the best weights is not reset at the switch.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/second_phase.py --task gusty-hopper [--weight 100] [--seeds 0 1 2] ...

Ensembles of three members of 2 x 64 (batch 1,024), 3,000 steps of ERM and then as many with the debiased variance penalty; beside
it ERM for all 6,000 steps. Each member ends with weights of the second phase by its own held-out objective ("reset"), or with its
last ones, or, as where the record is carried over ("not reset"), with those of the first phase unless its held-out risk fell
below that in the second. Scored under the behaviors that nobody logged. Prints a Markdown table: squared errors as multiples of
the noise floor and the slope of the output that the gust moves most, mean over the seeds [lowest, highest]; and how many members
ended with ERM's weights.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from worldrex import load, tasks
from worldrex.data import CollectConfig, Transitions, collect
from worldrex.dynamics import Run, Sweep, TrainConfig, WorldModel, fit_runs
from worldrex.evaluation import action_slope, output_scale, squared_errors

PHASE = 3000
CONFIG = TrainConfig(
    members=3, elites=3, hidden=(64, 64), batch=1024, warmup_steps=PHASE, steps=PHASE, keep="best", termination="none"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tasks.names(), default="gusty-hopper")
    parser.add_argument("--log", type=Path, help="of the task's logged behaviors; collected where none is given")
    parser.add_argument("--weight", type=float, default=100.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--test-records", type=int, default=2000)
    arguments = parser.parse_args()
    task = tasks.task(arguments.task)
    log = load(arguments.log) if arguments.log else collect(CollectConfig(task=task.name))
    test = collect(CollectConfig(task=task.name, behaviors="unlogged", steps_per_behavior=arguments.test_records))
    penalized = [Run("variance", arguments.weight, seed=seed) for seed in arguments.seeds]
    alone = [Run("variance", 0.0, seed=seed) for seed in arguments.seeds]
    first, of_first = fit_runs(log, alone, replace(CONFIG, steps=1, keep="last"))
    both, of_both = fit_runs(log, penalized + alone, CONFIG)
    last, _ = fit_runs(log, penalized, replace(CONFIG, keep="last"))
    reset, erm = both[: len(penalized)], both[len(penalized) :]
    carried, ended = zip(
        *(carry(*pair, held(of_first, i) <= held(of_both, i)) for i, pair in enumerate(zip(first, reset, strict=True))),
        strict=True,
    )
    rows = {
        "ERM, equal steps": erm,
        "REx second, record reset": reset,
        "REx second, last weights": last,
        "REx second, record not reset": list(carried),
    }
    print_table(task, log, test, rows)
    members = len(arguments.seeds) * CONFIG.members
    print(f"\nNot reset: {sum(ended)} of {members} members ended with the weights of the first phase.")


def held(sweep: Sweep, run: int) -> np.ndarray:
    """Each member's held-out risk, the mean over the behaviors."""
    return np.asarray(sweep.holdout_risk[run]).mean(-1)


def carry(before: WorldModel, after: WorldModel, keep: np.ndarray) -> tuple[WorldModel, int]:
    """The members of `before` where `keep`, of `after` elsewhere."""

    def pick(old: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(keep.reshape(-1, *[1] * (old.ndim - 1)), old, new)

    return after._replace(networks=jax.tree.map(pick, before.networks, after.networks)), int(keep.sum())


def print_table(task: tasks.Task, log: Transitions, test: Transitions, rows: dict[str, list[WorldModel]]) -> None:
    scale = output_scale(log)
    floor = tasks.noise_floor(task, test.obs, test.action, test.next_obs, test.reward) / scale**2
    some = test.rows(np.arange(0, len(test), max(len(test) // task.slope_records, 1)))
    direction = np.array(task.direction)
    moved = int(np.abs(tasks.gust_effect(task, some.obs, some.action).mean(0) / scale).argmax())
    truth = tasks.true_slope(task, some.obs, some.action).mean(0)[moved] @ direction
    named = f"slope of {task.output_names[moved]} (true {truth:.3g})"
    print(f"**{task.name}**: {len(log):,} records\n")
    print(f"| | {' | '.join(test.behavior_names)} | {named} |\n|---|{'---|' * (test.num_behaviors + 1)}")
    parts = [test.behavior == number for number in range(test.num_behaviors)]
    for name, models in rows.items():
        errors = [squared_errors(model, test, scale) for model in models]
        columns = [[error[part].mean() / floor[part].mean() for error in errors] for part in parts]
        columns.append([action_slope(model, some)[moved] @ direction for model in models])
        cells = [f"{np.mean(values):.3g} [{min(values):.3g}, {max(values):.3g}]" for values in columns]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
