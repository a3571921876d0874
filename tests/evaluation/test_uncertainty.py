import numpy as np
import pytest
from scipy.stats import spearmanr

from worldrex.evaluation import rank_correlation, sparsification

ERROR = np.array([1.0, 2, 3, 4])


def test_the_rank_correlation_is_spearmans_with_ties():
    rng = np.random.default_rng(0)
    error = rng.integers(0, 6, 40).astype(float)
    for uncertainty in (rng.integers(0, 4, 40) + error, rng.normal(size=40), -np.exp(error)):
        np.testing.assert_allclose(rank_correlation(uncertainty, error), spearmanr(uncertainty, error).statistic)
    assert rank_correlation(np.exp(ERROR), ERROR) == pytest.approx(1)
    assert rank_correlation(-ERROR, ERROR) == pytest.approx(-1)


def test_what_is_constant_or_not_finite_has_no_rank_correlation():
    assert np.isnan(rank_correlation(np.ones(4), ERROR))
    assert np.isnan(rank_correlation(ERROR, np.ones(4)))
    assert np.isnan(rank_correlation(ERROR, np.array([1, 2, np.nan, 3])))


@pytest.mark.parametrize(
    ("uncertainty", "curve", "area"),
    [
        (ERROR, [1, 0.8, 0.6, 0.4], 0.0),
        (-ERROR, [1, 1.2, 1.4, 1.6], 0.6),
        (np.ones(4), [1, 1, 1, 1], 0.3),
        # The larger two first, in either order: 2.5, (1.5 + 1.5 + 3.5) / 3, 1.5, 1.5 remain.
        (np.array([0.0, 0, 1, 1]), [1, 2.6 / 3, 0.6, 0.6], (0.2 / 3 + 0.2) / 4),
    ],
)
def test_sparsification_by_hand(uncertainty: np.ndarray, curve: list[float], area: float):
    found = sparsification(uncertainty, ERROR)
    np.testing.assert_allclose(found.removed, [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(found.curve, curve)
    np.testing.assert_allclose(found.oracle, [1, 0.8, 0.6, 0.4])
    np.testing.assert_allclose([found.area, found.random_area], [area, 0.3], atol=1e-12)


def test_the_order_of_the_records_is_no_matter():
    rng = np.random.default_rng(0)
    uncertainty, error = rng.integers(0, 5, 300).astype(float), rng.exponential(size=300)
    shuffled = rng.permutation(300)
    here, there = sparsification(uncertainty, error), sparsification(uncertainty[shuffled], error[shuffled])
    np.testing.assert_allclose(here.curve, there.curve)
    assert here.area == pytest.approx(there.area)
    assert len(here.removed) == 50


def test_a_model_without_error_leaves_nothing_to_order():
    found = sparsification(ERROR, np.zeros(4))
    np.testing.assert_array_equal(found.curve, np.ones(4))
    assert (found.area, found.random_area) == (0, 0)
