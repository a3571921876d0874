"""Whole sweeps as one compiled program: every member of every run is trained side by side along one axis.

A run is a penalty, a weight, a left-out behavior and a seed. Its networks draw their own records from keys that
depend on the run's seed and the member only, so a run gives the same result in any company, alone included.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float32, Int32

from worldrex.data import Transitions, holdout
from worldrex.dynamics.ensemble import Network
from worldrex.dynamics.normalizer import Normalizer, fit_normalizer
from worldrex.dynamics.settings import Run, TrainingError, require_trainable
from worldrex.dynamics.training import (
    Assignment,
    StepInfo,
    Tables,
    TrainConfig,
    TrainState,
    batch_objective,
    init,
    record_losses,
    step,
)  # fmt: skip

REPORT_STEPS = 500
STRETCH = 100
T = TypeVar("T")


class Progress(NamedTuple):
    """Where a sweep stands after a chunk of steps."""

    step: int
    total: int
    train_risk: Float32[np.ndarray, " run"]
    """Mean risk of the batches of this chunk, in units of the normalized loss."""
    holdout_risk: Float32[np.ndarray, "run group"]
    """Risk of each behavior on held-out episodes, mean over the members; NaN for the left-out behavior."""
    holdout_penalty: Float32[np.ndarray, " run"]


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
    number: Int32[Array, " fold"]


def train(
    data: Transitions, runs: Sequence[Run], config: TrainConfig, *,
    report: Callable[[Progress], None] | None = None, tick: Callable[[int, int], None] | None = None,
) -> Sweep:  # fmt: skip
    """Train `config.members` networks for each run, all as one program.

    **Arguments:**

    - `data`: the log; targets are next_obs - obs and the reward, normalized on each fold's training episodes.
    - `runs`: what differs between runs.
    - `config`: what they share; its seed is that of the held-out episodes, each run's own that of its training.
    - `report`: called every `REPORT_STEPS` steps, at the switch of phases and at the end.
    - `tick`: called often, with the steps done and in all.

    **Returns:** `Sweep`. **Raises:** `TrainingError` if a fold has no records, or if a loss is not finite.

    The networks are spread over all local devices; on a CPU each device runs its networks one after the other (their
    working set then stays in the cache), on an accelerator all at once.
    """
    require_trainable(config, [run.weight for run in runs])
    folds = list(dict.fromkeys(run.left_out for run in runs))
    if len(folds) == 1:
        folds = 2 * folds  # XLA would simplify the choice among one, and round the risks otherwise than in company.
    penalties = tuple(dict.fromkeys((run.penalty, run.debiased) for run in runs))
    tables, held = _tables(data, folds, config)
    mesh = Mesh(np.array(jax.local_devices()), ("network",), axis_types=(AxisType.Auto,))
    assignments = _assignments(runs, folds, penalties, config, mesh.size)
    tables, held = jax.device_put((tables, held), NamedSharding(mesh, P()))
    assignments = jax.device_put(assignments, NamedSharding(mesh, P("network")))

    started = time.perf_counter()
    programs = _compile(
        mesh, tables, held, assignments, config, {"num_groups": data.num_behaviors, "penalties": penalties}
    )
    compile_seconds = time.perf_counter() - started
    lead = (len(runs), config.members)

    def per_run(x: Array) -> np.ndarray:
        return np.asarray(x)[: lead[0] * lead[1]].reshape(*lead, *x.shape[1:])

    states = programs.init(tables, assignments)
    total = config.warmup_steps + config.steps
    resets = config.schedule(1.0).resets
    reported = {*resets, total, *range(REPORT_STEPS, total, REPORT_STEPS)} - {0}
    # No stretch crosses a reset, where the optimizer starts afresh. They are short, so that Ctrl-C is heard.
    stops = sorted(reported | set(range(STRETCH, total, STRETCH)))
    seen, risks, objectives = [], np.zeros(0, np.float32), np.zeros(0, np.float32)
    for start, stop in pairwise([0, *stops]):
        if start in resets:
            states = programs.restart(states)
        states, info = programs.advance(states, tables, assignments, jnp.int32(start), jnp.int32(stop))
        _raise_if_bad(per_run(info.bad).sum(1), runs, start, stop)
        seen.append(per_run(info.risk).sum(-1).mean(1) / per_run(info.present).sum(-1).mean(1))
        if stop in reported:
            risks, objectives, penalty = (per_run(x) for x in programs.evaluate(states, tables, held, assignments))
            if report is not None:
                report(Progress(stop, total, np.mean(seen, axis=0), risks.mean(1), penalty.mean(1)))
            seen = []
        if tick is not None:
            tick(stop, total)
    fold_of = np.array([folds.index(run.left_out) for run in runs])
    return Sweep(
        networks=jax.tree.map(per_run, states.network),
        normalizers=jax.tree.map(lambda x: np.asarray(x)[fold_of], tables.normalizer),
        holdout_risk=risks,
        holdout_objective=objectives,
        compile_seconds=compile_seconds,
    )


def _raise_if_bad(steps: np.ndarray, runs: Sequence[Run], start: int, stop: int) -> None:
    if steps.any():
        worst = runs[int(steps.argmax())]
        raise TrainingError(
            f"training diverged: between steps {start} and {stop}, {int(steps.sum())} steps had a loss or gradient that is "
            f"not finite, most of them with penalty {worst.penalty} of weight {worst.weight:g} and seed {worst.seed}. Look "
            "for huge values with `worldrex describe`, or lower the learning rate or the weight."
        )


def _tables(data: Transitions, folds: Sequence[int | None], config: TrainConfig) -> tuple[Tables, _Holdout]:
    inputs = np.concatenate([data.obs, data.action], 1)
    with np.errstate(over="ignore"):
        outputs = np.concatenate([data.next_obs - data.obs, data.reward[:, None]], 1)
    if not np.isfinite(outputs).all():
        raise TrainingError(
            f"next_obs - obs is not finite in float32, first at row {int(np.argmin(np.isfinite(outputs).all(1)))}. Look for "
            "huge values with `worldrex describe`, or change the unit."
        )
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
        inputs=jnp.asarray(inputs),
        outputs=jnp.asarray(outputs),
        behavior=jnp.asarray(data.behavior),
        train_rows=_padded(kept),
        train_count=jnp.array([len(rows) for rows in kept], jnp.uint32),
        normalizer=jax.tree.map(lambda *x: jnp.stack(x), *normalizers),
    )
    return tables, _Holdout(_padded(held), jnp.array([len(rows) for rows in held], jnp.int32))


def _padded(rows: Sequence[np.ndarray]) -> Int32[Array, "fold row"]:
    out = np.zeros((len(rows), max(len(r) for r in rows)), np.int32)
    for i, r in enumerate(rows):
        out[i, : len(r)] = r
    return jnp.asarray(out)


def _assignments(
    runs: Sequence[Run], folds: Sequence[int | None], penalties: Sequence[tuple[str, bool]], config: TrainConfig,
    num_devices: int,
) -> Assignment:  # fmt: skip
    keys = [jax.random.key(run.seed) for run in runs]
    of_network = [(r, m) for r in range(len(runs)) for m in range(config.members)]
    # Every device gets as many: the last one is trained more than once where that does not come out even.
    of_network += of_network[-1:] * (-len(of_network) % num_devices)
    return Assignment(
        key=jnp.stack([jax.random.fold_in(keys[r], m) for r, m in of_network]),
        fold=jnp.array([folds.index(runs[r].left_out) for r, _ in of_network], jnp.int32),
        penalty=jnp.array([penalties.index((runs[r].penalty, runs[r].debiased)) for r, _ in of_network], jnp.int32),
        weight=jnp.array([runs[r].weight for r, _ in of_network], jnp.float32),
    )


class _Programs(NamedTuple):
    init: Callable[..., TrainState]
    restart: Callable[..., TrainState]
    advance: Callable[..., tuple[TrainState, StepInfo]]
    evaluate: Callable[..., tuple[Array, Array, Array]]


def _compile(
    mesh: Mesh, tables: Tables, held: _Holdout, assignments: Assignment, config: TrainConfig, static: dict
) -> _Programs:
    """The sweep's programs, compiled ahead of time, each over the networks of one device at a time."""
    at_once = 1 if jax.default_backend() == "cpu" else assignments.weight.shape[0] // mesh.size

    def each_network(function: Callable[..., T], per_network: tuple) -> T:
        if at_once == 1:
            return jax.lax.map(lambda x: function(*x), per_network)
        return jax.vmap(function)(*per_network)

    def program(function: Callable, *specs: P) -> jax.stages.Wrapped:
        return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=P("network"), check_vma=False))

    networks, everywhere = P("network"), P()

    def start(tables: Tables, assignments: Assignment) -> TrainState:
        return each_network(lambda assignment: init(tables, assignment, config), (assignments,))

    def restart(states: TrainState) -> TrainState:
        return TrainState(states.network, jax.tree.map(jnp.zeros_like, states.optimizer))

    def advance(states: TrainState, tables: Tables, assignments: Assignment, first: Array, last: Array) -> tuple:
        def one(state: TrainState, assignment: Assignment) -> tuple[TrainState, StepInfo]:
            def body(number: Array, carry: tuple) -> tuple:
                state, sums = carry
                state, info = step(state, tables, assignment, number, config, **static)
                return state, jax.tree.map(jnp.add, sums, info)

            zero = StepInfo(jnp.zeros(static["num_groups"]), jnp.zeros(static["num_groups"]), jnp.zeros(()))
            return jax.lax.fori_loop(first, last, body, (state, zero))

        return each_network(one, (states, assignments))

    def evaluate(
        states: TrainState, tables: Tables, held: _Holdout, assignments: Assignment
    ) -> tuple[Array, Array, Array]:
        return each_network(
            partial(_holdout_risk, tables=tables, held=held, config=config, static=static), (states, assignments)
        )

    init_program = program(start, everywhere, networks).lower(tables, assignments).compile()
    states = init_program(tables, assignments)
    return _Programs(
        init=init_program,
        restart=program(restart, networks),
        advance=program(advance, networks, everywhere, networks, everywhere, everywhere)
        .lower(states, tables, assignments, jnp.int32(0), jnp.int32(1)).compile(),
        evaluate=program(evaluate, networks, everywhere, everywhere, networks)
        .lower(states, tables, held, assignments).compile(),
    )  # fmt: skip


def _holdout_risk(
    state: TrainState, assignment: Assignment, *, tables: Tables, held: _Holdout, config: TrainConfig, static: dict
) -> tuple[Array, Array, Array]:
    rows = held.rows[assignment.fold]
    mask = jnp.arange(rows.shape[0], dtype=jnp.int32) < held.number[assignment.fold]
    normalizer = jax.tree.map(lambda x: x[assignment.fold], tables.normalizer)
    losses, _ = record_losses(state.network, normalizer, tables.inputs[rows], tables.outputs[rows], config.loss)
    objective = partial(
        batch_objective,
        losses,
        tables.behavior[rows],
        assignment,
        mask=mask,
        per_dimension=config.per_dimension,
        **static,
    )
    value, moments = objective(assignment.weight)
    plain, _ = objective(jnp.float32(0.0))
    risks = jnp.where(moments.count.min(0) > 0, moments.mean.mean(0), jnp.nan)
    # The objective is rescaled by max(1, weight): risk + weight * penalty over that.
    scale, weight = jnp.maximum(assignment.weight, 1.0), assignment.weight
    penalty = jnp.where(weight > 0, (value * scale - plain) / jnp.where(weight > 0, weight, 1.0), 0.0)
    return risks, value, penalty
