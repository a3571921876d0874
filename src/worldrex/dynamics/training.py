"""One member's training: `init` and `step(state, ...) -> (state, info)`, free of data loading and of loops.

The unit of work is a single network, since the members of an ensemble, and the runs of a sweep, never meet in
training: each has its own key, draws its own records and minimizes its own objective.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Float32, Int, Int32, PRNGKeyArray, UInt32

from worldrex import risk
from worldrex.dynamics.ensemble import Network, apply_network, init_network
from worldrex.dynamics.losses import LossName, gaussian_nll
from worldrex.dynamics.normalizer import Normalizer

# irm needs the derivatives of the losses, and group_dro a state: the trainer has neither yet.
TrainedPenalty = Literal["none", "variance", "std", "mad", "worst", "cvar", "quantile"]


@dataclass(frozen=True)
class TrainConfig:
    """What all trainings of a sweep share."""

    loss: LossName = "squared"
    """Loss whose risks are penalized: "squared" (the variance head then learns apart) or "nll" (Gaussian)."""
    per_dimension: bool = False
    """Penalize the risks of each output dimension, and not the risks of their mean."""
    members: int = 7
    """Networks in the ensemble."""
    elites: int = 5
    """Members that predict: those with the lowest objective on held-out episodes."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers."""
    batch: int = 1024
    """Records of a mini-batch, drawn by each member for itself."""
    warmup_steps: int = 1000
    """Steps of the first phase, without the penalty."""
    steps: int = 6000
    """Steps of the second phase, with the penalty; the optimizer starts afresh at the switch."""
    learning_rate: float = 1e-3
    """Adam's step size; falls to zero over the second phase along a half cosine."""
    weight_decay: float = 1e-4
    """Decoupled decay of the weight matrices."""
    holdout: float = 0.1
    """Share of each behavior's episodes held out to choose elites and draw curves."""
    seed: int = 0
    """Seed of the held-out episodes, the first weights and the batches."""

    def schedule(self, weight: float | Array) -> risk.schedules.Schedule:
        """The penalty's weight at each step, and where the optimizer starts afresh: none, then all of it."""
        return risk.schedules.Step(weight, at=self.warmup_steps)


class Tables(NamedTuple):
    """The data of a sweep, the same for all of its networks; axis `fold` tells which behavior is left out."""

    inputs: Float32[Array, "record input"]
    outputs: Float32[Array, "record output"]
    behavior: Int32[Array, " record"]
    train_rows: Int32[Array, "fold train"]
    train_count: UInt32[Array, " fold"]
    normalizer: Normalizer


class Assignment(NamedTuple):
    """What is particular to one network of a sweep."""

    key: PRNGKeyArray
    fold: Int[Array, ""]
    penalty: Int[Array, ""]
    """Which entry of `penalties` (a static sequence) this network minimizes."""
    weight: Float[Array, ""]


class TrainState(NamedTuple):
    """What the next step needs."""

    network: Network
    optimizer: optax.OptState


class StepInfo(NamedTuple):
    """What a person wants to see of a step."""

    risk: Float[Array, " group"]
    """Risk of each behavior in the batch, mean over the outputs; 0 where absent."""
    present: Float[Array, " group"]
    bad: Float[Array, ""]
    """1 if the objective or its gradient was not finite."""


def init(tables: Tables, assignment: Assignment, config: TrainConfig) -> TrainState:
    """A fresh network and optimizer for one assignment; the network depends on the assignment's key only."""
    network = init_network(
        tables.inputs.shape[-1], tables.outputs.shape[-1], config.hidden, key=jax.random.fold_in(assignment.key, 2**31)
    )
    return TrainState(network, optimizer(config).init(network))


def optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Adam's direction with decoupled weight decay on the matrices; `step` applies the learning rate."""
    matrices = partial(jax.tree.map, lambda x: x.ndim > 1)
    return optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(config.weight_decay, mask=matrices))


def draw_rows(tables: Tables, assignment: Assignment, step: Int[Array, ""], batch: int) -> Int32[Array, " batch"]:
    """Records of this step's batch: uniform, with replacement, from the fold's training rows.

    The number of records of each behavior is random, as in any mini-batch of a pooled log. The draw depends on the
    assignment's key and the step only. The remainder of 32 random bits favors no row by more than count / 2^32.
    """
    bits = jax.random.bits(jax.random.fold_in(assignment.key, step), (batch,), jnp.uint32)
    return tables.train_rows[assignment.fold, (bits % tables.train_count[assignment.fold]).astype(jnp.int32)]


