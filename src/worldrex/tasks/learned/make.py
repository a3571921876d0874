"""Make the weights beside this file: policies that SAC learned in the plain hopper and the plain half cheetah.

    python src/worldrex/tasks/learned/make.py [--tasks hopper halfcheetah] [--seed 0]

Each is what the policy was after so many transitions: hopper-40000.safetensors and so on. They use 0.7 of the actuators'
range, so that an operator has some left to steer against gusts with. About 4 minutes for each task on one core.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from worldrex import tasks
from worldrex.policy import OnlineConfig, OnlineProgress, Scales, learn_online

KEPT = (40_000, 60_000)
RANGE = 0.7
# Side by side, with an update for each transition.
ENVS = 5


def main() -> None:
    """Learn and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["hopper", "halfcheetah"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.tasks:
        _make(name, arguments.seed)


def _make(name: str, seed: int) -> None:
    task = tasks.task(f"plain-{name}")
    obs, act = len(task.output_names) - 1, len(task.action_names)
    high = np.full(act, RANGE, np.float32)
    scales = Scales(np.zeros(obs, np.float32), np.ones(obs, np.float32), -high, high)
    config = OnlineConfig(
        hidden=(128, 128), learning_rate=1e-3, steps=max(KEPT), learning_starts=2000, updates_per_step=ENVS, seed=seed
    )
    awaited = list(KEPT)

    def report(progress: OnlineProgress) -> None:
        told = f"{progress.returns.mean():.0f}" if len(progress.returns) else "-"
        print(f"{name}: {progress.step:,} transitions, mean return of the last episodes {told}", flush=True)
        if awaited and progress.step >= awaited[0]:
            actor = progress.policy.actor
            arrays = {"high": high}
            for layer, (weight, bias) in enumerate((*actor.trunk, actor.mean)):
                arrays |= {f"{layer}.weight": np.asarray(weight), f"{layer}.bias": np.asarray(bias)}
            save_file(arrays, Path(__file__).parent / f"{name}-{awaited.pop(0)}.safetensors")

    learn_online(task.make_env(ENVS), config, scales=scales, report=report, report_every=10_000)


if __name__ == "__main__":
    main()
