"""The loop of learning: programs on the devices, and between them reports, checkpoints and what went wrong."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Float32, Int

from worldrex.dynamics import TrainingError
from worldrex.dynamics.checkpoint import Position, newest, write
from worldrex.policy.policy import Policy
from worldrex.policy.programs import RUN_AXIS, LearnInfo, Setting, assignments_of, compile_programs, mesh_of_runs
from worldrex.policy.settings import BAD_SHARE, MOPOConfig, PolicyRun

STRETCH = 1000  # updates of one call, about: so that Ctrl-C is heard
REPORT_STRETCHES = 5


class Progress(NamedTuple):
    """Where learning stands; of each run, means over what came since the last report."""

    step: int
    total: int
    model_return: Float32[np.ndarray, " run"]
    """Return of an episode that the policy promises: in the model, without pessimism, from where logged episodes began."""
    reward: Float32[np.ndarray, " run"]
    """Of a step of the rollouts, without pessimism."""
    uncertainty: Float32[np.ndarray, " run"]
    terminated: Float32[np.ndarray, " run"]
    """Share of the rollouts' steps that ended an episode for good."""
    absorbed: Float32[np.ndarray, " run"]
    """Share of them that led to the absorbing state."""
    cut: Int[np.ndarray, " run"]
    """Rollouts so far that came to something that is not finite, and were cut there."""
    critic_loss: Float32[np.ndarray, " run"]
    value: Float32[np.ndarray, " run"]
    entropy: Float32[np.ndarray, " run"]
    temperature: Float32[np.ndarray, " run"]
    skipped: Int[np.ndarray, " run"]
    """Updates so far that were not finite and changed nothing."""


class Learned(NamedTuple):
    """What learning leaves: a policy for each run, and how it stood at the end."""

    policies: list[Policy]
    progress: Progress
    compile_seconds: float


