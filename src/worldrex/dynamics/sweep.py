"""Whole sweeps as one compiled program: every member of every run is trained side by side along one axis.

A run is a penalty, a weight, a left-out behavior and a seed. Its networks draw their own records from keys that
depend on the run's seed and the member only, so a run gives the same result in any company, alone included.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float32, Int32

from worldrex import risk
from worldrex.data import Transitions, holdout
from worldrex.dynamics.ensemble import Network
from worldrex.dynamics.normalizer import Normalizer, fit_normalizer
from worldrex.dynamics.training import (
    FitConfig, StepInfo, Tables, Task, TrainState, batch_objective, init, record_losses, step,
)  # fmt: skip


class TrainingError(ValueError):
    """Training cannot go on; the message says what came and what to do."""


@dataclass(frozen=True)
class Run:
    """One configuration, fold and seed of a sweep."""

    penalty: risk.PenaltyName = "variance"
    weight: float = 100.0
    debiased: bool = True
    left_out: int | None = None
    """Id of the behavior that this run never sees, or None."""
    seed: int = 0


class Progress(NamedTuple):
    """Where a sweep stands after a chunk of steps."""

    step: int
    total: int
    train_risk: Float32[np.ndarray, "run"]
    """Mean risk of the batches of this chunk, in units of the normalized loss."""
    holdout_risk: Float32[np.ndarray, "run group"]
    """Risk of each behavior on held-out episodes, mean over the members; NaN for the left-out behavior."""
    holdout_penalty: Float32[np.ndarray, "run"]


class Sweep(NamedTuple):
    """What a sweep leaves."""

    networks: Network
    """Parameters with leading axes `[run, member]`."""
    normalizers: Normalizer
    """Of each run, leading axis `[run]`."""
    holdout_risk: Float32[np.ndarray, "run member group"]
    holdout_objective: Float32[np.ndarray, "run member"]
    """Each member's own objective on held-out episodes, by which elites are chosen."""
    compile_seconds: float


class _Holdout(NamedTuple):
    rows: Int32[Array, "fold holdout"]
    count: Int32[Array, "fold"]


def train(
    data: Transitions, runs: Sequence[Run], config: FitConfig, *, chunk: int = 500,
    report: Callable[[Progress], None] | None = None,
) -> Sweep:  # fmt: skip
    """Train `config.members` networks for each run, all as one program.

    **Arguments:**

    - `data`: the log; targets are next_obs - obs and the reward, normalized on each fold's training episodes.
    - `runs`: what differs between runs; `config` holds what they share (its penalty, weight and seed are not used,
      but for the seed of the holdout split).
    - `chunk`: steps between two calls of `report`.

    **Returns:** `Sweep`. **Raises:** `TrainingError` if a fold has no records, or if a loss is not finite.

    The networks are spread over all local devices; on a CPU each device runs its networks one after the other (their
    working set then stays in the cache), on an accelerator all at once.
    """
    folds = list(dict.fromkeys(run.left_out for run in runs))
    penalties = tuple(dict.fromkeys((run.penalty, run.debiased) for run in runs))
    tables, held = _tables(data, folds, config)
    devices = jax.local_devices()
    mesh = Mesh(np.array(devices), ("network",), axis_types=(AxisType.Auto,))
    tasks, networks_in_all = _tasks(runs, folds, penalties, config, len(devices))
    spread, everywhere = NamedSharding(mesh, P("network")), NamedSharding(mesh, P())
    tables, held = jax.device_put((tables, held), everywhere)
    tasks = jax.device_put(tasks, spread)

    static = {"num_groups": data.num_behaviors, "penalties": penalties}
    started = time.perf_counter()
    programs = _compile(mesh, tables, held, tasks, config, static)
    compile_seconds = time.perf_counter() - started

    def per_run(x: Array) -> np.ndarray:
        return np.asarray(x)[:networks_in_all].reshape(len(runs), config.members, *x.shape[1:])

    states = programs.init(tables, tasks)
    total = config.warmup_steps + config.steps
    # A chunk never crosses the switch of phases, where the optimizer starts afresh.
    stops = sorted({config.warmup_steps, total, *range(chunk, total, chunk)} - {0})
    risks = objectives = np.zeros(0, np.float32)
    for start, stop in zip([0, *stops], stops, strict=False):
        if start == config.warmup_steps:
            states = programs.restart(states)
        states, info = programs.advance(states, tables, tasks, jnp.int32(start), jnp.int32(stop))
        bad = per_run(info.bad).sum(1)
        if bad.any():
            raise TrainingError(
                f"training diverged: {int(bad.sum())} steps of {runs[int(bad.argmax())]} had a loss or gradient that is "
                f"not finite between steps {start} and {stop}. Look for huge values with `worldrex describe`, or lower "
                "learning_rate or weight."
            )
        risks, objectives, penalty = (per_run(x) for x in programs.evaluate(states, tables, held, tasks))
        if report is not None:
            seen = per_run(info.risk).sum(-1) / per_run(info.present).sum(-1)
            report(Progress(stop, total, seen.mean(1), risks.mean(1), penalty.mean(1)))
    lead = (len(runs), config.members)
    fold_of = np.array([folds.index(run.left_out) for run in runs])
    return Sweep(
        networks=jax.tree.map(lambda x: np.asarray(x)[:networks_in_all].reshape(*lead, *x.shape[1:]), states.network),
        normalizers=jax.tree.map(lambda x: np.asarray(x)[fold_of], tables.normalizer),
        holdout_risk=risks,
        holdout_objective=objectives,
        compile_seconds=compile_seconds,
    )


