"""Batches that several devices share: 8 simulated ones, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.dynamics.conftest import arrays
from worldrex.dynamics import Sweep, TrainConfig, TrainingError, layout

SCRIPT = """
import sys
import jax
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_disable_most_optimizations", True)
import numpy as np
from tests.dynamics.gust import gust_log
from tests.dynamics.test_devices import CONFIG, left
from worldrex import risk
from worldrex.dynamics import Run, train
log = gust_log()
# A number of records that no number of devices divides, and ends of episodes.
log = log.rows(slice(0, 1597))
log.terminated[:] = log.obs[:, 0] > 1
runs = [Run("variance", 30.0), Run("irm", 10.0), Run("group_dro", 3.0)]
left(sys.argv[1], train(log, runs, CONFIG, devices_per_batch=int(sys.argv[2])))
if len(sys.argv) > 3:
    # What a data-parallel trainer does that averages the gradients of each device's own objective.
    risk.all_reduce = lambda moments, axis: moments
    left(sys.argv[3], train(log, runs, CONFIG, devices_per_batch=int(sys.argv[2])))
"""
CONFIG = TrainConfig(members=1, elites=1, hidden=(16,), batch=60, warmup_steps=20, steps=80)
SHARED = (1, 2, 8)


def left(path: str, trained: Sweep) -> None:
    """Leave all that a sweep tells in a file."""
    np.savez(path, *arrays(trained))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """What each sharing leaves after 100 steps: "1", "2", "8", and "naive" for 8."""
    folder = tmp_path_factory.mktemp("devices")
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(filter(None, [str(root), *sys.path]))
    processes = []
    for shared in SHARED:
        words = [str(folder / f"{shared}.npz"), str(shared), *([str(folder / "naive.npz")] if shared == 8 else [])]
        environment = os.environ | {"JAX_NUM_CPU_DEVICES": "8", "PYTHONPATH": paths}
        command = [sys.executable, "-c", SCRIPT, *words]
        processes.append(subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, message = process.communicate(timeout=300)
        assert process.returncode == 0, message
    told = {}
    for name in (*map(str, SHARED), "naive"):
        with np.load(folder / f"{name}.npz") as file:
            told[name] = list(file.values())
    return told


def off(left: list[np.ndarray], right: list[np.ndarray], run: int) -> float:
    """The largest difference of a run's arrays, in units of each array's largest value."""
    gaps = []
    for x, y in zip(left, right, strict=True):
        x, y = x[run].astype(float), y[run].astype(float)
        gaps.append(np.abs(x - y).max() / max(np.abs(x).max(), 1e-6))
    return max(gaps)


@pytest.mark.parametrize("shared", SHARED[1:])
@pytest.mark.parametrize("run", [0, 1, 2])
def test_devices_that_share_a_batch_leave_what_one_leaves(
    trained: dict[str, list[np.ndarray]], shared: int, run: int
) -> None:
    """Weights, risks and objectives after 100 steps, to float32 rounding."""
    assert off(trained["1"], trained[str(shared)], run) < 2e-4


@pytest.mark.parametrize("run", [0, 1])
def test_the_mean_of_the_devices_own_penalties_is_another_objective(
    trained: dict[str, list[np.ndarray]], run: int
) -> None:
    assert off(trained["1"][:5], trained["naive"][:5], run) > 2e-2


def test_devices_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"devices cannot be shared out 3000 to a batch"):
        layout.mesh_of(3000)
