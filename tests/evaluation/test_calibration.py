import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2, norm

from worldrex.evaluation.calibration import (
    calibration_error,
    joint_pit,
    log_densities,
    mixture_crps,
    mixture_nll,
    mixture_pit,
)


def components(elites: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, standard deviations and truths of 6 mixtures."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(elites, 6)), rng.uniform(0.1, 1.5, (elites, 6)), rng.normal(size=6)


def as_told(mean: np.ndarray, std: np.ndarray, truth: np.ndarray) -> tuple[jnp.ndarray, jnp.ndarray]:
    return jnp.asarray(mean - truth, jnp.float32), jnp.asarray(std, jnp.float32)


@pytest.mark.parametrize("elites", [1, 2, 5])
def test_the_crps_is_that_of_numerical_integration(elites: int):
    mean, std, truth = components(elites)
    x = np.linspace(-12, 12, 40_001)
    for number, found in enumerate(np.asarray(jax.jit(mixture_crps)(*as_told(mean, std, truth)))):
        below = norm.cdf(x[:, None], mean[:, number], std[:, number]).mean(1)
        expected = np.trapezoid(np.square(below - (x >= truth[number])), x)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)


def test_the_crps_of_points_is_that_of_the_sample():
    mean, std, truth = components(3)
    apart = np.abs(mean[:, None] - mean[None]).mean((0, 1))
    found = mixture_crps(*as_told(mean, 0 * std, truth))
    np.testing.assert_allclose(found, np.abs(mean - truth).mean(0) - apart / 2, rtol=1e-5)


@pytest.mark.parametrize("elites", [1, 4])
def test_likelihood_and_pit_are_those_of_the_mixture(elites: int):
    mean, std, truth = components(elites)
    told = as_told(mean, std, truth)
    expected = -np.log(norm.pdf(truth, mean, std).mean(0))
    np.testing.assert_allclose(mixture_nll(log_densities(*told)), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mixture_pit(*told), norm.cdf(truth, mean, std).mean(0), rtol=1e-4, atol=1e-6)


def test_points_have_no_likelihood_and_leave_no_nan():
    gap = jnp.array([[0.5, -0.5, 0.0]])
    std = jnp.zeros((1, 3))
    np.testing.assert_array_equal(mixture_nll(log_densities(gap, std)), [np.inf, np.inf, -np.inf])
    np.testing.assert_array_equal(mixture_pit(gap, std), [0, 1, 0.5])
    np.testing.assert_array_equal(mixture_crps(gap, std), [0.5, 0.5, 0])


def test_the_joint_pit_of_a_right_model_is_uniform():
    distance = np.square(np.random.default_rng(0).normal(size=(20_000, 3))).sum(1)
    found = joint_pit(distance, 3)
    np.testing.assert_allclose(found, chi2.cdf(distance, 3))
    np.testing.assert_allclose(np.quantile(found, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02)


def test_the_calibration_error_is_the_distance_from_uniform():
    flat, first = np.full(20, 5.0), np.eye(20)[0]
    np.testing.assert_allclose(calibration_error(np.stack([flat, first])), [0, 0.5], atol=1e-12)
    # Two bins: 0.75 of the values below the half.
    np.testing.assert_allclose(calibration_error(np.array([3.0, 1.0])), 0.25)
