import jax
import jax.numpy as jnp
import numpy as np
import pytest

from worldrex.policy.networks import (
    LOG_STD_HIGH,
    LOG_STD_LOW,
    Gaussian,
    apply_actor,
    apply_critics,
    init_actor,
    init_critics,
    squashed,
)


def density(action: np.ndarray, mean: np.ndarray, log_std: np.ndarray) -> np.ndarray:
    """Of each action, by way of the noise that leads there."""
    noise = (np.arctanh(action) - mean) / np.exp(log_std)
    told = Gaussian(*(jnp.broadcast_to(jnp.asarray(x, jnp.float32), action.shape) for x in (mean, log_std)))
    there, log_prob = squashed(told, jnp.asarray(noise, jnp.float32))
    np.testing.assert_allclose(there, action, atol=1e-5)
    return np.exp(np.asarray(log_prob, np.float64))


def midpoints(end: float, count: int) -> tuple[np.ndarray, float]:
    """Of as many intervals from -end to end, and their width."""
    return end * (2 * (np.arange(count) + 0.5) / count - 1), 2 * end / count


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.7, -1.0), (-1.0, 0.3)])
def test_the_density_integrates_to_one_over_the_actions(mean: float, log_std: float):
    actions, width = midpoints(1, 20_000)
    total = density(actions[:, None], np.array([mean]), np.array([log_std])).sum() * width
    assert total == pytest.approx(1, abs=1e-3)


def test_the_density_of_two_components_integrates_to_one():
    actions, width = midpoints(1, 400)
    both = np.stack(np.meshgrid(actions, actions), -1).reshape(-1, 2)
    total = density(both, np.array([0.2, -0.4]), np.array([-0.9, -0.7])).sum() * width**2
    assert total == pytest.approx(1, abs=1e-3)


def test_the_entropy_of_draws_is_that_of_numerical_integration():
    actions, width = midpoints(1, 20_000)
    there = density(actions[:, None], np.array([0.5]), np.array([-0.5]))
    expected = -(there * np.log(np.maximum(there, 1e-30))).sum() * width
    noise = jax.random.normal(jax.random.key(0), (100_000, 1))
    told = Gaussian(jnp.full((100_000, 1), 0.5), jnp.full((100_000, 1), -0.5))
    assert -float(squashed(told, noise)[1].mean()) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("mean", "distance", "slope"), [(30.0, 31.0, 2.0), (-30.0, 29.0, -2.0)])
def test_far_from_the_middle_the_density_is_finite_and_has_a_gradient(mean: float, distance: float, slope: float):
    """log(1 - tanh^2) of u = 30 is log 0 in float32 unless it is rewritten."""
    value, gradient = jax.value_and_grad(log_prob_of)(jnp.full((1, 1), mean))
    assert value == pytest.approx(-0.5 - 0.5 * np.log(2 * np.pi) + 2 * (distance - np.log(2)), rel=1e-5)
    assert gradient[0, 0] == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("before", [-0.5, 0.0, 1e-3, 0.5])
def test_the_gradient_of_the_density_is_that_of_tanh(before: float):
    """d/du of -log(1 - tanh(u)^2) = 2 tanh(u)."""
    gradient = jax.grad(log_prob_of)(jnp.full((1, 1), before - 1))
    assert gradient[0, 0] == pytest.approx(2 * np.tanh(before), rel=1e-4, abs=1e-7)


def log_prob_of(mean: jax.Array) -> jax.Array:
    """Of an action one deviation, which is 1, above the mean."""
    return squashed(Gaussian(mean, jnp.zeros((1, 1))), jnp.ones((1, 1)))[1].sum()


def test_each_critic_is_its_own():
    critics = init_critics(3, 2, 1, (8, 8), key=jax.random.key(0))
    obs, action = jnp.ones((4, 2)), jnp.full((4, 1), 0.5)
    values = apply_critics(critics, obs, action)
    assert values.shape == (3, 4)
    assert len(np.unique(values[:, 0])) == 3
    second = jax.tree.map(lambda x: np.asarray(x[1]), critics)
    hidden = np.concatenate([obs, action], -1)
    for weight, bias in second.trunk:
        hidden = np.maximum(hidden @ weight + bias, 0)
    np.testing.assert_allclose(values[1], (hidden @ second.value[0] + second.value[1])[:, 0], rtol=1e-5)


def test_log_std_stays_within_its_bounds():
    actor = init_actor(2, 1, (4,), key=jax.random.key(0))
    for bias, bound in ((1e3, LOG_STD_HIGH), (-1e3, LOG_STD_LOW)):
        told = apply_actor(actor._replace(log_std=(actor.log_std[0], jnp.array([bias]))), jnp.ones((3, 2)))
        np.testing.assert_array_equal(told.log_std, bound)


def test_layers_begin_as_pytorch_has_them():
    actor = init_actor(9, 1, (400,), key=jax.random.key(0))
    for values in actor.trunk[0]:
        assert abs(np.asarray(values)).max() == pytest.approx(1 / 3, rel=0.02)
        assert np.std(values) == pytest.approx(1 / 3 / np.sqrt(3), rel=0.05)