def record_losses(
    network: Network, normalizer: Normalizer, inputs: Float[Array, "batch input"], outputs: Float[Array, "batch output"],
    loss: LossName,
) -> tuple[Float[Array, "batch output"], Float[Array, "batch output"]]:  # fmt: skip
    """Loss of each record and output whose risks are penalized, and the variance head's own loss.

    For "squared" the first is (mu - y)^2, and the second the NLL of the squared error held constant, so that the
    variance is learned without moving the mean. For "nll" the first is the NLL and the second zero.
    """
    x = (inputs - normalizer.input_mean[None]) / normalizer.input_std[None]
    y = (outputs - normalizer.output_mean[None]) / normalizer.output_std[None]
    mean, log_var = apply_network(network, x, detach_variance=loss == "squared")
    squared = jnp.square(mean - y)
    if loss == "squared":
        return squared, gaussian_nll(jax.lax.stop_gradient(squared), log_var)
    return gaussian_nll(squared, log_var), jnp.zeros_like(squared)


def batch_objective(
    losses: Float[Array, "batch output"], behavior: Int[Array, " batch"], assignment: Assignment, weight: Float[Array, ""], *,
    num_groups: int, penalties: Sequence[tuple[TrainedPenalty, bool]], per_dimension: bool, mask: Array | None = None,
) -> tuple[Float[Array, ""], risk.Moments]:  # fmt: skip
    """The assignment's objective on these losses, and the moments it was made of (`[output, group]` or `[1, group]`)."""
    columns = losses.T if per_dimension else losses.mean(-1)[None]
    moments = risk.group_moments(columns, behavior, num_groups, mask)
    # One branch is taken per network when networks are mapped one by one, as on a CPU.
    value = jax.lax.switch(
        assignment.penalty,
        [
            partial(risk.objective, penalty=name, debiased=debiased, weight=weight, rescale=True)
            for name, debiased in penalties
        ],
        moments,
    )
    return value.mean(), moments


def step(
    state: TrainState, tables: Tables, assignment: Assignment, number: Int[Array, ""], config: TrainConfig, *,
    num_groups: int, penalties: Sequence[tuple[TrainedPenalty, bool]],
) -> tuple[TrainState, StepInfo]:  # fmt: skip
    """One step of Adam on one network, under the penalty's weight of that step.

    **Returns:** the next state, and `StepInfo`. Nothing raises inside: a non-finite objective or gradient is reported.
    """
    rows = draw_rows(tables, assignment, number, config.batch)
    normalizer = jax.tree.map(lambda x: x[assignment.fold], tables.normalizer)
    weight = config.schedule(assignment.weight)(number)

    def total(network: Network) -> tuple[Array, risk.Moments]:
        losses, variance_losses = record_losses(
            network, normalizer, tables.inputs[rows], tables.outputs[rows], config.loss
        )
        value, moments = batch_objective(
            losses, tables.behavior[rows], assignment, weight,
            num_groups=num_groups, penalties=penalties, per_dimension=config.per_dimension,
        )  # fmt: skip
        bounds = 0.01 * (network.max_log_var - network.min_log_var).mean()
        if config.loss == "nll":
            bounds = bounds / jnp.maximum(weight, 1.0)  # as the likelihood beside it is
        return value + variance_losses.mean() + bounds, moments

    (value, moments), gradient = jax.value_and_grad(total, has_aux=True)(state.network)
    # Optax raises a float to an integer power, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        direction, opt_state = optimizer(config).update(gradient, state.optimizer, state.network)
    rate = learning_rate(number, config)
    network = jax.tree.map(lambda p, d: p - rate * d, state.network, direction)
    finite = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(gradient))
    present = (moments.count[0] > 0).astype(jnp.float32)
    return TrainState(network, opt_state), StepInfo(moments.mean.mean(0), present, (~finite).astype(jnp.float32))


def learning_rate(number: Int[Array, ""], config: TrainConfig) -> Float[Array, ""]:
    """Constant in the first phase, then a half cosine from the full rate to zero over the second."""
    progress = jnp.clip((number - config.warmup_steps) / max(config.steps, 1), 0.0, 1.0)
    return config.learning_rate * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
