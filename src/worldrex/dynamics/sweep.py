"""Whole sweeps as one compiled program: every member of every run is trained side by side along one axis.

A run is a penalty, a weight, a left-out behavior and a seed. Its networks draw their own records from keys that
depend on the run's seed and the member only, so a run gives the same result in any company, alone included.
"""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float32, Int

from worldrex.data import Transitions, maps_of
from worldrex.dynamics.checkpoint import Position, newest, write
from worldrex.dynamics.divergence import raise_if_hopeless, raise_if_untrained
from worldrex.dynamics.ensemble import Network
from worldrex.dynamics.features import longest_episode
from worldrex.dynamics.layout import assignments_of, line_up, mesh_of, slots_of, tables_of
from worldrex.dynamics.normalizer import Normalizer
from worldrex.dynamics.processes import spread, whole_log
from worldrex.dynamics.programs import NETWORK_AXIS, Judged, Networks, compile_programs
from worldrex.dynamics.records import STRETCH, InMemory, OnDisk, Records
from worldrex.dynamics.settings import Run, TrainConfig, TrainedPenalty, require_fitting, require_trainable

REPORT_STEPS = 500
# A network whose steps fail more often than this in a stretch is put back to where it was sound.
BAD_SHARE = 0.5


class Progress(NamedTuple):
    """Where a sweep stands after a chunk of steps."""

    step: int
    total: int
    train_risk: Float32[np.ndarray, " run"]
    """Mean risk of the batches of this chunk, in units of the normalized loss."""
    holdout_risk: Float32[np.ndarray, "run group"]
    """Risk of each behavior on held-out episodes, mean over the members; NaN for those left out."""
    holdout_penalty: Float32[np.ndarray, " run"]
    active: Int[np.ndarray, " run"]
    """Members that are still trained."""
    skipped: Int[np.ndarray, " run"]
    """Steps so far that were not finite and changed nothing."""


class Sweep(NamedTuple):
    """What a sweep leaves."""

    networks: Network
    """Parameters with leading axes `[run, member]`: the last or the best ones, as the configuration says."""
    normalizers: Normalizer
    """Of each run, leading axis `[run]`."""
    holdout_risk: Float32[np.ndarray, "run member group"]
    holdout_objective: Float32[np.ndarray, "run member"]
    """Each member's own objective on held-out episodes, by which elites are chosen."""
    last_step: Int[np.ndarray, "run member"]
    """The step whose weights each member kept."""
    skipped: Int[np.ndarray, "run member"]
    """Steps that were not finite and changed nothing."""
    compile_seconds: float
    behavior_names: tuple[str, ...]
    """Of the whole log."""


class _Told(NamedTuple):
    """What the loop remembers of each network between evaluations; part of a checkpoint."""

    risk: np.ndarray
    objective: np.ndarray
    penalty: np.ndarray
    active: np.ndarray
    skipped: np.ndarray
    backoffs: np.ndarray
    last: np.ndarray
    """The step up to which it was trained."""
    train_risk: np.ndarray
    """Of each run, as last reported: a run without active members tells it again."""


