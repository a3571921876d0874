"""The compiled programs of learning in a world: rollouts, buffer and updates are one of them, over all runs."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, PRNGKeyArray

from worldrex.policy import replay, sac
from worldrex.policy.absorbing import Absorbing
from worldrex.policy.bellman import inconsistency, seen_in_rollouts
from worldrex.policy.conservatism import conservative_term
from worldrex.policy.imitation import imitation_term
from worldrex.policy.replay import Batch, Replay
from worldrex.policy.rollouts import RolloutInfo, branch, episode_returns
from worldrex.policy.sac import SACInfo, SACState
from worldrex.policy.scales import Scales
from worldrex.policy.settings import MOPOConfig, PolicyRun
from worldrex.policy.worlds import EnsembleWorld, World

RUN_AXIS = "run"
JUDGED_EPISODES = 256
T = TypeVar("T")


class Setting(NamedTuple):
    """What all runs learn from; the arrays of `worlds` have a leading axis."""

    worlds: World
    scales: Scales
    log: Batch
    """The log as the networks see it."""
    starts: Float[Array | np.ndarray, "start obs"]
    """Where rollouts begin, in the data's own units."""
    first: Float[Array | np.ndarray, "episode obs"]
    """Where the episodes began that the policy is judged by."""
    absorbing: Absorbing | None = None
    """One for each of the worlds."""


class Assignment(NamedTuple):
    """What is particular to one run."""

    key: PRNGKeyArray
    world: Int[Array, ""]
    pessimism: Float[Array, ""]


class Learner(NamedTuple):
    """Everything that learning changes; a leading `run` axis on each."""

    sac: SACState
    replay: Replay


class LearnInfo(NamedTuple):
    """Sums over a stretch of updates."""

    updates: SACInfo
    rollouts: RolloutInfo


class Programs(NamedTuple):
    """Compiled ahead of time."""

    begin: jax.stages.Compiled
    """Learners of assignments."""
    advance: jax.stages.Compiled
    """Learners and `LearnInfo` of learners, the setting, assignments, how many runs each device has, first and last step."""
    judge: jax.stages.Compiled
    """Returns of episodes in the model, `[run, episode]`, of the same but the last step."""


def mesh_of_runs() -> Mesh:
    """All devices along one axis, which the runs are dealt out to."""
    return Mesh(np.array(jax.devices()), (RUN_AXIS,), axis_types=(AxisType.Auto,))


def assignments_of(runs: Sequence[PolicyRun], slots: int) -> Assignment:
    """Those of the runs, the last one more than once to fill all slots."""
    filled = [*runs, *[runs[-1]] * (slots - len(runs))]
    return Assignment(
        jnp.stack([jax.random.key(run.seed) for run in filled]),
        jnp.array([run.model for run in filled], jnp.int32),
        jnp.array([run.pessimism for run in filled], jnp.float32),
    )


