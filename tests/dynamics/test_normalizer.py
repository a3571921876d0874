import numpy as np
import pytest
from numpy.typing import ArrayLike

from worldrex.dynamics.normalizer import fit_normalizer

RNG = np.random.default_rng(0)


def columns(*values: ArrayLike) -> np.ndarray:
    return np.column_stack([np.asarray(x) for x in values]).astype(np.float32)


def test_mean_and_deviation_of_each_column():
    inputs, outputs = columns([1.0, 3.0], [0.0, 8.0]), columns([-1.0, 5.0])
    normalizer = fit_normalizer(inputs, outputs)
    np.testing.assert_array_equal(normalizer.input_mean, [2.0, 4.0])
    np.testing.assert_array_equal(normalizer.input_std, [1.0, 4.0])
    np.testing.assert_array_equal(normalizer.output_mean, [2.0])
    np.testing.assert_array_equal(normalizer.output_std, [3.0])
    assert {x.dtype for x in normalizer} == {np.dtype(np.float32)}


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e30])
def test_a_constant_column_has_deviation_1(value: float):
    x = columns(np.full(1001, value))
    normalizer = fit_normalizer(x, x)
    np.testing.assert_array_equal(normalizer.input_mean, x[0])
    np.testing.assert_array_equal(normalizer.input_std, [1.0])


def test_a_column_that_differs_by_rounding_alone_counts_as_constant():
    value = np.float32(1e6)
    x = columns(np.where(np.arange(1000) % 2, value, np.nextafter(value, np.float32(np.inf))))
    np.testing.assert_array_equal(fit_normalizer(x, x).output_std, [1.0])


@pytest.mark.parametrize("spread", [2.0, 100.0])
def test_a_large_mean_leaves_the_deviation_exact(spread: float):
    x = columns(1e6 + spread * RNG.normal(size=20_000))
    normalizer = fit_normalizer(x, x)
    exact = x.astype(np.float64).std(0)
    np.testing.assert_allclose(normalizer.input_std, exact, rtol=1e-6)
    np.testing.assert_allclose(normalizer.input_mean, x.astype(np.float64).mean(0), rtol=1e-7)


def test_a_tiny_spread_about_zero_is_kept():
    x = columns(1e-20 * RNG.normal(size=1000))
    np.testing.assert_allclose(fit_normalizer(x, x).input_std, x.astype(np.float64).std(0), rtol=1e-6)


def test_huge_values_do_not_overflow():
    x = columns(1e30 * RNG.normal(size=1000))
    np.testing.assert_allclose(fit_normalizer(x, x).input_std, x.astype(np.float64).std(0), rtol=1e-6)
