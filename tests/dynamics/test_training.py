from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL, Stepper, same_bits, stepper_of
from tests.dynamics.gust import gust_log
from worldrex import risk
from worldrex.data import Transitions
from worldrex.dynamics.ensemble import apply_network, init_network
from worldrex.dynamics.losses import LossName, beta_nll, gaussian_nll
from worldrex.dynamics.normalizer import Normalizer
from worldrex.dynamics.samplers import draw_rows
from worldrex.dynamics.settings import LAYER_DECAY, TrainedPenalty
from worldrex.dynamics.tables import Batch
from worldrex.dynamics.training import Assignment, Losses, batch_moments, decays, objective, rate_share, record_losses

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


def test_the_penalty_is_off_before_the_switch_and_on_from_it(stepper: Stepper):
    assignment, erm = stepper.assignment, stepper.assignment._replace(weight=jnp.float32(0.0))
    state = stepper.init(assignment)

    def differs(number: int) -> bool:
        return not same_bits(stepper.step(state, assignment, number)[0], stepper.step(state, erm, number)[0])

    assert [differs(number) for number in (0, 19, 20, 21, 59)] == [False, False, True, True, True]


def test_the_learning_rate_falls_to_zero_along_a_half_cosine():
    rates = np.array([rate_share(jnp.int32(number), SMALL) for number in range(TOTAL + 1)])
    np.testing.assert_array_equal(rates[:21], 1)
    np.testing.assert_allclose(rates[[30, 40, 50]], [0.8535534, 0.5, 0.1464466], rtol=1e-5)
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


def test_the_learning_rate_is_the_assignments_own(stepper: Stepper):
    assignment = stepper.assignment._replace(learning_rate=jnp.float32(0.05))
    state = stepper.init(assignment)
    moved, _ = stepper.step(state, assignment, 0)
    np.testing.assert_allclose(np.abs(moved.network.mean[0] - state.network.mean[0]), 0.05, rtol=1e-3)


@pytest.mark.parametrize(
    ("hidden", "given", "expected"),
    [
        ((8,), LAYER_DECAY, [2.5e-5, 1e-4]),
        ((8, 8), LAYER_DECAY, [2.5e-5, 7.5e-5, 1e-4]),
        ((8, 8, 8, 8), LAYER_DECAY, LAYER_DECAY),
        ((8, 8, 8), LAYER_DECAY, [2.5e-5, 5e-5 + 2.5e-5 / 3, 7.5e-5, 1e-4]),
        ((8, 8), (0.1,), [0.1, 0.1, 0.1]),
        ((8, 8), (0.1, 0.3), [0.1, 0.2, 0.3]),
        ((), (0.1, 0.3), [0.1]),
    ],
)
def test_decays_lie_at_the_same_relative_depth(
    hidden: tuple[int, ...], given: tuple[float, ...], expected: list[float]
):
    np.testing.assert_allclose(
        replace(SMALL, hidden=hidden, weight_decay=given).decay_of_layers(), expected, rtol=1e-12
    )


def test_weight_decay_shrinks_the_matrices_alone_each_layer_by_its_own(log: Transitions, stepper: Stepper):
    decaying = stepper_of(log, replace(SMALL, weight_decay=(0.25, 2.0)))
    state = stepper.init(stepper.assignment)
    # Only the decay differs, so that what the gradient does cancels.
    (left, _), (right, _) = (x.step(state, x.assignment, 0) for x in (decaying, stepper))
    rates = decays(state.network, replace(SMALL, weight_decay=(0.25, 2.0)))
    assert rates.trunk == ((0.25, 0.0),)
    assert rates.mean == rates.log_var == (2.0, 0.0)
    assert rates.min_log_var == rates.max_log_var == 0
    usual = decays(state.network, SMALL)
    expected = jax.tree.map(lambda p, d, u: -SMALL.learning_rate * (d - u) * p, state.network, rates, usual)
    change = jax.tree.map(jnp.subtract, left.network, right.network)
    for got, want in zip(jax.tree.leaves(change), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-7)


