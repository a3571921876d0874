"""Sweeps that many tests look at, trained once: to compile one takes far longer than to train it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from tests.dynamics.gust import gust_log
from worldrex.data import Spans, Transitions
from worldrex.dynamics import Progress, Run, Sweep, TrainConfig, layout, sweep, train
from worldrex.dynamics.programs import compile_programs
from worldrex.dynamics.settings import TrainedPenalty
from worldrex.dynamics.tables import Tables
from worldrex.dynamics.training import Assignment, StepInfo, TrainState, init, step

SMALL = TrainConfig(members=3, elites=2, hidden=(16,), batch=32, warmup_steps=20, steps=40)
TARGET = Run("variance", 10.0, True, (2,), 0)
COMPANY = (
    Run("none", 0.0, True, (), 0),
    Run("variance", 0.0, True, (), 0),
    Run("variance", 30.0, True, (), 0),
    TARGET,
    Run("variance", 10.0, False, (0,), 1),
)

ALONE = """
import sys
import numpy as np
from tests.dynamics.conftest import SMALL, TARGET, arrays
from tests.dynamics.gust import gust_log
from worldrex.dynamics import train
np.savez(sys.argv[1], *arrays(train(gust_log(), [TARGET], SMALL), 0))
"""


class Company(NamedTuple):
    """One sweep of `COMPANY`, and what it reported."""

    sweep: Sweep
    reports: list[Progress]
    alone: subprocess.Popen[str]
    """Trains `TARGET` alone on two devices, whose number of networks then does not come out even."""
    file: Path
    """Where it leaves the arrays."""


def arrays(sweep: Sweep, run: int | None = None) -> list[np.ndarray]:
    """All that a sweep tells of one run, or of all."""
    told = jax.tree.leaves(sweep._replace(compile_seconds=None, behavior_names=None))
    return told if run is None else [x[run] for x in told]


def one_by_one(data: Transitions, rows: np.ndarray) -> Spans:
    """These rows, each a span of its own."""
    return Spans(rows, rows + 1, data.behavior[rows])


def same_bits(left: Any, right: Any) -> bool:
    """Whether two trees of arrays are identical, NaN included."""
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)


@contextmanager
def optimized(wanted: bool) -> Iterator[None]:
    """Compile with XLA's optimizations, as users do, or in half the time without them."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", not wanted)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs are compiled quickly, and once for all sweeps of the same shapes and configuration."""
    kept: dict[Any, Any] = {}

    def compiled(mesh: Any, *arguments: Any) -> Any:
        """The programs are functions of their arguments' shapes and of the settings, so that they can be kept."""
        *trees, config, penalties, at_once, memory = arguments
        shapes = tuple(
            (jax.tree.structure(x), tuple((y.shape, str(y.dtype)) for y in jax.tree.leaves(x))) for x in trees
        )
        key = mesh, shapes, config, tuple(penalties), at_once, memory, jax.config.read("jax_disable_most_optimizations")
        if key not in kept:
            kept[key] = compile_programs(mesh, *arguments)
        return kept[key]

    before = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    compilation_cache.reset_cache()
    with optimized(False), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "compile_programs", compiled)
        yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def log() -> Transitions:
    """400 records of each of four operators."""
    return gust_log()


@pytest.fixture(scope="session")
def company(log: Transitions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The sweep of `COMPANY`, compiled as users compile it."""
    file = tmp_path_factory.mktemp("alone") / "run.npz"
    devices = 2 if jax.local_device_count() == 1 else 1
    alone = subprocess.Popen(
        [sys.executable, "-c", ALONE, file],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    reports: list[Progress] = []
    with optimized(True):
        trained = train(log, COMPANY, SMALL, report=reports.append)
    yield Company(trained, reports, alone, file)
    with alone:  # waits, and closes the pipe
        alone.kill()


class Stepper(NamedTuple):
    """`init` and `step`, compiled, of networks with all behaviors (fold 0) or without behavior 2 (fold 1)."""

    tables: Tables
    assignment: Assignment
    """Run seed 0, member 1, fold 0, weight 30."""
    init: Callable[[Assignment], TrainState]
    step: Callable[[TrainState, Assignment, int], tuple[TrainState, StepInfo]]


def stepper_of(log: Transitions, config: TrainConfig, *, penalty: TrainedPenalty = "variance") -> Stepper:
    """`init` and `step` for that configuration."""
    penalties: tuple[tuple[TrainedPenalty, bool], ...] = ((penalty, True),)
    run = replace(COMPANY[2], penalty=penalty)
    tables, _ = layout.tables_of(log, [(), (2,)], config)
    assignment = jax.tree.map(lambda x: x[1], layout.assignments_of([run], [(), (2,)], penalties, config, 1))
    first = jax.jit(partial(init, config=config, penalties=penalties))
    next_step = jax.jit(partial(step, config=config, penalties=penalties))
    return Stepper(
        tables,
        assignment,
        lambda assignment: first(tables, assignment),
        lambda state, assignment, number: next_step(state, tables, assignment, jnp.int32(number)),
    )


@pytest.fixture(scope="session")
def stepper(log: Transitions) -> Stepper:
    """`init` and `step` of `SMALL`."""
    return stepper_of(log, SMALL)
