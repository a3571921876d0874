"""A sweep's compiled programs: each maps the single-network functions over the networks that each device holds."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int32

from worldrex import risk
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.selection import Best, better, no_best
from worldrex.dynamics.settings import TrainConfig, TrainedPenalty
from worldrex.dynamics.tables import COLUMNS, RECORD_AXIS, Tables, take
from worldrex.dynamics.training import (
    Assignment,
    BatchMoments,
    StepInfo,
    TrainState,
    batch_moments,
    has_irm,
    init,
    objective,
    record_losses,
    step,
)

NETWORK_AXIS = "network"
T = TypeVar("T")


class Holdout(NamedTuple):
    """The held-out rows of each fold, in blocks that are judged one after the other."""

    rows: Int32[Array | np.ndarray, "fold block holdout"]
    number: Int32[Array | np.ndarray, " fold"]


class Networks(NamedTuple):
    """Everything that training changes, a leading `network` axis on each."""

    state: TrainState
    best: Best
    learning_rate: Float[Array, " network"]


class Judged(NamedTuple):
    """What an evaluation on held-out episodes finds of each network."""

    risk: Float[Array, "*network group"]
    objective: Float[Array, "*network"]
    penalty: Float[Array, "*network"]


class Programs(NamedTuple):
    """Compiled ahead of time; `order` and `active` say which of its networks each device works on."""

    begin: jax.stages.Compiled
    """Networks of tables and assignments."""
    restart: jax.stages.Compiled
    """Networks of networks."""
    advance: jax.stages.Compiled
    """Networks and `StepInfo`."""
    evaluate: jax.stages.Compiled
    """Networks and what was `Judged` of them."""


def compile_programs(
    mesh: Mesh, tables: Tables, judged: Tables, held: Holdout, assignments: Assignment, config: TrainConfig,
    penalties: Sequence[tuple[TrainedPenalty, bool]], at_once: int, memory: int | None = None,
) -> Programs:  # fmt: skip
    """The programs of this sweep; the `judged` tables hold the held-out records.

    On each device `at_once` networks, or as many as fit into the `memory` (in bytes), are trained side by side (vmap), one
    group of them after the other, but no fewer than 2 unless `at_once` is 1. Networks are independent, so which ones share
    a group changes nothing, to the bit; one by one they are another program, whose products round otherwise. A network that
    is not among the `active` first of `order` costs nothing and stays as it is.

    **Raises:** `TrainingError` where not even so many fit.
    """
    fewest = min(at_once, 2)
    while True:
        programs, needed = _compiled(mesh, tables, judged, held, assignments, config, penalties, at_once)
        if memory is None or needed <= memory:
            return programs
        if at_once == fewest:
            raise TrainingError(
                f"training {at_once} network{'s' * (at_once > 1)} at a time needs {needed / 1e6:,.0f} MB beside the log, and "
                f"{memory / 1e6:,.0f} MB were given: give more, or choose a smaller batch or network."
            )
        at_once = max(fewest, min(at_once // 2, at_once * memory // needed))


def _compiled(
    mesh: Mesh, tables: Tables, judged: Tables, held: Holdout, assignments: Assignment, config: TrainConfig,
    penalties: Sequence[tuple[TrainedPenalty, bool]], at_once: int,
) -> tuple[Programs, int]:  # fmt: skip
    """The programs, and the bytes of a device that the largest of them takes beside the tables."""
    shards = mesh.shape[RECORD_AXIS]
    share = partial(step, config=config, penalties=penalties, shards=shards)

    def each(function: Callable[..., T], networks: Any, out: T, order: Array, active: Array) -> T:
        """`function` of the active networks, a group at a time, written over `out`."""
        total = order.shape[0]

        def group(number: Array, out: T) -> T:
            places = number * at_once + jnp.arange(at_once, dtype=jnp.int32)
            # Beyond the active ones: computed along, and written nowhere.
            chosen = jnp.where(places < active[0], order[jnp.minimum(places, total - 1)], total)
            mine = jax.tree.map(lambda x: x[jnp.minimum(chosen, total - 1)], networks)
            if at_once == 1:
                told = jax.tree.map(lambda x: x[None], function(*jax.tree.map(lambda x: x[0], mine)))
            else:
                told = jax.vmap(function)(*mine)
            return jax.tree.map(lambda x, y: x.at[chosen].set(y, mode="drop"), out, told)

        return jax.lax.fori_loop(0, (active[0] + at_once - 1) // at_once, group, out)

    def begin(tables: Tables, assignments: Assignment) -> Networks:
        def one(assignment: Assignment) -> Networks:
            state = init(tables, assignment, config, penalties=penalties)
            return Networks(state, no_best(state.network, tables.baseline.shape[0]), assignment.learning_rate)

        return jax.lax.map(one, assignments)

    groups = tables.baseline.shape[0]

    def restart(networks: Networks) -> Networks:
        state = networks.state._replace(optimizer=jax.tree.map(jnp.zeros_like, networks.state.optimizer))
        return networks._replace(state=state, best=jax.vmap(partial(no_best, num_groups=groups))(state.network))

    def advance(
        networks: Networks,
        tables: Tables,
        assignments: Assignment,
        order: Array,
        active: Array,
        first: Array,
        last: Array,
    ) -> tuple[Networks, StepInfo]:
        def one(networks: Networks, assignment: Assignment) -> tuple[Networks, StepInfo]:
            assignment = assignment._replace(learning_rate=networks.learning_rate)

            def body(number: Array, carry: tuple) -> tuple:
                state, sums = carry
                state, info = share(state, tables, assignment, number)
                return state, jax.tree.map(jnp.add, sums, info)

            state, sums = jax.lax.fori_loop(first, last, body, (networks.state, _no_info(tables)))
            return networks._replace(state=state), sums

        nothing = jax.tree.map(lambda x: jnp.zeros((order.shape[0], *x.shape)), _no_info(tables))
        return each(one, (networks, assignments), (networks, nothing), order, active)

    def evaluate(
        networks: Networks,
        tables: Tables,
        held: Holdout,
        assignments: Assignment,
        order: Array,
        active: Array,
        now: Array,
    ) -> tuple[Networks, Judged]:
        def one(networks: Networks, assignment: Assignment) -> tuple[Networks, Judged]:
            judged = _judge(networks.state, assignment, tables, held, config, penalties, shards)
            best = better(networks.best, networks.state.network, judged.objective, judged.risk, now)
            return networks._replace(best=best), judged

        count = order.shape[0]
        nothing = Judged(*(jnp.full(shape, jnp.nan) for shape in ((count, groups), (count,), (count,))))
        return each(one, (networks, assignments), (networks, nothing), order, active)

    def program(function: Callable, *specs: Any) -> jax.stages.Wrapped:
        return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=P(NETWORK_AXIS), check_vma=False))

    mine, everywhere = P(NETWORK_AXIS), P()
    cut = tables_spec(tables, shards)
    begin_program = program(begin, cut, mine)
    networks = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(mesh, mine)),
        jax.eval_shape(begin_program, judged, assignments),
    )
    order = assignments.fold
    active = jax.ShapeDtypeStruct((mesh.shape[NETWORK_AXIS],), jnp.int32, sharding=NamedSharding(mesh, mine))
    now = jax.ShapeDtypeStruct((), jnp.int32)
    which = (order, active)
    # One after the other: side by side they take 200 MB more, and no less time, since XLA's compiler uses all cores.
    programs = Programs(
        begin=begin_program.lower(judged, assignments).compile(),
        restart=program(restart, mine).lower(networks).compile(),
        advance=program(advance, mine, cut, mine, mine, mine, everywhere, everywhere)
        .lower(networks, tables, assignments, *which, now, now).compile(),
        evaluate=program(evaluate, mine, cut, everywhere, mine, mine, mine, everywhere)
        .lower(networks, judged, held, assignments, *which, now).compile(),
    )  # fmt: skip
    own = sum(x.dtype.itemsize * x.size for x in jax.tree.leaves(networks)) // mesh.shape[NETWORK_AXIS]
    found = [one.memory_analysis() for one in (programs.advance, programs.evaluate)]
    # What goes in and comes out, and what a program needs in between.
    return programs, 2 * own + max(one.temp_size_in_bytes for one in found if one is not None)


def tables_spec(tables: Tables, shards: int) -> Tables:
    """How the tables lie over the mesh: the records of a whole log cut into shards, all else everywhere."""
    spec = jax.tree.map(lambda _: P(), tables)
    if shards == 1 or tables.rows is not None:
        return spec
    records = P(RECORD_AXIS)
    return spec._replace(**{name: records for name in COLUMNS if getattr(tables, name) is not None})


def _no_info(tables: Tables) -> StepInfo:
    groups = jnp.zeros(tables.baseline.shape[0])
    return StepInfo(groups, groups, jnp.zeros(()))


def _judge(
    state: TrainState, assignment: Assignment, tables: Tables, held: Holdout, config: TrainConfig,
    penalties: Sequence[tuple[TrainedPenalty, bool]], shards: int,
) -> Judged:  # fmt: skip
    normalizer = jax.tree.map(lambda x: x[assignment.fold], tables.normalizer)
    blocks, block = held.rows.shape[1:]

    def moments_of(number: Array) -> BatchMoments:
        mask = number * block + jnp.arange(block, dtype=jnp.int32) < held.number[assignment.fold]
        batch = take(tables, held.rows[assignment.fold, number], mask, features=config.features, shards=shards)
        losses = record_losses(state.network, normalizer, batch.inputs, batch.outputs, config.loss, batch.terminated)
        return batch_moments(
            losses, batch, tables.baseline.shape[0], irm=has_irm(penalties), per_dimension=config.per_dimension,
            shards=shards,
        )  # fmt: skip

    def more(number: Array, moments: BatchMoments) -> BatchMoments:
        pairs = zip(_each(moments), _each(moments_of(number)), strict=True)
        penalized, *scales = [risk.merge(one, other) for one, other in pairs]
        return BatchMoments(penalized, tuple(scales))

    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(moments_of, jnp.int32(0)))
    moments = jax.lax.fori_loop(0, blocks, more, nothing)
    # The weights of group_dro move: the worst risk, towards which they move, means the same at every evaluation.
    steady: list[tuple[TrainedPenalty, bool]] = [
        ("worst", debiased) if name == "group_dro" else (name, debiased) for name, debiased in penalties
    ]

    def value_at(weight: Float[Array, ""]) -> Array:
        return objective(
            moments, assignment, weight, baseline=tables.baseline, group_dro=state.group_dro, penalties=steady
        )

    weight = assignment.weight
    value, plain = value_at(weight), value_at(jnp.float32(0.0))
    found = moments.penalized
    risks = jnp.where(found.count.min(0) > 0, found.mean.mean(0), jnp.nan)
    # The objective is rescaled by max(1, weight): risk + weight * penalty over that.
    penalty = (value * jnp.maximum(weight, 1.0) - plain) / jnp.where(weight > 0, weight, 1.0)
    return Judged(risks, value, jnp.where(weight > 0, penalty, 0.0))


def _each(moments: BatchMoments) -> tuple[risk.Moments, ...]:
    return moments.penalized, *moments.scales
