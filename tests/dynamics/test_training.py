from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL, Stepper, same_bits, stepper_of
from tests.dynamics.gust import gust_log
from worldrex.data import Transitions, holdout
from worldrex.dynamics.ensemble import apply_network, init_network
from worldrex.dynamics.losses import LossName, gaussian_nll
from worldrex.dynamics.normalizer import Normalizer
from worldrex.dynamics.training import Assignment, batch_objective, draw_rows, learning_rate, optimizer, record_losses

RNG = np.random.default_rng(0)
TOTAL = SMALL.warmup_steps + SMALL.steps
JITTED_LOSSES = jax.jit(record_losses, static_argnums=4)


def with_key(assignment: Assignment, seed: int) -> Assignment:
    return assignment._replace(key=jax.random.key(seed))


def test_first_weights_depend_on_the_key_alone(stepper: Stepper):
    assignment = stepper.assignment
    other = assignment._replace(weight=jnp.float32(3.0), fold=jnp.int32(1))
    assert same_bits(stepper.init(assignment), stepper.init(other))
    assert not same_bits(stepper.init(assignment).network.trunk, stepper.init(with_key(assignment, 5)).network.trunk)


def test_records_depend_on_the_key_and_the_step_alone(stepper: Stepper):
    draw = jax.jit(lambda assignment, number: draw_rows(stepper.tables, assignment, number, 400))
    assignment = stepper.assignment
    first = draw(assignment, 0)
    np.testing.assert_array_equal(first, draw(assignment._replace(weight=jnp.float32(3.0)), 0))
    for other in (draw(assignment, 1), draw(with_key(assignment, 5), 0)):
        assert (np.asarray(first) == np.asarray(other)).mean() < 0.02


def test_every_training_record_of_the_fold_is_as_likely_and_no_other(stepper: Stepper, log: Transitions):
    draw = jax.jit(jax.vmap(lambda assignment, number: draw_rows(stepper.tables, assignment, number, 4000), (None, 0)))
    train_rows, _ = holdout(log, SMALL.holdout, seed=SMALL.seed)
    for fold, rows in ((0, train_rows), (1, train_rows[log.behavior[train_rows] != 2])):
        drawn = draw(stepper.assignment._replace(fold=jnp.int32(fold)), jnp.arange(50, dtype=jnp.int32))
        counts = np.bincount(np.asarray(drawn).ravel(), minlength=len(log))
        assert counts[np.setdiff1d(np.arange(len(log)), rows)].sum() == 0
        expected = counts.sum() / len(rows)
        assert (np.abs(counts[rows] - expected) < 6 * np.sqrt(expected)).all()


def test_the_penalty_is_off_before_the_switch_and_on_from_it(stepper: Stepper):
    assignment, erm = stepper.assignment, stepper.assignment._replace(weight=jnp.float32(0.0))
    state = stepper.init(assignment)

    def differs(number: int) -> bool:
        return not same_bits(stepper.step(state, assignment, number)[0], stepper.step(state, erm, number)[0])

    assert [differs(number) for number in (0, 19, 20, 21, 59)] == [False, False, True, True, True]


def test_the_learning_rate_falls_to_zero_along_a_half_cosine():
    rates = np.array([learning_rate(jnp.int32(number), SMALL) for number in range(TOTAL + 1)])
    np.testing.assert_allclose(rates[:21], SMALL.learning_rate, rtol=1e-6)
    np.testing.assert_allclose(rates[[30, 40, 50]] / SMALL.learning_rate, [0.8535534, 0.5, 0.1464466], rtol=1e-5)
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[-1] == 0


def test_a_step_moves_by_the_learning_rate(stepper: Stepper):
    state = stepper.init(stepper.assignment)
    erm = stepper.assignment._replace(weight=jnp.float32(0.0))
    for number, rate in ((0, 1e-3), (40, 0.5e-3), (TOTAL, 0.0)):
        moved, _ = stepper.step(state, erm, number)
        # Adam's first step is the sign of the gradient; the weight decay adds very little.
        change = np.abs(moved.network.mean[0] - state.network.mean[0])
        np.testing.assert_allclose(change, rate, rtol=1e-3, atol=1e-8)


def test_weight_decay_shrinks_the_matrices_alone(stepper: Stepper):
    network = stepper.init(stepper.assignment).network
    transformation = optimizer(replace(SMALL, weight_decay=0.5))
    with jax.numpy_dtype_promotion("standard"):
        still = jax.jit(lambda x: transformation.update(jax.tree.map(jnp.zeros_like, x), transformation.init(x), x))
        direction, _ = still(network)
    for decay, parameter in zip(jax.tree.leaves(direction), jax.tree.leaves(network), strict=True):
        np.testing.assert_allclose(decay, 0.5 * parameter if parameter.ndim == 2 else 0 * parameter)


def test_a_step_tells_the_risks_of_its_batch(stepper: Stepper, log: Transitions):
    state, assignment = stepper.init(stepper.assignment), stepper.assignment
    _, info = stepper.step(state, assignment, 3)
    rows = np.asarray(draw_rows(stepper.tables, assignment, jnp.int32(3), SMALL.batch))
    normalizer = jax.tree.map(lambda x: x[0], stepper.tables.normalizer)
    outputs = np.column_stack([log.next_obs - log.obs, log.reward])[rows]
    inputs = np.column_stack([log.obs, log.action])[rows]
    losses, _ = JITTED_LOSSES(state.network, normalizer, inputs, outputs, "squared")
    risks = [np.asarray(losses).mean(1)[log.behavior[rows] == behavior].mean() for behavior in range(4)]
    np.testing.assert_allclose(info.risk, risks, rtol=1e-4)
    np.testing.assert_array_equal(info.present, np.ones(4))
    assert info.bad == 0


