import numpy as np
import pytest
from scipy.stats import trim_mean

from worldrex.evaluation import interquartile_mean
from worldrex.evaluation.statistics import by_cluster, cluster_means, interval, resample, simultaneous


def test_sums_and_sizes_of_each_cluster():
    cluster = np.array([7, 2, 7, 2, 7, 40])
    values = np.array([[1.0, 10], [2, 20], [3, 30], [4, 40], [5, 50], [6, 60]])
    sums, counts = by_cluster(values, cluster)
    np.testing.assert_array_equal(sums, [[6, 9, 6], [60, 90, 60]])
    np.testing.assert_array_equal(counts, [2, 3, 1])
    np.testing.assert_array_equal(by_cluster(values[:, 0], cluster)[0], [6, 9, 6])


def test_sums_are_taken_in_double_precision():
    values = np.full(100_001, 1 / 3, np.float32)
    sums, _ = by_cluster(values, np.zeros(100_001, int))
    assert sums.dtype == np.float64
    np.testing.assert_allclose(sums, 100_001 * float(np.float32(1 / 3)), rtol=1e-12)


def test_a_draw_weighs_each_cluster_by_its_records():
    sums, counts = np.array([[3.0, 8.0, 1.0], [30.0, 80.0, 10.0]]), np.array([1.0, 4.0, 1.0])
    draws = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0]])
    np.testing.assert_allclose(cluster_means(sums, counts, draws), [[2.0, 20.0], [17 / 9, 170 / 9]])
    np.testing.assert_allclose(cluster_means(sums[0], counts, draws), [2.0, 17 / 9])


def test_resampling_takes_as_many_clusters_and_each_as_often():
    draws = resample(5, 20_000, rng=np.random.default_rng(0))
    assert draws.shape == (20_000, 5)
    np.testing.assert_array_equal(draws.sum(1), np.full(20_000, 5))
    np.testing.assert_allclose(draws.mean(0), np.ones(5), atol=0.03)
    np.testing.assert_allclose(draws.var(0), np.full(5, 0.8), atol=0.05)  # multinomial: 5 * 1/5 * 4/5


def test_an_interval_is_the_central_95_percent():
    draws = np.stack([np.arange(1001.0), 2 * np.arange(1001.0)], axis=1)
    low, high = interval(draws)
    np.testing.assert_allclose([low, high], [[25, 50], [975, 1950]])
    assert interval(draws[:, 0])[0].shape == ()


def simulated(rng: np.random.Generator, correlation: float, clusters: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Records about 0 in clusters of 5 to 15, those of one cluster correlated."""
    cluster = np.repeat(np.arange(clusters), rng.integers(5, 16, clusters))
    common, own = rng.normal(size=clusters)[cluster], rng.normal(size=len(cluster))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own, cluster


def bootstrapped(values: np.ndarray, cluster: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    sums, counts = by_cluster(values, cluster)
    low, high = interval(cluster_means(sums, counts, resample(len(counts), 400, rng=rng)))
    return float(low), float(high)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_intervals_over_clusters_hold_the_mean_95_times_in_100(correlation: float):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = bootstrapped(*simulated(rng, correlation), rng)
        held += low <= 0 <= high
    assert 180 <= held <= 198


def test_correlated_records_make_the_interval_wider():
    rng = np.random.default_rng(0)
    values, cluster = simulated(rng, 0.5)
    low, high = bootstrapped(values, cluster, rng)
    as_if_apart = bootstrapped(values, np.arange(len(values)), rng)
    assert high - low > 1.5 * (as_if_apart[1] - as_if_apart[0])


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (3, 4), (10, 7)])
def test_the_interquartile_mean_is_the_trimmed_mean_of_all_scores(shape: tuple[int, int]):
    scores = np.random.default_rng(0).exponential(size=shape)
    scores[0, 0] = 1e6
    found = interquartile_mean(scores)
    assert found.value == pytest.approx(trim_mean(scores, 0.25, axis=None))
    assert found.low <= found.value <= found.high


def test_runs_are_drawn_within_each_task():
    levels = np.arange(8.0)[None].repeat(5, axis=0)
    # The runs of a task are all alike, so that there is nothing that chance could change.
    assert interquartile_mean(levels) == (3.5, 3.5, 3.5)
    rng = np.random.default_rng(0)
    found = interquartile_mean(levels + 0.1 * rng.normal(size=levels.shape))
    assert 0.01 < found.high - found.low < 0.15


def test_each_task_draws_its_own_runs():
    # Good and bad seeds, the same in each task: drawn together, the means of 2 seeds would have 3 values only.
    scores = np.array([[0.0], [1.0]]).repeat(40, axis=1)
    found = interquartile_mean(scores)
    assert 0.2 < found.low < 0.5 < found.high < 0.8


def test_the_interval_of_the_interquartile_mean_holds_the_truth():
    rng = np.random.default_rng(0)
    found = [interquartile_mean(rng.normal(size=(10, 4)), draws=300, seed=seed) for seed in range(200)]
    assert 176 <= sum(low <= 0 <= high for _, low, high in found) <= 199


def test_an_interquartile_mean_needs_finite_scores():
    for scores in (np.zeros((0, 3)), np.array([[1.0, np.nan]])):
        with pytest.raises(ValueError, match="that are not finite; give"):
            interquartile_mean(scores)


def test_simultaneous_intervals_hold_for_all_at_once():
    """Of 20 independent normal quantities, 95 % of the time none is outside; each alone would be in 36 % of cases."""
    rng = np.random.default_rng(0)
    std = np.linspace(0.1, 2, 20)
    draws = 5 + std * rng.normal(size=(4000, 20))
    intervals = simultaneous(np.full(20, 5.0), draws)
    fresh = 5 + std * rng.normal(size=(4000, 20))
    inside = np.all([(fresh[:, i] > one.low) & (fresh[:, i] < one.high) for i, one in enumerate(intervals)], axis=0)
    np.testing.assert_allclose(inside.mean(), 0.95, atol=0.015)
    half_widths = np.array([one.high - one.value for one in intervals])
    np.testing.assert_allclose(half_widths / std, half_widths[0] / std[0], rtol=0.05)


def test_one_quantity_has_the_usual_interval():
    draws = np.random.default_rng(1).normal(size=(20_000, 1))
    (only,) = simultaneous(np.zeros(1), draws)
    np.testing.assert_allclose([only.low, only.high], [-1.96, 1.96], rtol=0.03)


def test_a_quantity_that_never_varies_has_no_width_and_widens_no_other():
    draws = np.column_stack([np.zeros(5000), np.random.default_rng(1).normal(size=5000)])
    still, other = simultaneous(np.array([1.0, 0.0]), draws)
    assert (still.low, still.high) == (1.0, 1.0)
    np.testing.assert_allclose(other.high, 1.96, rtol=0.05)
    (alone,) = simultaneous(np.ones(1), np.ones((10, 1)))
    assert (alone.low, alone.high) == (1.0, 1.0)
