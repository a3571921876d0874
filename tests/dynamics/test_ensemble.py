import jax
import jax.numpy as jnp
import numpy as np

from tests.dynamics.made_up import made_up_network
from worldrex.dynamics.ensemble import Network, apply_network, init_network

JITTED = jax.jit(apply_network)
INPUTS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


def test_mean_and_log_variance_are_the_equations():
    network = made_up_network()
    hidden = INPUTS.astype(np.float64)
    for weight, bias in network.trunk:
        hidden = hidden @ weight + bias
        hidden = hidden / (1 + np.exp(-hidden))
    raw = hidden @ network.log_var[0] + network.log_var[1]
    low, high = np.asarray(network.min_log_var, np.float64), np.asarray(network.max_log_var, np.float64)
    bounded = high - softplus(high - raw)
    mean, log_var, stop = JITTED(network, INPUTS)
    assert stop is None
    np.testing.assert_allclose(mean, hidden @ network.mean[0] + network.mean[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_var, low + softplus(bounded - low), rtol=1e-5, atol=1e-5)


def test_the_log_variance_stays_within_its_bounds():
    network = made_up_network()
    for raw in (-1e6, 1e6):
        extreme = network._replace(log_var=(network.log_var[0], np.full(2, raw, np.float32)))
        log_var = JITTED(extreme, INPUTS).log_var
        # The lower bound's softplus lifts what the upper one lets through, by at most log(1 + e^(low - high)).
        lift = softplus(np.asarray(network.min_log_var) - np.asarray(network.max_log_var))
        assert (np.asarray(log_var) >= network.min_log_var).all()
        assert (np.asarray(log_var) <= network.max_log_var + lift + 1e-5).all()


def test_a_detached_variance_moves_its_own_head_and_nothing_else():
    network = jax.tree.map(jnp.asarray, made_up_network())

    def log_variance(network: Network, detach: bool) -> jax.Array:
        return apply_network(network, jnp.asarray(INPUTS), detach_variance=detach).log_var.sum()

    gradient = jax.jit(jax.grad(log_variance), static_argnums=1)
    detached, attached = gradient(network, True), gradient(network, False)
    assert not any(np.any(x) for x in jax.tree.leaves((detached.trunk, detached.mean)))
    assert all(np.any(x) for x in jax.tree.leaves(attached.trunk))
    for x, y in zip(jax.tree.leaves(detached.log_var), jax.tree.leaves(attached.log_var), strict=True):
        np.testing.assert_array_equal(x, y)
        assert np.any(x)


def test_a_fresh_member_has_unit_gain_and_the_usual_bounds():
    network = jax.jit(lambda: init_network(50, 4, (200, 100), key=jax.random.key(0)))()
    shapes = [weight.shape for weight, _ in (*network.trunk, network.mean, network.log_var)]
    assert shapes == [(50, 200), (200, 100), (100, 4), (100, 4)]
    for weight, bias in (*network.trunk, network.mean, network.log_var):
        assert not np.any(bias)
        np.testing.assert_allclose(np.std(weight), weight.shape[0] ** -0.5, rtol=0.1)
    assert not np.array_equal(network.mean[0], network.log_var[0])
    np.testing.assert_array_equal(network.min_log_var, np.full(4, -10.0))
    np.testing.assert_array_equal(network.max_log_var, np.full(4, 0.5))


def test_the_key_decides_the_member():
    fresh = jax.jit(lambda key: init_network(3, 2, (4,), key=key))
    first, again, other = (fresh(jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.trunk[0][0], again.trunk[0][0])
    np.testing.assert_array_equal(first.mean[0], again.mean[0])
    assert not np.isclose(first.trunk[0][0], other.trunk[0][0]).any()


def test_a_deterministic_member_has_no_variance_of_its_own():
    fresh = jax.jit(lambda: init_network(3, 2, (4,), gaussian=False, key=jax.random.key(0)))()
    assert fresh.log_var is fresh.min_log_var is fresh.max_log_var is None
    usual = jax.jit(lambda: init_network(3, 2, (4,), key=jax.random.key(0)))()
    told, expected = JITTED(fresh, INPUTS), JITTED(usual, INPUTS)
    np.testing.assert_array_equal(told.mean, expected.mean)
    np.testing.assert_array_equal(told.log_var, np.full((7, 2), -np.inf))


def test_a_termination_head_reads_the_trunk_and_changes_nothing_else():
    usual = jax.jit(lambda: init_network(3, 2, (4,), key=jax.random.key(0)))()
    ending = jax.jit(lambda: init_network(3, 2, (4,), terminates=True, key=jax.random.key(0)))()
    assert [x.shape for x in ending.stop] == [(4, 1), (1,)]
    told, expected = JITTED(ending, INPUTS), JITTED(usual, INPUTS)
    np.testing.assert_array_equal(told.mean, expected.mean)
    np.testing.assert_array_equal(told.log_var, expected.log_var)
    ((weight, bias),) = ending.trunk
    hidden = INPUTS @ np.asarray(weight) + np.asarray(bias)
    hidden = hidden / (1 + np.exp(-hidden))
    np.testing.assert_allclose(told.stop, hidden @ np.asarray(ending.stop[0])[:, 0], rtol=1e-4, atol=1e-6)
    gradient = jax.jit(jax.grad(lambda network: apply_network(network, jnp.asarray(INPUTS)).stop.sum()))(ending)
    assert not any(np.any(x) for x in jax.tree.leaves(gradient._replace(stop=None)))
