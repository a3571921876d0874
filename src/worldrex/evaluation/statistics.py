"""Intervals by the bootstrap over episodes and seeds, and the mean that few seeds can carry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

LEVEL = 0.95
TRIM = 0.25
DRAWS_OF_RUNS = 10_000
VALUES_AT_ONCE = 2_000_000  # bounds the memory


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class Interquartile(NamedTuple):
    """An interquartile mean with its 95 % interval."""

    value: float
    low: float
    high: float


def cluster_means(
    sums: Float[np.ndarray, "*lead cluster"],
    counts: Float[np.ndarray, " cluster"],
    draws: Float[np.ndarray, "draw cluster"],
) -> Float64[np.ndarray, "draw *lead"]:
    """Means of resampled clusters (episodes), one per draw: sum_c k_c S_c / sum_c k_c n_c.

    **Arguments:** the sum of a quantity over each cluster's records, their number, and how often each draw takes each
    cluster (from `resample`). Whole episodes are drawn, since the records of one resemble each other (Field & Welsh 2007).
    """
    total = np.tensordot(draws, sums, axes=(1, sums.ndim - 1))
    return total / (draws @ counts).reshape(-1, *(1,) * (sums.ndim - 1))


def resample(clusters: int, draws: int, *, rng: np.random.Generator) -> Float64[np.ndarray, "draw cluster"]:
    """How often each of `draws` bootstrap samples takes each of `clusters`."""
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=draws).astype(np.float64)


def interval(
    draws: Float[np.ndarray, "draw *lead"],
) -> tuple[Float64[np.ndarray, "*lead"], Float64[np.ndarray, "*lead"]]:
    """The central 95 % of the draws (percentile bootstrap, Efron 1979)."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return np.asarray(low), np.asarray(high)


def estimate(value: float, draws: Float[np.ndarray, " draw"]) -> tuple[float, float, float]:
    """A value with the interval of its draws, as plain numbers."""
    low, high = interval(draws)
    return float(value), float(low), float(high)


def simultaneous(values: Float[np.ndarray, " quantity"], draws: Float[np.ndarray, "draw quantity"]) -> list[Estimate]:
    """Intervals that hold for all quantities at once with 95 %: value ± c s.

    s is the standard deviation of a quantity's draws, and c the 95 % quantile over the draws of the largest
    |draw - mean| / s of any quantity (the studentized maximum): about 1.96 for one quantity, 2.5 for five that are
    independent, and less the more they go together. A quantity that never varies has an interval of width 0.

    Source: Romano & Wolf 2005, Econometrica 73(4), in one step; Mandel & Betensky 2008.
    """
    std = draws.std(0)
    varies = std > 0
    ratio = np.abs(draws - draws.mean(0))[:, varies] / std[varies]
    reach = np.quantile(ratio.max(1), LEVEL) * std if varies.any() else std
    return [Estimate(float(v), float(v - r), float(v + r)) for v, r in zip(values, reach, strict=True)]


def by_cluster(
    values: Float[np.ndarray, "record *rest"], cluster: np.ndarray
) -> tuple[Float64[np.ndarray, "*rest cluster"], Float64[np.ndarray, " cluster"]]:
    """Sums of `values` over the records of each cluster, and the clusters' sizes."""
    _, place, counts = np.unique(cluster, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), *values.shape[1:]))
    np.add.at(sums, place, values)
    return np.moveaxis(sums, 0, -1), counts.astype(np.float64)


def interquartile_mean(
    scores: Float[np.ndarray, "run task"], *, draws: int = DRAWS_OF_RUNS, seed: int = 0
) -> Interquartile:
    """Mean of the middle half of all runs' scores over all tasks, with a stratified bootstrap interval of 95 %.

    A quarter of the `run x task` scores is cut off at either end, rounded down. The bootstrap draws the runs (seeds) of each
    task anew, apart from those of the others, and takes the percentiles of the interquartile means. With a single run
    the interval is empty of meaning and as wide as 0: three runs are few, ten are good.

    **Arguments:** `scores` of the runs, in rows, on the tasks (behaviors, say), in columns. **Raises:** `ValueError` for
    none, or for one that is not finite.

    Source: Agarwal et al. 2021, arXiv 2108.13264, in the conventions of its library rliable.
    """
    if not scores.size or not np.isfinite(scores).all():
        raise ValueError(
            f"scores of shape {scores.shape} with {np.count_nonzero(~np.isfinite(scores))} that are not finite; give "
            "[run, task], at least one of each, without those of runs that failed."
        )
    rng = np.random.default_rng(seed)
    runs, tasks = scores.shape
    found = []
    for start in range(0, draws, block := max(VALUES_AT_ONCE // scores.size, 1)):
        drawn = rng.integers(runs, size=(min(block, draws - start), runs, tasks))
        found.append(_middle_mean(scores[drawn, np.arange(tasks)].reshape(len(drawn), -1)))
    low, high = interval(np.concatenate(found))
    return Interquartile(float(_middle_mean(scores.reshape(1, -1))[0]), float(low), float(high))


def interquartile_return(
    returns: Float[np.ndarray, "run episode"], *, draws: int = DRAWS_OF_RUNS, seed: int = 0
) -> Interquartile:
    """Mean of the middle half of all runs' episodes, with a bootstrap interval of 95 % over episodes and runs (seeds).

    The bootstrap draws runs, and within each drawn run its episodes. With a single run the interval is that of the run, and
    says nothing of what another seed would have given.

    **Raises:** `ValueError` for none, or for a return that is not finite.
    """
    return Interquartile(*_of_runs(returns, _middle_mean, draws, seed))


def mean_return(
    returns: Float[np.ndarray, "run episode"], *, draws: int = DRAWS_OF_RUNS, seed: int = 0
) -> tuple[float, float, float]:
    """As `interquartile_return`, the mean of all: the value, and the ends of its interval."""
    return _of_runs(returns, lambda values: values.mean(-1), draws, seed)


def _of_runs(
    returns: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], draws: int, seed: int
) -> tuple[float, float, float]:
    if not returns.size or not np.isfinite(returns).all():
        raise ValueError(f"returns of shape {returns.shape}; give finite ones of [run, episode], at least one of each.")
    rng = np.random.default_rng(seed)
    runs, episodes = returns.shape
    found = []
    for start in range(0, draws, block := max(VALUES_AT_ONCE // returns.size, 1)):
        count = min(block, draws - start)
        run = rng.integers(runs, size=(count, runs, 1))
        episode = rng.integers(episodes, size=(count, runs, episodes))
        found.append(statistic(returns[run, episode].reshape(count, -1)))
    low, high = interval(np.concatenate(found))
    return float(statistic(returns.reshape(1, -1))[0]), float(low), float(high)


def _middle_mean(scores: np.ndarray) -> np.ndarray:
    """Mean over the last axis without the share `TRIM` at either end."""
    cut = int(TRIM * scores.shape[-1])
    return np.sort(scores, axis=-1)[..., cut : scores.shape[-1] - cut].mean(-1, dtype=np.float64)