def test_a_step_tells_the_risks_of_its_batch(stepper: Stepper, log: Transitions):
    state, assignment = stepper.init(stepper.assignment), stepper.assignment
    _, info = stepper.step(state, assignment, 3)
    sampler = jax.tree.map(jnp.asarray, stepper.tables.sampler)
    rows = np.asarray(draw_rows(sampler, assignment.fold, jnp.int32(3), SMALL.batch, "natural", key=assignment.key))
    normalizer = jax.tree.map(lambda x: x[0], stepper.tables.normalizer)
    outputs = np.column_stack([log.next_obs - log.obs, log.reward])[rows]
    inputs = np.column_stack([log.obs, log.action])[rows]
    losses = JITTED_LOSSES(state.network, normalizer, inputs, outputs, "squared").penalized
    risks = [np.asarray(losses).mean(1)[log.behavior[rows] == behavior].mean() for behavior in range(4)]
    np.testing.assert_allclose(info.risk, risks, rtol=1e-4)
    np.testing.assert_array_equal(info.present, np.ones(4))
    assert info.bad == 0


def test_a_step_that_is_not_finite_is_reported_and_changes_nothing(stepper: Stepper):
    state = stepper.init(stepper.assignment)
    for factor in (1e30, np.nan):
        mean = jax.tree.map(lambda x, f=factor: x * f + f, state.network.mean)
        broken = state._replace(network=state.network._replace(mean=mean))
        after, info = stepper.step(broken, stepper.assignment, 30)
        assert info.bad == 1
        assert same_bits(after, broken)
        assert not np.any(info.risk)
        assert not np.any(info.present)
    assert stepper.step(state, stepper.assignment, 30)[1].bad == 0


def test_weights_of_the_behaviors_move_under_group_dro_alone(log: Transitions, stepper: Stepper):
    dro = stepper_of(log, replace(SMALL, group_dro_eta=0.5), penalty="group_dro")
    for trained, moves in ((stepper, False), (dro, True)):
        state = trained.init(trained.assignment)
        np.testing.assert_allclose(np.exp(state.group_dro.log_q), np.full((1, 4), 0.25))
        after, info = trained.step(state, trained.assignment, 30)
        expected = 0.25 * np.exp(0.5 * np.asarray(info.risk)) if moves else np.full(4, 0.25)
        np.testing.assert_allclose(np.exp(after.group_dro.log_q[0]), expected / expected.sum(), rtol=1e-5)


def test_moments_are_tracked_over_the_batches(log: Transitions, stepper: Stepper):
    tracked = stepper_of(log, replace(SMALL, tracking=0.5))
    state = tracked.init(tracked.assignment)
    assert stepper.init(stepper.assignment).tracked is None
    risks = []
    for number in range(3):
        state, info = tracked.step(state, tracked.assignment, number)
        risks.append(np.where(info.present > 0, info.risk, np.nan))
    assert state.tracked is not None
    known = state.tracked.penalized
    np.testing.assert_allclose(known.count.sum(), SMALL.batch * 1.75)
    low, high = np.nanmin(risks, 0), np.nanmax(risks, 0)
    assert ((low <= known.mean[0]) & (known.mean[0] <= high)).all()
    # A step that changes nothing is not remembered either.
    broken = jax.tree.map(lambda x: x * np.float32(np.nan), state.network.mean)
    after, info = tracked.step(state._replace(network=state.network._replace(mean=broken)), tracked.assignment, 3)
    assert info.bad == 1
    assert same_bits(after.tracked, state.tracked)


