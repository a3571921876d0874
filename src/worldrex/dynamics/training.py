"""One member's training: `init` and `step(state, ...) -> (state, info)`, free of data loading and of loops.

The unit of work is a single network, since the members of an ensemble, and the runs of a sweep, never meet in
training: each has its own key, draws its own records and minimizes its own objective.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from worldrex import risk
from worldrex.dynamics.ensemble import Network, apply_network, init_network
from worldrex.dynamics.losses import LossName, beta_nll, gaussian_nll
from worldrex.dynamics.normalizer import Normalizer
from worldrex.dynamics.optimizer import adam_step, init_adam
from worldrex.dynamics.samplers import draw_rows
from worldrex.dynamics.settings import TrainConfig, TrainedPenalty
from worldrex.dynamics.tables import RECORD_AXIS, Batch, Tables, take


class Assignment(NamedTuple):
    """What is particular to one network of a sweep."""

    key: PRNGKeyArray
    fold: Int[Array, ""]
    penalty: Int[Array, ""]
    """Which entry of `penalties` (a static sequence) this network minimizes."""
    weight: Float[Array, ""]
    learning_rate: Float[Array, ""]


class BatchMoments(NamedTuple):
    """Of a batch, or of several merged: all that an objective needs of its records."""

    penalized: risk.Moments
    """Of the penalized loss, `[output, group]` or, of the mean over the outputs, `[1, group]`."""
    scales: tuple[risk.Moments, ...]
    """Of its derivatives, where the penalty "irm" is among those that are trained."""


class TrainState(NamedTuple):
    """What the next step needs."""

    network: Network
    optimizer: optax.ScaleByAdamState
    group_dro: risk.group_dro.State
    """Weights of the behaviors, `[output or 1, group]`; they move only under that penalty."""
    tracked: BatchMoments | None
    """Moments of all batches so far, older ones weighing less; None where the penalty compares the batch's alone."""


class StepInfo(NamedTuple):
    """What a person wants to see of a step."""

    risk: Float[Array, " group"]
    """Risk of each behavior in the batch, mean over the outputs; 0 where absent."""
    present: Float[Array, " group"]
    bad: Float[Array, ""]
    """1 if the objective or its gradient was not finite: such a step changes nothing."""


class Losses(NamedTuple):
    """Of each record of a batch."""

    penalized: Float[Array, "batch output"]
    """The loss whose risks are penalized."""
    scales: tuple[Float[Array, "batch output"], ...]
    """Its derivatives with respect to dummy scales of the predictions, for the penalty "irm"."""
    beside: Float[Array, " batch"]
    """What the other heads learn from, without moving the trunk."""


def init(
    tables: Tables, assignment: Assignment, config: TrainConfig, *, penalties: Sequence[tuple[TrainedPenalty, bool]]
) -> TrainState:
    """A fresh network and optimizer for one assignment; the network depends on the assignment's key only."""
    num_outputs = tables.obs.shape[-1] + 1
    network = init_network(
        config.features.num_inputs(tables.obs.shape[-1], tables.action.shape[-1]),
        num_outputs,
        config.hidden,
        gaussian=not config.deterministic,
        terminates=tables.terminated is not None,
        key=jax.random.fold_in(assignment.key, 2**31),
    )
    rows = num_outputs if config.per_dimension else 1
    nothing = jnp.zeros((rows, tables.baseline.shape[0]))
    no_records = risk.GroupMoments(nothing, nothing, nothing)
    tracked = None
    if config.tracking:
        unseen = risk.tracking.init(no_records)
        scales = 1 if config.loss == "squared" else 2  # as `record_losses` has derivatives
        tracked = BatchMoments(unseen, (unseen,) * scales if has_irm(penalties) else ())
    return TrainState(network, init_adam(network), risk.group_dro.init(no_records), tracked)