def _tables(data: Transitions, folds: Sequence[int | None], config: FitConfig) -> tuple[Tables, _Holdout]:
    inputs = np.concatenate([data.obs, data.action], 1)
    outputs = np.concatenate([data.next_obs - data.obs, data.reward[:, None]], 1)
    train_rows, holdout_rows = holdout(data, config.holdout, seed=config.seed)

    def rows_of(rows: np.ndarray, fold: int | None) -> np.ndarray:
        kept = rows if fold is None else rows[data.behavior[rows] != fold]
        if not len(kept):
            raise TrainingError(f"no records are left when {data.behavior_names[fold or 0]!r} is left out")
        return kept

    kept = [rows_of(train_rows, fold) for fold in folds]
    held = [rows_of(holdout_rows, fold) for fold in folds]
    normalizers = [fit_normalizer(inputs[rows], outputs[rows]) for rows in kept]
    tables = Tables(
        inputs, outputs, data.behavior.astype(np.int32), _padded(kept),
        np.array([len(rows) for rows in kept], np.uint32), jax.tree.map(lambda *x: np.stack(x), *normalizers),
    )  # fmt: skip
    return tables, _Holdout(_padded(held), np.array([len(rows) for rows in held], np.int32))


def _padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    out = np.zeros((len(rows), max(len(r) for r in rows)), np.int32)
    for i, r in enumerate(rows):
        out[i, : len(r)] = r
    return out


def _tasks(
    runs: Sequence[Run], folds: Sequence[int | None], penalties: Sequence[tuple[str, bool]], config: FitConfig,
    num_devices: int,
) -> tuple[Task, int]:  # fmt: skip
    keys = [jax.random.split(jax.random.key(run.seed), 1)[0] for run in runs]
    of_network = [(r, m) for r in range(len(runs)) for m in range(config.members)]
    number = len(of_network)
    of_network += of_network[-1:] * (-number % num_devices)
    tasks = Task(
        key=jnp.stack([jax.random.fold_in(keys[r], m) for r, m in of_network]),
        fold=jnp.array([folds.index(runs[r].left_out) for r, _ in of_network], jnp.int32),
        penalty=jnp.array([penalties.index((runs[r].penalty, runs[r].debiased)) for r, _ in of_network], jnp.int32),
        weight=jnp.array([runs[r].weight for r, _ in of_network], jnp.float32),
    )
    return tasks, number