def compile_programs(
    mesh: Mesh, setting: Setting, assignments: Assignment, config: MOPOConfig, episode_steps: int, *, side_by_side: bool
) -> Programs:
    """The programs of these runs.

    On each device runs are learned one after the other, or `side_by_side` (vmap). They are independent, so which ones
    share a device changes nothing, to the bit; side by side is another program, whose products round otherwise.
    """
    obs_dims, action_dims = setting.log.obs.shape[-1], setting.log.action.shape[-1]
    capacity = config.retain * config.rollouts * config.horizon
    real = config.logged

    def each(function: Callable[..., T], mine: Any, out: T, count: Array) -> T:
        """`function` of the first `count` of a device's runs, written over `out`."""
        if side_by_side:
            return jax.vmap(function)(*mine)

        def one(number: Array, out: T) -> T:
            # The barriers keep how many runs there are out of what the compiler makes of one.
            own = jax.lax.optimization_barrier(jax.tree.map(lambda x: x[number], mine))
            told = jax.lax.optimization_barrier(function(*own))
            return jax.tree.map(lambda x, y: x.at[number].set(y), out, told)

        return jax.lax.fori_loop(0, count[0], one, out)

    def begin(assignments: Assignment) -> Learner:
        def one(assignment: Assignment) -> Learner:
            key = jax.random.fold_in(assignment.key, 2**31)
            return Learner(
                sac.init(obs_dims, action_dims, config, key=key), replay.init(capacity, obs_dims, action_dims)
            )

        return jax.lax.map(one, assignments)

    def world_of(setting: Setting, assignment: Assignment) -> World:
        return jax.tree.map(lambda x: x[assignment.world], setting.worlds)

    def advance(
        learners: Learner, setting: Setting, assignments: Assignment, count: Array, first: Array, last: Array
    ) -> tuple[Learner, LearnInfo]:
        def one(learner: Learner, assignment: Assignment) -> tuple[Learner, LearnInfo]:
            world = world_of(setting, assignment)
            absorbing = jax.tree.map(lambda x: x[assignment.world], setting.absorbing)

            def measure(state: SACState, records: Batch, key: Array) -> Array:
                assert isinstance(world, EnsembleWorld)
                return inconsistency(world, state, setting.scales, records, config.discount, key=key)

            def cycle(number: Array, carry: tuple[Learner, LearnInfo]) -> tuple[Learner, LearnInfo]:
                (state, buffer), info = carry
                begins = number * config.rollout_every
                key = jax.random.fold_in(jax.random.fold_in(assignment.key, 2**29), begins)
                for_starts, for_rollout = jax.random.split(key)
                rows = jax.random.randint(for_starts, (config.rollouts,), 0, setting.starts.shape[0])
                records, valid, rolled = branch(
                    world, state.actor, setting.scales, jnp.asarray(setting.starts)[rows], config.horizon,
                    pessimism=assignment.pessimism, absorbing=absorbing, key=for_rollout,
                )  # fmt: skip
                if config.uncertainty == "bellman":
                    measured = measure(state, records, jax.random.fold_in(for_rollout, 1))
                    valid, rolled = seen_in_rollouts(measured, valid, rolled)
                buffer = replay.add(buffer, records, valid)

                def update(number: Array, carry: tuple[SACState, SACInfo]) -> tuple[SACState, SACInfo]:
                    state, sums = carry
                    for_batch, for_update = jax.random.split(jax.random.fold_in(assignment.key, number))
                    batch = replay.draw(buffer, setting.log, config.batch, real, key=for_batch)
                    more_loss = None
                    if config.uncertainty == "bellman":
                        rolled_out = jax.tree.map(lambda x: x[real:], batch)
                        measured = measure(state, rolled_out, jax.random.fold_in(for_update, 1))
                        batch = batch._replace(reward=batch.reward.at[real:].add(-assignment.pessimism * measured))
                    if config.conservatism:
                        more_loss = conservative_term(
                            state.actor, batch, real, config.conservatism, key=jax.random.fold_in(for_update, 2)
                        )
                    more_actor_loss = imitation_term(batch, real, config.imitation) if config.imitation else None
                    state, told = sac.step(
                        state, batch, config, key=for_update, more_loss=more_loss, more_actor_loss=more_actor_loss
                    )
                    return state, jax.tree.map(jnp.add, sums, told)

                ends = jnp.minimum(begins + config.rollout_every, last)
                state, updates = jax.lax.fori_loop(begins, ends, update, (state, info.updates))
                return Learner(state, buffer), LearnInfo(updates, jax.tree.map(jnp.add, info.rollouts, rolled))

            cycles = first // config.rollout_every, -(-last // config.rollout_every)
            return jax.lax.fori_loop(*cycles, cycle, (learner, _no_info()))

        nothing = jax.tree.map(lambda x: jnp.zeros(assignments.world.shape), _no_info())
        return each(one, (learners, assignments), (learners, nothing), count)

    def judge(learners: Learner, setting: Setting, assignments: Assignment, count: Array, now: Array) -> Array:
        def one(learner: Learner, assignment: Assignment) -> Array:
            for_starts, for_episode = jax.random.split(
                jax.random.fold_in(jax.random.fold_in(assignment.key, 2**30), now)
            )
            rows = jax.random.randint(for_starts, (JUDGED_EPISODES,), 0, setting.first.shape[0])
            return episode_returns(
                world_of(setting, assignment), learner.sac.actor, setting.scales, jnp.asarray(setting.first)[rows],
                episode_steps, key=for_episode,
            )  # fmt: skip

        nothing = jnp.zeros((assignments.world.shape[0], JUDGED_EPISODES))
        return each(one, (learners, assignments), nothing, count)

    def program(function: Callable, *specs: Any, **more: Any) -> jax.stages.Wrapped:
        mapped = jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=P(RUN_AXIS), check_vma=False)
        return jax.jit(mapped, **more)

    mine, everywhere = P(RUN_AXIS), P()
    begin_program = program(begin, mine)
    learners = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(mesh, mine)),
        jax.eval_shape(begin_program, assignments),
    )
    count = jax.ShapeDtypeStruct((mesh.shape[RUN_AXIS],), jnp.int32, sharding=NamedSharding(mesh, mine))
    now = jax.ShapeDtypeStruct((), jnp.int32)
    shared = (mine, everywhere, mine, mine, everywhere)
    return Programs(
        begin=begin_program.lower(assignments).compile(),
        # In place: a replay buffer may be the largest thing there is.
        advance=program(advance, *shared, everywhere, donate_argnums=0)
        .lower(learners, setting, assignments, count, now, now).compile(),
        judge=program(judge, *shared).lower(learners, setting, assignments, count, now).compile(),
    )  # fmt: skip


def _no_info() -> LearnInfo:
    return LearnInfo(
        SACInfo(*(jnp.zeros(()),) * len(SACInfo._fields)), RolloutInfo(*(jnp.zeros(()),) * len(RolloutInfo._fields))
    )
