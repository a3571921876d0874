import jax
import jax.numpy as jnp
import numpy as np

from worldrex.dynamics.ensemble import Network, apply_network, init_network

INPUTS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def made_up_network(seed: int = 1) -> Network:
    """Two hidden layers, 3 inputs and 2 outputs, every parameter at random."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return Network(
        trunk=((normal(3, 5), normal(5)), (normal(5, 4), normal(4))),
        mean=(normal(4, 2), normal(2)),
        log_var=(normal(4, 2), normal(2)),
        min_log_var=np.array([-3.0, -10.0], np.float32),
        max_log_var=np.array([0.5, -1.0], np.float32),
    )


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
    mean, log_var = jax.jit(apply_network)(network, INPUTS)
    np.testing.assert_allclose(mean, hidden @ network.mean[0] + network.mean[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_var, low + softplus(bounded - low), rtol=1e-5, atol=1e-5)


def test_the_log_variance_stays_within_its_bounds():
    network = made_up_network()
    for raw in (-1e6, 1e6):
        extreme = network._replace(log_var=(network.log_var[0], np.full(2, raw, np.float32)))
        _, log_var = apply_network(extreme, jnp.asarray(INPUTS))
        # The lower bound's softplus lifts what the upper one lets through, by at most log(1 + e^(low - high)).
        lift = softplus(np.asarray(network.min_log_var) - np.asarray(network.max_log_var))
        assert (np.asarray(log_var) >= network.min_log_var).all()
        assert (np.asarray(log_var) <= network.max_log_var + lift + 1e-5).all()


def test_a_detached_variance_moves_its_own_head_and_nothing_else():
    network = jax.tree.map(jnp.asarray, made_up_network())

    def log_variance(network: Network, detach: bool) -> jax.Array:
        return apply_network(network, jnp.asarray(INPUTS), detach_variance=detach)[1].sum()

    detached = jax.grad(log_variance)(network, True)
    attached = jax.grad(log_variance)(network, False)
    assert not any(np.any(x) for x in jax.tree.leaves((detached.trunk, detached.mean)))
    assert all(np.any(x) for x in jax.tree.leaves(attached.trunk))
    for x, y in zip(jax.tree.leaves(detached.log_var), jax.tree.leaves(attached.log_var), strict=True):
        np.testing.assert_array_equal(x, y)
        assert np.any(x)


def test_a_fresh_member_has_unit_gain_and_the_usual_bounds():
    network = init_network(50, 4, (200, 100), key=jax.random.key(0))
    shapes = [weight.shape for weight, _ in (*network.trunk, network.mean, network.log_var)]
    assert shapes == [(50, 200), (200, 100), (100, 4), (100, 4)]
    for weight, bias in (*network.trunk, network.mean, network.log_var):
        assert not np.any(bias)
        np.testing.assert_allclose(np.std(weight), weight.shape[0] ** -0.5, rtol=0.1)
    assert not np.array_equal(network.mean[0], network.log_var[0])
    np.testing.assert_array_equal(network.min_log_var, np.full(4, -10.0))
    np.testing.assert_array_equal(network.max_log_var, np.full(4, 0.5))


def test_the_key_decides_the_member():
    first, again, other = (init_network(3, 2, (4,), key=jax.random.key(seed)) for seed in (0, 0, 1))
    for x, y, z in zip(first.trunk[0], again.trunk[0], other.trunk[0], strict=True):
        np.testing.assert_array_equal(x, y)
        assert np.any(x) == np.any(z)
    assert not np.array_equal(first.trunk[0][0], other.trunk[0][0])