class _Programs(NamedTuple):
    init: Callable[..., TrainState]
    restart: Callable[..., TrainState]
    advance: Callable[..., tuple[TrainState, StepInfo]]
    evaluate: Callable[..., tuple[Array, Array, Array]]


def _compile(mesh: Mesh, tables: Tables, held: _Holdout, tasks: Task, config: FitConfig, static: dict) -> _Programs:
    """The sweep's programs, compiled ahead of time, each over the networks of one device at a time."""
    at_once = 1 if jax.default_backend() == "cpu" else tasks.weight.shape[0] // mesh.size

    def each_network(function: Callable, per_network: tuple) -> Array:
        if at_once == 1:
            return jax.lax.map(lambda x: function(*x), per_network)
        return jax.vmap(function)(*per_network)

    def program(function: Callable, *specs: P) -> Callable:
        return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=P("network"), check_vma=False))

    networks, everywhere = P("network"), P()

    def start(tables: Tables, tasks: Task) -> TrainState:
        return each_network(lambda task: init(tables, task, config), (tasks,))

    def restart(states: TrainState) -> TrainState:
        return TrainState(states.network, jax.tree.map(jnp.zeros_like, states.optimizer))

    def advance(states: TrainState, tables: Tables, tasks: Task, first: Array, last: Array) -> tuple:
        def one(state: TrainState, task: Task) -> tuple[TrainState, StepInfo]:
            def body(number: Array, carry: tuple) -> tuple:
                state, sums = carry
                state, info = step(state, tables, task, number, config, **static)
                return state, jax.tree.map(jnp.add, sums, info)

            zero = StepInfo(jnp.zeros(static["num_groups"]), jnp.zeros(static["num_groups"]), jnp.zeros(()))
            return jax.lax.fori_loop(first, last, body, (state, zero))

        return each_network(one, (states, tasks))

    def evaluate(states: TrainState, tables: Tables, held: _Holdout, tasks: Task) -> tuple[Array, Array, Array]:
        return each_network(partial(_holdout_risk, tables=tables, held=held, config=config, static=static), (states, tasks))

    init_program = program(start, everywhere, networks).lower(tables, tasks).compile()
    states = init_program(tables, tasks)
    return _Programs(
        init=init_program,
        restart=program(restart, networks),
        advance=program(advance, networks, everywhere, networks, everywhere, everywhere)
        .lower(states, tables, tasks, jnp.int32(0), jnp.int32(1)).compile(),
        evaluate=program(evaluate, networks, everywhere, everywhere, networks)
        .lower(states, tables, held, tasks).compile(),
    )  # fmt: skip


def _holdout_risk(
    state: TrainState, task: Task, *, tables: Tables, held: _Holdout, config: FitConfig, static: dict
) -> tuple[Array, Array, Array]:
    rows = held.rows[task.fold]
    mask = jnp.arange(rows.shape[0], dtype=jnp.int32) < held.count[task.fold]
    normalizer = jax.tree.map(lambda x: x[task.fold], tables.normalizer)
    losses, _ = record_losses(state.network, normalizer, tables.inputs[rows], tables.outputs[rows], config.loss)
    objective = partial(
        batch_objective, losses, tables.behavior[rows], task, mask=mask, per_dimension=config.per_dimension, **static
    )
    value, moments = objective(task.weight)
    plain, _ = objective(jnp.float32(0.0))
    risks = jnp.where(moments.count.min(0) > 0, moments.mean.mean(0), jnp.nan)
    # The objective is rescaled by max(1, weight): risk + weight * penalty over that.
    scale = jnp.maximum(task.weight, 1.0)
    penalty = jnp.where(task.weight > 0, (value * scale - plain) / jnp.where(task.weight > 0, task.weight, 1.0), 0.0)
    return risks, value, penalty