def record_losses(
    network: Network, normalizer: Normalizer, inputs: Float[Array, "batch input"], outputs: Float[Array, "batch output"],
    loss: LossName, terminated: Bool[Array, " batch"] | None = None,
) -> Losses:  # fmt: skip
    """The losses of these records.

    "squared" penalizes (mu - y)^2, and the variance head learns beside it from the NLL of the squared error held
    constant, so that the variance is learned without moving the mean. "nll" and "beta_nll" penalize the likelihood.
    """
    x = (inputs - normalizer.input_mean[None]) / normalizer.input_std[None]
    y = (outputs - normalizer.output_mean[None]) / normalizer.output_std[None]
    told = apply_network(network, x, detach_variance=loss == "squared")
    mean, log_var = told.mean, told.log_var
    squared = jnp.square(mean - y)
    beside = jnp.zeros(x.shape[0])
    if loss == "squared":
        penalized = squared
        scales = (risk.squared_error_scale(mean, y),)
        if network.log_var is not None:
            beside = gaussian_nll(jax.lax.stop_gradient(squared), log_var).mean(-1)
    else:
        penalized = (gaussian_nll if loss == "nll" else beta_nll)(squared, log_var)
        scales = risk.gaussian_nll_scales(mean, log_var, y)
    if terminated is not None:
        beside = beside + optax.sigmoid_binary_cross_entropy(told.stop, terminated.astype(jnp.float32))
    return Losses(penalized, scales, beside)


def batch_moments(
    losses: Losses, batch: Batch, num_groups: int, *, irm: bool, per_dimension: bool, shards: int = 1
) -> BatchMoments:
    """The moments of each behavior's losses; with several shards, of the parts of all devices as one batch."""

    def moments_of(of_records: Array) -> risk.Moments:
        columns = of_records.T if per_dimension else of_records.mean(-1)[None]
        moments = risk.group_moments(columns, batch.behavior, num_groups, batch.mask)
        return moments if shards == 1 else risk.all_reduce(moments, RECORD_AXIS)

    return BatchMoments(moments_of(losses.penalized), tuple(moments_of(x) for x in losses.scales) if irm else ())


def follow(seen: BatchMoments, moments: BatchMoments, decay: float) -> tuple[BatchMoments, BatchMoments]:
    """What is known after this batch, too, and the tracked moments that the penalty compares (`risk.tracking.step`)."""
    pairs = zip((seen.penalized, *seen.scales), (moments.penalized, *moments.scales), strict=True)
    steps = [risk.tracking.step(state, batch, decay=decay) for state, batch in pairs]
    after, tracked = (BatchMoments(of[0], tuple(of[1:])) for of in zip(*steps, strict=True))
    return after, tracked


def objective(
    moments: BatchMoments, assignment: Assignment, weight: Float[Array, ""], *, baseline: Float[Array | np.ndarray, " group"],
    group_dro: risk.group_dro.State, penalties: Sequence[tuple[TrainedPenalty, bool]], tracked: BatchMoments | None = None,
) -> Float[Array, ""]:  # fmt: skip
    """The assignment's objective, (mean risk + weight x penalty) / max(1, weight), mean over the outputs.

    The penalty compares the `tracked` moments where they are given, else those of the batch.
    """
    compared = moments if tracked is None else tracked

    def branch(penalty: TrainedPenalty, debiased: bool, _: None) -> Array:
        parts = compared.scales if penalty == "irm" else [risk.excess(compared.penalized, baseline)]
        options = {"debiased": debiased, "state": group_dro if penalty == "group_dro" else None}
        return jnp.stack([risk.penalty_value(part, penalty, **options) for part in parts]).sum(0)

    # One branch is taken per network when networks are mapped one by one, as on a CPU.
    penalty = jax.lax.switch(
        assignment.penalty, [partial(branch, name, debiased) for name, debiased in penalties], None
    )
    return ((risk.mean_risk(moments.penalized) + weight * penalty) / jnp.maximum(weight, 1.0)).mean()


def has_irm(penalties: Sequence[tuple[TrainedPenalty, bool]]) -> bool:
    """Whether the derivatives that "irm" takes are needed."""
    return any(name == "irm" for name, _ in penalties)