def test_a_step_that_is_not_finite_is_reported(stepper: Stepper):
    state = stepper.init(stepper.assignment)
    broken = state._replace(network=state.network._replace(mean=jax.tree.map(lambda x: x * 1e30, state.network.mean)))
    assert stepper.step(broken, stepper.assignment, 0)[1].bad == 1


def made_up_batch(outputs: int = 3, records: int = 64) -> tuple[Normalizer, jax.Array, jax.Array]:
    inputs = RNG.normal(5.0, 2.0, (records, 2)).astype(np.float32)
    targets = RNG.normal(-3.0, 4.0, (records, outputs)).astype(np.float32)
    numbers = [np.full(width, value, np.float32) for width, value in ((2, 5), (2, 2), (outputs, -3), (outputs, 4))]
    return Normalizer(*numbers), jnp.asarray(inputs), jnp.asarray(targets)


def test_losses_are_those_of_the_normalized_outputs():
    normalizer, inputs, outputs = made_up_batch()
    network = jax.jit(lambda: init_network(2, 3, (8,), key=jax.random.key(0)))()
    mean, log_var = map(np.asarray, jax.jit(apply_network)(network, (np.asarray(inputs) - 5) / 2))
    outputs = np.asarray(outputs)
    squared = np.square(mean - (outputs + 3) / 4)
    nll = squared * np.exp(-log_var) + log_var
    for loss, expected in (("squared", (squared, nll)), ("nll", (nll, 0 * nll))):
        losses = JITTED_LOSSES(network, normalizer, inputs, outputs, loss)
        for got, want in zip(losses, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["squared", "nll"])
def test_with_squared_loss_the_variance_head_learns_apart(loss: LossName):
    normalizer, inputs, outputs = made_up_batch()
    network = jax.jit(lambda: init_network(2, 3, (8,), key=jax.random.key(0)))()

    @jax.jit
    def gradients(network):
        def part(number):
            return lambda network: record_losses(network, normalizer, inputs, outputs, loss)[number].mean()

        return jax.grad(part(0))(network), jax.grad(part(1))(network)

    def moved(gradient) -> list[bool]:
        return [any(np.any(x) for x in jax.tree.leaves(part)) for part in gradient[:3]]  # trunk, mean, log_var

    of_risk, of_variance = map(moved, gradients(network))
    assert of_risk == [True, True, loss == "nll"]
    assert of_variance == [False, False, loss == "squared"]


def test_gaussian_nll_is_least_at_the_mean_squared_error():
    squared = np.array([[0.5], [2.0], [8.0]], np.float32)
    grid = np.linspace(-4, 4, 8001, dtype=np.float32)
    values = jax.jit(gaussian_nll)(*np.broadcast_arrays(squared, grid))
    np.testing.assert_allclose(grid[np.argmin(values, axis=1)], np.log(squared[:, 0]), atol=2e-2)
    np.testing.assert_allclose(np.min(values, axis=1), 1 + np.log(squared[:, 0]), rtol=1e-5)


def test_per_dimension_is_the_mean_objective_of_the_outputs():
    losses = jnp.asarray(RNG.exponential(size=(64, 3)).astype(np.float32))
    behavior = jnp.asarray(np.arange(64) % 4)
    assignment = Assignment(jax.random.key(0), jnp.int32(0), jnp.int32(0), jnp.float32(0.0))

    @partial(jax.jit, static_argnums=1)
    def objective(losses: jax.Array, per_dimension: bool) -> jax.Array:
        return batch_objective(
            losses, behavior, assignment, jnp.float32(5.0),
            num_groups=4, penalties=(("variance", True),), per_dimension=per_dimension,
        )[0]  # fmt: skip

    of_each = [objective(losses[:, place : place + 1], False) for place in range(3)]
    of_mean = objective(losses.mean(1, keepdims=True), False)
    np.testing.assert_allclose(objective(losses, True), np.mean(of_each), rtol=1e-5)
    np.testing.assert_allclose(objective(losses, False), of_mean, rtol=1e-5)
    assert abs(np.mean(of_each) - of_mean) > 1e-3


def test_nll_trains_mean_and_variance_alike():
    # No confounding: every behavior's noise is the gust's, known and even.
    log = gust_log(operators=((1.0, 0.0), (1.2, 0.0), (0.8, 0.0), (1.4, 0.0)))
    config = replace(SMALL, loss="nll", batch=256, warmup_steps=400, steps=1, learning_rate=1e-2)
    stepper = stepper_of(log, config)
    erm = stepper.assignment._replace(weight=jnp.float32(0.0))
    state = stepper.init(erm)
    risks = []
    for number in range(400):
        state, info = stepper.step(state, erm, number)
        risks.append(info.risk.mean())
    assert np.mean(risks[-20:]) < np.mean(risks[:20]) - 1
    normalizer = jax.tree.map(lambda x: x[0], stepper.tables.normalizer)
    inputs = (stepper.tables.inputs - normalizer.input_mean[None]) / normalizer.input_std[None]
    _, log_var = apply_network(state.network, inputs)
    std = np.exp(0.5 * np.asarray(log_var)[:, 1]) * normalizer.output_std[1]
    np.testing.assert_allclose(std.mean(), 0.5, rtol=0.15)