def train(
    data: Transitions, runs: Sequence[Run], config: TrainConfig, *,
    report: Callable[[Progress], None] | None = None, tick: Callable[[int, int], None] | None = None,
    checkpoint: Path | None = None, checkpoint_seconds: float = 60.0, say: Callable[[str], None] | None = None,
    begins: Callable[[int], None] | None = None, devices_per_batch: int = 1, memory: int | None = None,
) -> Sweep:  # fmt: skip
    """Train `config.members` networks for each run, all as one program.

    **Arguments:**

    - `data`: the log; targets are next_obs - obs and the reward, normalized on each fold's training episodes.
    - `runs`: what differs between runs.
    - `config`: what they share; its seed is that of the held-out episodes, each run's own that of its training.
    - `report`: called every `REPORT_STEPS` steps, at the switch of phases and at the end.
    - `tick`: called often, with the steps done and in all.
    - `checkpoint`: a folder to leave the training's state in, at most every `checkpoint_seconds`; if it holds one, the
      training goes on from there, to the same result to the bit.
    - `say`: told what a person should know: a checkpoint that was damaged, a member that was put back.
    - `begins`: told the step that the training starts or goes on from.
    - `devices_per_batch`: how many devices share each batch; the others train other networks.
    - `memory`: bytes that a device may use beside the tables; on an accelerator, as many networks are trained side by
      side as fit, all if not given. A CPU trains one after the other, whatever the memory: its cache holds one. The
      result is the same to the bit.

    **Returns:** `Sweep`. **Raises:** `TrainingError` if a fold has no records, or if training diverges again and again.

    A step that is not finite changes nothing. A member most of whose steps are not finite is put back to its last sound
    state with half its learning rate, up to three times. A member that no step of the last phase has changed is none.
    """
    require_trainable(config, [run.weight for run in runs])
    whole = whole_log(data)
    require_fitting(config, whole.behavior_names, data.obs.shape[1], longest_episode(data.episode))
    folds = list(dict.fromkeys(run.left_out for run in runs))
    if len(folds) == 1:
        folds = 2 * folds  # XLA would simplify the choice among one, and round the risks otherwise than in company.
    penalties: tuple[tuple[TrainedPenalty, bool], ...] = tuple(
        dict.fromkeys((run.penalty, run.debiased) for run in runs)
    )
    mesh = mesh_of(devices_per_batch)
    place, everywhere = NamedSharding(mesh, P(NETWORK_AXIS)), NamedSharding(mesh, P())
    assignments = spread(assignments_of(runs, folds, penalties, config, mesh.shape[NETWORK_AXIS]), place)
    total = config.warmup_steps + config.steps
    if maps_of(data) and jax.process_count() == 1:
        host, held = tables_of(data, folds, config, whole=whole)
        records: Records = OnDisk(data, host, held, assignments, config, mesh)
    else:
        host, held = tables_of(data, folds, config, devices_per_batch, whole=whole)
        records = InMemory(host, mesh, devices_per_batch, total)
    held = spread(held, everywhere)
    count = assignments.fold.shape[0]
    per_device = count // mesh.shape[NETWORK_AXIS]

    started = time.perf_counter()
    programs = compile_programs(
        mesh, records.trained, records.judged, held, assignments, config, penalties, side_by_side(per_device), memory
    )
    compile_seconds = time.perf_counter() - started
    lead = (len(runs), config.members)
    slots = slots_of(count, mesh.shape[NETWORK_AXIS])[: len(runs) * config.members]

    def per_run(x: Array | np.ndarray) -> np.ndarray:
        return np.asarray(x)[slots].reshape(*lead, *x.shape[1:])

    resets = config.schedule(1.0).resets
    reported = {*resets, total, *range(REPORT_STEPS, total, REPORT_STEPS)} - {0}
    # No stretch crosses a reset, where the optimizer starts afresh. They are short, so that Ctrl-C is heard.
    stretch = min(STRETCH, records.steps)
    stops = [0, *sorted(reported | set(range(stretch, total, stretch)))]
    networks = programs.begin(records.judged, assignments)
    groups = whole.num_behaviors
    none = np.zeros(count, np.int64)
    told = _Told(
        np.full((count, groups), np.nan, np.float32), np.full(count, np.nan, np.float32), np.zeros(count, np.float32),
        np.ones(count, bool), none, none, none, np.full(len(runs), np.nan, np.float32),
    )  # fmt: skip
    sound, begun = networks, 0
    found = newest(checkpoint, Position(0, networks, sound, told), say=say)
    if found is not None:
        begun, networks, sound, told = found
        networks, sound = spread((networks, sound), place)
    if begins is not None:
        begins(begun)
    order, active = line_up(told.active, mesh, place)
    saved = time.monotonic()
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    for start, stop in pairwise(stops):
        if stop <= begun:
            continue
        if start in resets:
            networks, sound = programs.restart(networks), programs.restart(sound)
            told = told._replace(active=np.ones(count, bool))
            order, active = line_up(told.active, mesh, place)
        networks, info = programs.advance(
            networks, records.of(start), assignments, order, active, np.int32(start), np.int32(stop)
        )
        bad = np.asarray(info.bad)
        told = told._replace(skipped=told.skipped + bad.astype(np.int64), last=np.where(told.active, stop, told.last))
        # Each network by itself: what others do must not change what it is put back to.
        sound = _chosen(bad == 0, networks, sound, place)
        if bad.max() > BAD_SHARE * (stop - start):
            networks, backoffs = _back_off(networks, sound, bad > BAD_SHARE * (stop - start), told.backoffs, place)
            told = told._replace(backoffs=backoffs)
            raise_if_hopeless(per_run(backoffs), runs, data, start, stop)
            if say is not None:
                say(f"steps {start} to {stop} were not finite for some members: put back, with half the learning rate")
        seen.append((per_run(info.risk).sum(-1), per_run(info.present).sum(-1)))
        if stop in reported:
            networks, judged = programs.evaluate(
                networks, records.judged, held, assignments, order, active, np.int32(stop)
            )
            told = _remember(told, judged, seen, per_run)
            if config.patience is not None and stop > max(resets, default=0) and stop < total:
                stale = np.asarray(networks.best.stale)
                told = told._replace(active=told.active & (stale < config.patience))
                order, active = line_up(told.active, mesh, place)
            if report is not None:
                report(
                    Progress(
                        stop, total, told.train_risk, per_run(told.risk).mean(1), per_run(told.penalty).mean(1),
                        per_run(told.active).sum(1), per_run(told.skipped).sum(1),
                    )
                )  # fmt: skip
            seen = []
            ends = stop == total or not told.active.any()
            if checkpoint is not None and time.monotonic() - saved >= checkpoint_seconds and not ends:
                write(checkpoint, Position(stop, networks, sound, told))
                saved = time.monotonic()
        if tick is not None:
            tick(stop, total)
        if not told.active.any():
            break
    raise_if_untrained(per_run(np.asarray(networks.state.optimizer.count)), runs, data, max(resets, default=0), total)
    best = networks.best
    kept = best.network if config.keep == "best" else networks.state.network
    objective, risks = (best.objective, best.risk) if config.keep == "best" else (told.objective, told.risk)
    fold_of = np.array([folds.index(run.left_out) for run in runs])
    return Sweep(
        networks=jax.tree.map(per_run, kept),
        normalizers=jax.tree.map(lambda x: x[fold_of], host.normalizer),
        holdout_risk=per_run(risks),
        holdout_objective=per_run(objective),
        last_step=per_run(best.step if config.keep == "best" else told.last),
        skipped=per_run(told.skipped),
        compile_seconds=compile_seconds,
        behavior_names=whole.behavior_names,
    )