def step(
    state: TrainState, tables: Tables, assignment: Assignment, number: Int[Array, ""], config: TrainConfig, *,
    penalties: Sequence[tuple[TrainedPenalty, bool]], shards: int = 1,
) -> tuple[TrainState, StepInfo]:  # fmt: skip
    """One step of Adam on one network, under the penalty's weight of that step.

    **Returns:** the next state, and `StepInfo`. Nothing raises inside: a step whose objective or gradient is not finite
    is reported and changes nothing.
    """
    rows = draw_rows(
        tables.sampler, assignment.fold, number, config.batch, config.sampler,
        bootstrap=config.bootstrap, key=assignment.key,
    )  # fmt: skip
    normalizer = jax.tree.map(lambda x: x[assignment.fold], tables.normalizer)
    weight = config.schedule(assignment.weight)(number)
    batch = take(tables, rows, features=config.features, shards=shards)

    def total(network: Network) -> tuple[Array, tuple[risk.Moments, BatchMoments | None]]:
        losses = record_losses(network, normalizer, batch.inputs, batch.outputs, config.loss, batch.terminated)
        moments = batch_moments(
            losses, batch, tables.baseline.shape[0], irm=has_irm(penalties), per_dimension=config.per_dimension,
            shards=shards,
        )  # fmt: skip
        seen, tracked = follow(state.tracked, moments, config.tracking) if state.tracked else (None, None)
        value = objective(
            moments, assignment, weight, baseline=tables.baseline, group_dro=state.group_dro, penalties=penalties,
            tracked=tracked,
        )  # fmt: skip
        if network.max_log_var is not None and network.min_log_var is not None:
            bounds = 0.01 * (network.max_log_var - network.min_log_var).mean()
            # As the likelihood beside it is.
            value = value + (bounds if config.loss == "squared" else bounds / jnp.maximum(weight, 1.0))
        beside = losses.beside if batch.mask is None else jnp.where(batch.mask, losses.beside, 0.0)
        beside = beside.sum() / config.batch
        told = moments.penalized, seen
        return value + (beside if shards == 1 else jax.lax.psum(beside, RECORD_AXIS)), told

    (value, (moments, seen)), gradient = jax.value_and_grad(total, has_aux=True)(state.network)
    if shards > 1:
        # Every device differentiates the whole batch's sums: its part of the gradient comes once from each.
        gradient = jax.lax.pmean(gradient, RECORD_AXIS)
    finite = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(gradient))
    network, optimizer = adam_step(
        state.network, state.optimizer, gradient, rate=assignment.learning_rate * rate_share(number, config),
        decay=decays(state.network, config), do=finite,
    )  # fmt: skip
    group_dro = state.group_dro
    if any(name == "group_dro" for name, _ in penalties):
        moved, _ = risk.group_dro.step(group_dro, risk.excess(moments, tables.baseline), eta=config.group_dro_eta)
        group_dro = jax.tree.map(partial(jnp.where, finite), moved, group_dro)
    tracked = jax.tree.map(partial(jnp.where, finite), seen, state.tracked)
    after = TrainState(network, optimizer, group_dro, tracked)
    present = (moments.count[0] > 0).astype(jnp.float32)
    told = jnp.where(finite, moments.mean.mean(0), 0.0)
    return after, StepInfo(told, jnp.where(finite, present, 0.0), (~finite).astype(jnp.float32))


def decays(network: Network, config: TrainConfig) -> Network:
    """The decoupled weight decay of each parameter: its layer's for a matrix, none for others (a tree of numbers)."""
    *hidden, last = config.decay_of_layers()
    nothing = jax.tree.map(lambda _: 0.0, network)

    def head(parameters: tuple | None) -> tuple | None:
        return None if parameters is None else (last, 0.0)

    return nothing._replace(
        trunk=tuple((decay, 0.0) for decay in hidden),
        mean=head(network.mean),
        log_var=head(network.log_var),
        stop=head(network.stop),
    )


def rate_share(number: Int[Array, ""], config: TrainConfig) -> Float[Array, ""]:
    """Share of the learning rate: all of it in the first phase, then a half cosine to zero over the second."""
    progress = jnp.clip((number - config.warmup_steps) / max(config.steps, 1), 0.0, 1.0)
    return 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
