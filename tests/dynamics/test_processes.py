"""Two processes on this machine, two devices each, that train one model: each has its part of the log."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.dynamics.conftest import arrays
from tests.dynamics.gust import gust_log
from tests.dynamics.test_devices import CONFIG as ALONE
from tests.dynamics.test_devices import off
from worldrex.dynamics import Run, TrainingError, processes, train
from worldrex.dynamics.processes import Whole

SCRIPT = """
import pathlib, sys
import jax
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_disable_most_optimizations", True)
from worldrex.dynamics import processes, sweep
number, address, folder = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
processes.simulate(2, exactly=True)
processes.connect(address, 2, number)
from tests.dynamics.test_devices import left
from tests.dynamics.test_processes import CONFIG, RUNS, halves
from worldrex.dynamics import train
part = halves()[number]
sweep.STRETCH = 10
shared = processes.devices()

def go_on(name, **more):
    left(folder / f"{name}-{number}.npz", train(part, RUNS, CONFIG, devices_per_batch=shared, **more))

go_on("whole")

class Stop(Exception):
    pass

def stop(step, total):
    if step == 40:
        raise Stop

# Only the first process has the folder, as on two machines that share no disk.
kept = {"checkpoint": folder / "kept" if number == 0 else None, "checkpoint_seconds": 0.0}
try:
    go_on("never", tick=stop, **kept)
except Stop:
    begun = []
    go_on("resumed", begins=begun.append, **kept)
    assert begun == [20], begun
"""
RUNS = [Run("variance", 30.0), Run("irm", 10.0), Run("group_dro", 3.0)]
CONFIG = replace(ALONE, tracking=0.9)


def halves() -> list:
    """The log of `gust_log` in two parts of 400 and 1,197 records, of three and of one behavior."""
    log = gust_log().rows(slice(0, 1597))
    return [log.rows(log.behavior < 1), log.rows(log.behavior >= 1)]


def free_address() -> str:
    with socket.socket() as asked:
        asked.bind(("localhost", 0))
        return f"localhost:{asked.getsockname()[1]}"


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """What each process has after "whole" and "resumed" trainings."""
    folder = tmp_path_factory.mktemp("processes")
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), *sys.path]))}
    environment.pop("JAX_NUM_CPU_DEVICES", None)
    address = free_address()
    with ExitStack() as stack:
        started = []
        for number in range(2):
            process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(number), address, str(folder)], env=environment, cwd=root,
                stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            started.append(stack.enter_context(process))  # waits, and closes the pipe
            stack.callback(process.kill)
        for process in started:
            _, message = process.communicate(timeout=300)
            assert process.returncode == 0, message
    told = {}
    for path in folder.glob("*.npz"):
        with np.load(path) as file:
            told[path.stem] = list(file.values())
    return told


@pytest.mark.parametrize("run", range(len(RUNS)))
def test_two_processes_leave_what_one_leaves(together: dict[str, list[np.ndarray]], run: int) -> None:
    """Weights, normalizers, risks and objectives after 100 steps, to float32 rounding."""
    alone = arrays(train(gust_log().rows(slice(0, 1597)), RUNS, CONFIG))
    assert off(alone, together["whole-0"], run) < 2e-4


def test_every_process_has_the_same(together: dict[str, list[np.ndarray]]) -> None:
    for x, y in zip(together["whole-0"], together["whole-1"], strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("process", [0, 1])
def test_they_resume_from_what_the_first_one_kept(together: dict[str, list[np.ndarray]], process: int) -> None:
    for x, y in zip(together["whole-0"], together[f"resumed-{process}"], strict=True):
        np.testing.assert_array_equal(x, y)


def test_rows_lie_alike_in_every_process() -> None:
    labels = np.zeros(10, np.int32)
    whole = Whole(labels, labels, ("a",), (3, 7), False)
    assert whole.rows_of_each(4) == 8
    np.testing.assert_array_equal(whole.place(np.arange(10), 4), [0, 1, 2, *range(8, 15)])


def test_a_process_that_nobody_meets_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="process is 2 of 2; they are numbered from 0 to 1"):
        processes.connect("localhost:1", 2, 2)

    def late(*_: object, **__: object) -> None:
        raise RuntimeError("DEADLINE_EXCEEDED: Barrier timed out.\nmore")

    monkeypatch.setattr("jax.distributed.initialize", late)
    with pytest.raises(TrainingError, match="process 1 did not meet the other 1 at localhost:1 within 60 s: DEADLINE"):
        processes.connect("localhost:1", 2, 1)