@pytest.mark.parametrize("penalty", ["variance", "irm"])
def test_the_first_step_is_the_same_and_later_ones_follow_the_tracked_risks(log: Transitions, penalty: TrainedPenalty):
    alone, tracked = (stepper_of(log, replace(SMALL, tracking=decay), penalty=penalty) for decay in (0.0, 0.9))
    ends = []
    for trained in (alone, tracked):
        first, _ = trained.step(trained.init(trained.assignment), trained.assignment, 30)
        second, _ = trained.step(first, trained.assignment, 31)
        ends.append((first.network, second.network))
    for x, y in zip(*map(jax.tree.leaves, (ends[0][0], ends[1][0])), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
    assert not same_bits(ends[0][1], ends[1][1])


def made_up_batch(outputs: int = 3, records: int = 64) -> tuple[Normalizer, jax.Array, jax.Array]:
    inputs = RNG.normal(5.0, 2.0, (records, 2)).astype(np.float32)
    targets = RNG.normal(-3.0, 4.0, (records, outputs)).astype(np.float32)
    numbers = [np.full(width, value, np.float32) for width, value in ((2, 5), (2, 2), (outputs, -3), (outputs, 4))]
    return Normalizer(*numbers), jnp.asarray(inputs), jnp.asarray(targets)


def test_losses_are_those_of_the_normalized_outputs():
    normalizer, inputs, outputs = made_up_batch()
    network = jax.jit(lambda: init_network(2, 3, (8,), key=jax.random.key(0)))()
    told = jax.jit(apply_network)(network, (np.asarray(inputs) - 5) / 2)
    mean, log_var = np.asarray(told.mean), np.asarray(told.log_var)
    y = (np.asarray(outputs) + 3) / 4
    squared = np.square(mean - y)
    nll = squared * np.exp(-log_var) + log_var
    by_hand = {"squared": (squared, nll), "nll": (nll, 0 * nll), "beta_nll": (np.exp(0.5 * log_var) * nll, 0 * nll)}
    for loss, (penalized, beside) in by_hand.items():
        losses = JITTED_LOSSES(network, normalizer, inputs, outputs, loss)
        np.testing.assert_allclose(losses.penalized, penalized, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(losses.beside, beside.mean(1), rtol=1e-4, atol=1e-5)
        scales = [2 * (mean - y) * mean]
        if loss != "squared":
            of_mean = 2 * (mean - y) * np.exp(-log_var) * mean
            of_log_var = log_var * (1 - squared * np.exp(-log_var))
            scales = [of_mean, of_log_var]
        for got, want in zip(losses.scales, scales, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_the_termination_head_learns_beside_from_the_cross_entropy():
    normalizer, inputs, outputs = made_up_batch()
    network = jax.jit(lambda: init_network(2, 3, (8,), terminates=True, key=jax.random.key(0)))()
    ended = jnp.asarray(np.arange(64) % 3 == 0)
    odds = np.asarray(jax.jit(apply_network)(network, (inputs - 5) / 2).stop)
    losses = JITTED_LOSSES(network, normalizer, inputs, outputs, "nll", ended)
    expected = np.logaddexp(0, np.where(ended, -odds, odds))
    np.testing.assert_allclose(losses.beside, expected, rtol=1e-4)
    gradient = jax.jit(jax.grad(lambda x: record_losses(x, normalizer, inputs, outputs, "nll", ended).beside.mean()))(
        network
    )
    assert not any(np.any(x) for x in jax.tree.leaves(gradient._replace(stop=None)))
    assert all(np.any(x) for x in gradient.stop)


@pytest.mark.parametrize("loss", ["squared", "nll", "beta_nll"])
def test_with_squared_loss_the_variance_head_learns_apart(loss: LossName):
    normalizer, inputs, outputs = made_up_batch()
    network = jax.jit(lambda: init_network(2, 3, (8,), key=jax.random.key(0)))()

    @jax.jit
    def gradients(network):
        def part(name):
            return lambda network: getattr(record_losses(network, normalizer, inputs, outputs, loss), name).mean()

        return jax.grad(part("penalized"))(network), jax.grad(part("beside"))(network)

    def moved(gradient) -> list[bool]:
        return [any(np.any(x) for x in jax.tree.leaves(part)) for part in gradient[:3]]  # trunk, mean, log_var

    of_risk, of_variance = map(moved, gradients(network))
    assert of_risk == [True, True, loss != "squared"]
    assert of_variance == [False, False, loss == "squared"]


def test_beta_nll_holds_its_factor_constant():
    """The mean's gradient is that of the NLL times sigma, the log variance's too."""
    squared, log_var = jnp.float32(2.0), jnp.float32(0.7)
    plain = jax.grad(gaussian_nll, (0, 1))(squared, log_var)
    beta = jax.grad(beta_nll, (0, 1))(squared, log_var)
    np.testing.assert_allclose(beta, np.exp(0.35) * np.array(plain), rtol=1e-5)


def test_gaussian_nll_is_least_at_the_mean_squared_error():
    squared = np.array([[0.5], [2.0], [8.0]], np.float32)
    grid = np.linspace(-4, 4, 8001, dtype=np.float32)
    values = jax.jit(gaussian_nll)(*np.broadcast_arrays(squared, grid))
    np.testing.assert_allclose(grid[np.argmin(values, axis=1)], np.log(squared[:, 0]), atol=2e-2)
    np.testing.assert_allclose(np.min(values, axis=1), 1 + np.log(squared[:, 0]), rtol=1e-5)


@partial(jax.jit, static_argnums=(1, 2))
def objective_of(
    losses: jax.Array, per_dimension: bool, penalty: TrainedPenalty = "variance", baseline=None
) -> jax.Array:
    baseline = jnp.zeros(4) if baseline is None else baseline
    records = losses.shape[0]
    batch = Batch(losses, losses, None, jnp.asarray(np.arange(records) % 4), None)
    assignment = Assignment(*(jnp.int32(0) for _ in range(3)), jnp.float32(0.0), jnp.float32(0.0))
    nothing = jnp.zeros((losses.shape[1] if per_dimension else 1, 4))
    moments = batch_moments(
        Losses(losses, (), jnp.zeros(records)), batch, 4, irm=False, per_dimension=per_dimension
    )  # fmt: skip
    return objective(
        moments, assignment, jnp.float32(5.0), baseline=baseline,
        group_dro=risk.group_dro.init(risk.GroupMoments(nothing, nothing, nothing)), penalties=((penalty, True),),
    )  # fmt: skip


def test_per_dimension_is_the_mean_objective_of_the_outputs():
    losses = jnp.asarray(RNG.exponential(size=(64, 3)).astype(np.float32))
    of_each = [objective_of(losses[:, place : place + 1], False) for place in range(3)]
    of_mean = objective_of(losses.mean(1, keepdims=True), False)
    np.testing.assert_allclose(objective_of(losses, True), np.mean(of_each), rtol=1e-5)
    np.testing.assert_allclose(objective_of(losses, False), of_mean, rtol=1e-5)
    assert abs(np.mean(of_each) - of_mean) > 1e-3


@pytest.mark.parametrize("penalty", ["variance", "mad", "worst", "cvar", "group_dro"])
def test_baselines_are_taken_off_before_the_penalty_compares(penalty: TrainedPenalty):
    """Behaviors that differ by their baselines alone have no penalty, and the mean risk stays whole."""
    baseline = jnp.array([0.0, 1.0, 2.0, 4.0])
    floor = np.asarray(baseline)[np.arange(64) % 4][:, None]
    losses = jnp.asarray((floor + np.array([0.9, 1.1]).repeat(4)[np.arange(64) % 8][:, None]).astype(np.float32))
    level = float(losses.mean())
    # Of 16 records each: what debiasing takes off is that of losses that are even but for 0.01.
    np.testing.assert_allclose(objective_of(losses, False, penalty, baseline) * 5, level, rtol=2e-3)
    assert abs(objective_of(losses, False, penalty) * 5 - level) > (0.5 if penalty != "group_dro" else -1)


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
    inputs = (np.column_stack([log.obs, log.action]) - normalizer.input_mean) / normalizer.input_std
    log_var = apply_network(state.network, jnp.asarray(inputs)).log_var
    std = np.exp(0.5 * np.asarray(log_var)[:, 1]) * normalizer.output_std[1]
    np.testing.assert_allclose(std.mean(), 0.5, rtol=0.15)
