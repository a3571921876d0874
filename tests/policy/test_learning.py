import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dynamics.conftest import optimized, same_bits
from tests.policy.made_up import log_of, untrained
from worldrex.dynamics import TrainingError, WorldModel
from worldrex.policy import Learned, MOPOConfig, PolicyRun, Progress, learning, optimize_runs

CONFIG = MOPOConfig(
    hidden=(8,),
    batch=16,
    steps=45,
    rollouts=8,
    horizon=3,
    rollout_every=5,
    retain=2,
    real_ratio=0.25,
    learning_rate=1e-2,
)
RUNS = (PolicyRun(1.0, 0, 0), PolicyRun(0.0, 0, 0), PolicyRun(1.0, 0, 1), PolicyRun(1.0, 1, 0), PolicyRun(5.0, 2, 1))
TARGET = RUNS[3]

ALONE = """
import sys
import jax
import numpy as np
import pytest
from tests.policy.test_learning import TARGET, arrays, learned, report_often
jax.config.update("jax_disable_most_optimizations", True)
report_often(pytest.MonkeyPatch())
np.savez(sys.argv[1], *arrays(learned([TARGET]), 0))
"""


def models() -> list[WorldModel]:
    model = untrained()
    return [model, model._replace(networks=jax.tree.map(lambda x: 0.9 * x, model.networks))]


def learned(runs: Any = RUNS, config: MOPOConfig = CONFIG, **more: Any) -> Learned:
    return optimize_runs(models(), log_of(), runs, config, **more)


def arrays(found: Learned, run: int) -> list[np.ndarray]:
    """All that is told of a run, and its policy."""
    return [np.asarray(x) for x in jax.tree.leaves(found.policies[run][:2])] + [x[run] for x in found.progress[2:]]


def report_often(patch: pytest.MonkeyPatch) -> None:
    """Programs are called every 10 updates, and report every second time."""
    patch.setattr(learning, "STRETCH", 10)
    patch.setattr(learning, "REPORT_STRETCHES", 2)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    report_often(monkeypatch)


@pytest.fixture(scope="module")
def company() -> Iterator[Learned]:
    """All runs together, compiled as users compile them."""
    with pytest.MonkeyPatch.context() as patch, optimized(True):
        report_often(patch)
        yield learned()


def test_runs_differ_by_what_is_particular_to_them(company: Learned):
    bits = {tuple(x.tobytes() for x in arrays(company, number)) for number in range(len(RUNS))}
    assert len(bits) == len(RUNS)


def test_a_run_alone_is_the_same_as_in_company_to_the_bit(company: Learned):
    with optimized(True):
        alone = learned([TARGET])
    assert same_bits(arrays(alone, 0), arrays(company, 3))
    assert alone.policies[0].trained == company.policies[3].trained


def test_on_other_devices_it_is_the_same_up_to_rounding(tmp_path: Path):
    devices = 2 if jax.local_device_count() == 1 else 1
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))
    }  # fmt: skip
    file = tmp_path / "run.npz"
    subprocess.run([sys.executable, "-c", ALONE, file], env=environment, cwd=Path(__file__).parents[2], check=True)
    with np.load(file) as alone:
        for name, here in zip(alone.files, arrays(learned(RUNS[3:]), 0), strict=True):
            np.testing.assert_allclose(alone[name], here, rtol=1e-3, atol=1e-4)


def test_runs_side_by_side_are_the_same_up_to_rounding(company: Learned):
    together = learned(RUNS[3:], side_by_side=True)
    for number in range(2):
        for one, other in zip(arrays(together, number), arrays(company, 3 + number), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


def interrupted_at(step: int) -> Callable[[int, int], None]:
    def tick(done: int, _: int) -> None:
        if done >= step:
            raise KeyboardInterrupt

    return tick


def test_learning_interrupted_at_every_turn_is_the_same_to_the_bit(tmp_path: Path):
    runs, begins, told, again = RUNS[3:], [], [], []
    whole = learned(runs, report=told.append)
    for step in (20, 30, 40):
        with pytest.raises(KeyboardInterrupt):
            learned(runs, checkpoint=tmp_path, checkpoint_seconds=0.0, tick=interrupted_at(step), begins=begins.append)
    resumed = learned(runs, checkpoint=tmp_path, checkpoint_seconds=0.0, begins=begins.append, report=again.append)
    assert begins == [0, 20, 20, 40]
    assert [progress.step for progress in told] == [20, 40, 45]
    assert same_bits(again, told[2:])
    for number in range(2):
        assert same_bits(arrays(resumed, number), arrays(whole, number))


def test_progress_is_of_what_came_since_the_last_report():
    told: list[Progress] = []
    ticks: list[tuple[int, int]] = []
    learned(RUNS[3:], report=told.append, tick=lambda *x: ticks.append(x))
    assert ticks == [(step, 45) for step in (10, 20, 30, 40, 45)]
    assert [progress.step for progress in told] == [20, 40, 45]
    for progress in told:
        assert not progress.cut.any()
        assert not progress.skipped.any()
        assert np.isfinite(list(progress[2:])).all()
        assert (progress.temperature > 0.5).all()
        # Held within the log's range and its margin, about.
        assert (abs(progress.reward) < 4).all()
        assert (progress.uncertainty > 0).all()


def with_heads(change: Callable[[Any], Any]) -> WorldModel:
    """A model of which something is wrong."""
    model = untrained()
    return model._replace(networks=change(jax.tree.map(jnp.asarray, model.networks)))


def test_a_model_that_tells_nothing_finite_stops_learning():
    with pytest.raises(
        TrainingError, match=r"between steps 0 and 10 no rollout had a finite step, with pessimism 1 and seed 0"
    ):
        optimize_runs(
            [with_heads(lambda x: x._replace(mean=(x.mean[0] * jnp.nan, x.mean[1])))], log_of(), RUNS[:2], CONFIG
        )


def test_an_elite_that_diverges_is_cut_counted_and_never_learned_from():
    # Members 1 to 3 are the elites; the noise of one overflows.
    model = with_heads(
        lambda x: x._replace(min_log_var=x.min_log_var.at[2].set(400.0), max_log_var=x.max_log_var.at[2].set(500.0))
    )
    found = optimize_runs(
        [model], log_of(), [PolicyRun(0.0)], replace(CONFIG, pessimism=0.0, uncertainty="disagreement")
    )
    assert found.progress.cut[0] > 0
    assert found.progress.skipped[0] == 0
    assert all(np.isfinite(x).all() for x in arrays(found, 0))


def test_updates_that_are_not_finite_stop_learning():
    with pytest.raises(TrainingError, match="most updates were not finite"):
        learned(RUNS[3:], replace(CONFIG, learning_rate=1e30))