def learn(
    setting: Setting, runs: Sequence[PolicyRun], config: MOPOConfig, episode_steps: int, *,
    report: Callable[[Progress], None] | None = None, tick: Callable[[int, int], None] | None = None,
    checkpoint: Path | None = None, checkpoint_seconds: float = 60.0, say: Callable[[str], None] | None = None,
    begins: Callable[[int], None] | None = None, side_by_side: bool | None = None,
) -> Learned:  # fmt: skip
    """Learn a policy for each run in its world, all as one program between reports.

    **Arguments:**

    - `setting`: worlds, scales, the log, and where rollouts and episodes begin.
    - `runs`: what differs between runs; each is the same, to the bit, in any company.
    - `episode_steps`: of an episode that a policy is judged by.
    - `report`: called about every 5,000 updates and at the end; `tick` often, with the updates done and in all.
    - `checkpoint`: a folder to leave the state in, at most every `checkpoint_seconds`; if it holds one, learning goes on
      from there, to the same result to the bit. `begins` is told the step, `say` what a person should know.
    - `side_by_side`: whether a device learns its runs together or one after the other; by default together, but on a CPU.

    **Returns:** `Learned`. **Raises:** `TrainingError` if learning diverges, or if no rollout stays finite.
    """
    mesh = mesh_of_runs()
    place, everywhere = NamedSharding(mesh, P(RUN_AXIS)), NamedSharding(mesh, P())
    devices = mesh.shape[RUN_AXIS]
    if side_by_side is None:
        side_by_side = jax.default_backend() != "cpu"
    # Side by side two at least, whose products round alike however many there are.
    per_device = max(-(-len(runs) // devices), 2 if side_by_side else 1)
    slots = _slots_of(len(runs), devices, per_device)
    order = np.full(devices * per_device, len(runs) - 1)
    order[slots] = np.arange(len(runs))
    assignments = jax.device_put(assignments_of([runs[number] for number in order], len(order)), place)
    counts = np.bincount(slots // per_device, minlength=devices).astype(np.int32)
    count, setting = jax.device_put(counts, place), jax.device_put(setting, everywhere)
    started = time.perf_counter()
    programs = compile_programs(mesh, setting, assignments, config, episode_steps, side_by_side=side_by_side)
    compile_seconds = time.perf_counter() - started

    learners = programs.begin(assignments)
    told = np.zeros((2, len(runs)), np.int64)  # cut and skipped so far
    begun = 0
    found = newest(checkpoint, Position(0, learners, (), told), say=say)
    if found is not None:
        begun, told = found.step, found.told
        learners = jax.device_put(found.networks, place)
    if begins is not None:
        begins(begun)
    stretch = max(STRETCH // config.rollout_every, 1) * config.rollout_every
    stops = [*range(0, config.steps, stretch), config.steps]
    reported = {*range(0, config.steps, stretch * REPORT_STRETCHES), config.steps} - {0}
    seen: list[tuple[int, LearnInfo]] = []
    saved = time.monotonic()
    progress: Progress | None = None
    for start, stop in pairwise(stops):
        if stop <= begun:
            continue
        learners, info = programs.advance(learners, setting, assignments, count, np.int32(start), np.int32(stop))
        info = jax.tree.map(lambda x: np.asarray(x)[slots], info)
        told = told + np.stack([info.rollouts.cut, info.updates.bad]).astype(np.int64)
        _require_sound(info, np.asarray(learners.replay.size)[slots], runs, start, stop)
        seen.append((stop - start, info))
        if stop in reported:
            returns = programs.judge(learners, setting, assignments, count, np.int32(stop))
            progress = _progress(stop, config.steps, seen, told, np.asarray(returns)[slots])
            seen = []
            if report is not None:
                report(progress)
            if checkpoint is not None and time.monotonic() - saved >= checkpoint_seconds and stop < config.steps:
                write(checkpoint, Position(stop, learners, (), told))
                saved = time.monotonic()
        if tick is not None:
            tick(stop, config.steps)
    assert progress is not None
    actors = jax.tree.map(lambda x: np.asarray(x)[slots], learners.sac.actor)
    scales = jax.tree.map(np.asarray, setting.scales)
    policies = [
        Policy(
            jax.tree.map(lambda x, number=number: jnp.asarray(x[number]), actors), scales,
            {"algorithm": "mopo", **asdict(config), **asdict(run)},
        )
        for number, run in enumerate(runs)
    ]  # fmt: skip
    return Learned(policies, progress, compile_seconds)


def _slots_of(runs: int, devices: int, per_device: int) -> Int[np.ndarray, " run"]:
    """The slot of each run: dealt out to the devices in turn."""
    number = np.arange(runs)
    return number % devices * per_device + number // devices


def _progress(
    step: int, total: int, seen: Sequence[tuple[int, LearnInfo]], told: Int[np.ndarray, "2 run"],
    returns: Float32[np.ndarray, "run episode"],
) -> Progress:  # fmt: skip
    updates, rollouts = jax.tree.map(lambda *x: np.sum(x, axis=0), *(info for _, info in seen))
    # What was skipped is not in the sums.
    done = np.maximum(sum(count for count, _ in seen) - updates.bad, 1)
    steps = np.maximum(rollouts.steps, 1)
    return Progress(
        step, total, returns.mean(1), rollouts.reward / steps, rollouts.uncertainty / steps, rollouts.terminated / steps,
        rollouts.absorbed / steps, told[0], updates.critic_loss / done, updates.value / done, updates.entropy / done,
        updates.temperature / done, told[1],
    )  # fmt: skip


def _require_sound(
    info: LearnInfo, size: Int[np.ndarray, " run"], runs: Sequence[PolicyRun], start: int, stop: int
) -> None:
    """Raise `TrainingError` where most updates failed, or where nothing came of the rollouts."""
    bad = info.updates.bad > BAD_SHARE * (stop - start)
    for what, lost in (("most updates were not finite", bad), ("no rollout had a finite step", size == 0)):
        if lost.any():
            run = runs[int(lost.argmax())]
            raise TrainingError(
                f"learning diverged: between steps {start} and {stop} {what}, with pessimism {run.pessimism:g} and seed "
                f"{run.seed}. Look at the model with `worldrex score`, or lower the learning rate or the pessimism."
            )