def side_by_side(per_device: int) -> int:
    """Networks that a device trains at once if its memory allows.

    Elsewhere than on a CPU two at least: the result is then the same to the bit however many fit.
    """
    return 1 if jax.default_backend() == "cpu" else max(per_device, 2)


def _remember(
    told: _Told, judged: Judged, seen: list[tuple[np.ndarray, np.ndarray]], per_run: Callable[..., np.ndarray]
) -> _Told:
    """What is known after an evaluation; a network that is not active keeps what was known of it."""
    now = [np.asarray(x) for x in judged]
    before = [told.risk, told.objective, told.penalty]
    kept = [np.where(told.active.reshape(-1, *(1,) * (x.ndim - 1)), x, y) for x, y in zip(now, before, strict=True)]
    stretches = []
    for risk, present in seen:
        records = present.sum(1)
        stretches.append(np.where(records > 0, risk.sum(1) / np.where(records > 0, records, 1), np.nan))
    train_risk = np.mean(stretches, axis=0)
    active = per_run(told.active).any(1)
    return told._replace(
        risk=kept[0], objective=kept[1], penalty=kept[2],
        train_risk=np.where(active & np.isfinite(train_risk), train_risk, told.train_risk).astype(np.float32),
    )  # fmt: skip


def _back_off(
    networks: Networks, sound: Networks, lost: Bool[np.ndarray, " slot"], backoffs: np.ndarray, place: NamedSharding
) -> tuple[Networks, np.ndarray]:
    """The lost networks as they last were sound, with half the learning rate."""
    rate = np.asarray(networks.learning_rate)
    put_back = networks._replace(state=sound.state, learning_rate=np.where(lost, np.float32(0.5) * rate, rate))
    return _chosen(lost, put_back, networks, place), backoffs + lost


def _chosen(these: Bool[np.ndarray, " slot"], networks: Networks, others: Networks, place: NamedSharding) -> Networks:
    """These of the networks, and the rest of the others."""
    if these.all():
        return networks

    def choose(x: Array | np.ndarray, y: Array | np.ndarray) -> np.ndarray:
        return np.where(these.reshape(-1, *(1,) * (x.ndim - 1)), np.asarray(x), np.asarray(y))

    return spread(jax.tree.map(choose, networks, others), place)
