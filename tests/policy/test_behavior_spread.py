from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dynamics.gust import gust_log, true_outputs
from tests.dynamics.made_up import TRUTH, linear_model
from tests.policy.made_up import log_of, untrained
from worldrex.data import Transitions
from worldrex.dynamics import Features, WorldModel
from worldrex.policy import PolicyError
from worldrex.policy.behavior_spread import Spread, spread_of
from worldrex.policy.worlds import world_of

DATA = gust_log(50)
EFFECT = np.zeros_like(TRUTH)
EFFECT[2, 1] = 0.4  # of the action on the speed


def measured(model: WorldModel, data: Transitions = DATA, *, by: Transitions | None = None) -> np.ndarray:
    by = by or DATA
    return np.asarray(
        spread_of(model, data).measure(model.features, model.normalizer, jnp.asarray(by.obs), jnp.asarray(by.action))
    )


def pooled(data: Transitions) -> np.ndarray:
    """What least squares makes of the log, the gust's effect taken for the action's."""
    inputs = np.column_stack([data.obs, data.action])
    return np.linalg.lstsq(inputs, np.column_stack([data.next_obs - data.obs, data.reward]), rcond=None)[0]


def phi_of(data: Transitions) -> np.ndarray:
    inputs = np.column_stack([data.obs, data.action]).astype(np.float64)
    products = [inputs[:, i] * inputs[:, j] for i in range(3) for j in range(i, 3)]
    return np.column_stack([np.ones(len(data)), inputs, *products])


def test_it_is_the_error_of_a_model_that_mistakes_the_gust_for_the_action():
    data = gust_log(400)
    for weight in (TRUTH + EFFECT, pooled(data)):
        size = np.linalg.norm(np.column_stack([data.obs, data.action]) @ (weight - TRUTH), axis=1)
        assert size.mean() > 0.15
        found = measured(linear_model(weight), data, by=data)
        assert np.corrcoef(found, size)[0, 1] > 0.95
        assert found.mean() == pytest.approx(size.mean(), rel=0.2)


def test_a_model_of_how_the_system_answers_has_next_to_none():
    assert measured(linear_model(TRUTH)).mean() < 0.2 * measured(linear_model(TRUTH + EFFECT)).mean()
    # The regression of its residuals on the action, behavior by behavior, would spread.
    residual = DATA.next_obs[:, 1] - DATA.obs[:, 1] - true_outputs(DATA)[:, 1]
    slopes = [np.polyfit(DATA.action[own, 0], residual[own], 1)[0] for own in DATA.behavior == np.arange(4)[:, None]]
    assert np.ptp(slopes) > 0.2


def test_it_is_two_stage_least_squares_less_its_noise():
    """Written out again: a projection of each behavior's features, and a regression on what is left of them."""
    model = linear_model(TRUTH + EFFECT)
    phi, free = phi_of(DATA), np.array([0, 1, 2, 4, 5, 7])  # 1, x0, x1, x0 x0, x0 x1, x1 x1
    residual = np.column_stack([DATA.next_obs - DATA.obs, DATA.reward]) - np.column_stack([DATA.obs, DATA.action]) @ (
        TRUTH + EFFECT
    )
    hessian, gradient = np.zeros((10, 10)), np.zeros((10, 3))
    for own in DATA.behavior == np.arange(4)[:, None]:
        psi = phi[own][:, free]
        projected = psi @ np.linalg.solve(psi.T @ psi + np.eye(6), psi.T @ phi[own])
        hessian, gradient = hessian + projected.T @ phi[own], gradient + projected.T @ residual[own]
    inverse = np.linalg.inv(hessian + np.eye(10))
    change = inverse @ gradient
    left = np.square(residual - phi @ change).mean(0).sum()
    noise = left * np.einsum("rf,fg,rg->r", phi, inverse @ hessian @ inverse, phi)
    expected = np.sqrt(np.maximum(np.square(phi @ change).sum(1) - noise, 0))
    np.testing.assert_allclose(measured(model), expected, atol=3e-3)


def test_the_noise_of_few_records_does_not_look_like_disagreement():
    """Under the true model the squares are as often too small as too large."""
    squares, noise = [], []
    for seed in range(40):
        few = gust_log(2, seed=seed)
        spread, phi = spread_of(linear_model(TRUTH), few), phi_of(DATA.rows(np.arange(0, len(DATA), 20)))
        squares.append(np.square(phi @ spread.change).sum(1).mean())
        noise.append(np.square(phi @ spread.noise).sum(1).mean())
    assert np.mean(noise) == pytest.approx(np.mean(squares), rel=0.35)
    assert np.mean(squares) > 0.02


def test_it_is_in_units_of_the_outputs():
    model = linear_model(TRUTH + EFFECT)
    # The network tells less, in a larger unit.
    other = linear_model((TRUTH + EFFECT) / 10)
    other = other._replace(normalizer=other.normalizer._replace(output_std=np.full(3, 10, np.float32)))
    np.testing.assert_allclose(10 * measured(other), measured(model), atol=2e-3)


def test_the_residual_of_an_angle_is_taken_the_short_way():
    data = replace(log_of(), behavior=np.arange(60, dtype=np.int32) // 30, behavior_names=("one", "other"))
    turned = replace(data, next_obs=data.next_obs + np.array([2 * np.pi, 0], np.float32))
    model = untrained(features=Features(angles=(0,)))
    for one, other in zip(spread_of(model, data), spread_of(model, turned), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_of_many_inputs_the_products_are_left_out():
    data = replace(log_of(obs=23), behavior=np.arange(60, dtype=np.int32) // 30, behavior_names=("one", "other"))
    assert spread_of(untrained(obs=23), data).change.shape == (1 + 24, 24)


def test_a_world_tells_it_and_a_model_alone_cannot():
    model = linear_model(TRUTH + EFFECT)
    world = world_of(model, DATA, uncertainty="behavior_spread", margin=0.1)
    assert isinstance(world.spread, Spread)
    obs, action = jnp.asarray(DATA.obs), jnp.asarray(DATA.action)
    told = world.step(obs, action, key=jax.random.key(0)).uncertainty
    np.testing.assert_allclose(told, measured(model), atol=1e-5)
    np.testing.assert_array_equal(world.uncertainty(obs, action), told)
    with pytest.raises(PolicyError, match="behavior_spread is measured on the log: give the logs"):
        world_of(model, None, uncertainty="behavior_spread", margin=0.1)
    with pytest.raises(PolicyError, match="this one has a single behavior"):
        world_of(model, DATA.rows(DATA.behavior == 1), uncertainty="behavior_spread", margin=0.1)


def test_what_is_not_finite_stays_so():
    found = spread_of(linear_model(TRUTH), DATA).measure(
        Features(), linear_model(TRUTH).normalizer, jnp.array([[jnp.nan, 0.0]]), jnp.zeros((1, 1))
    )
    assert not np.isfinite(found).any()
