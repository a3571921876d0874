"""Intervals by the bootstrap over episodes and seeds."""

import numpy as np
from jaxtyping import Float, Float64

LEVEL = 0.95


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


def by_cluster(
    values: Float[np.ndarray, "record *rest"], cluster: np.ndarray
) -> tuple[Float64[np.ndarray, "*rest cluster"], Float64[np.ndarray, " cluster"]]:
    """Sums of `values` over the records of each cluster, and the clusters' sizes."""
    _, place, counts = np.unique(cluster, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), *values.shape[1:]))
    np.add.at(sums, place, values)
    return np.moveaxis(sums, 0, -1), counts.astype(np.float64)
