"""Whether a model knows where it errs: rank correlation and sparsification of its uncertainty against its error."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

POINTS = 50


class Sparsification(NamedTuple):
    """What remains of the mean error when the most uncertain records are taken away."""

    removed: Float64[np.ndarray, " point"]
    """Share of the records that is taken away, from 0."""
    curve: Float64[np.ndarray, " point"]
    """Mean error of those that remain, as a share of that of all: most uncertain first."""
    oracle: Float64[np.ndarray, " point"]
    """The same where those of the largest error go first: no order is better."""
    area: float
    """Between the two (AUSE): 0 for the order of the oracle."""
    random_area: float
    """The area that an order by chance has, whose curve stays at 1; a larger `area` than this misleads."""


def rank_correlation(uncertainty: Float[np.ndarray, " record"], error: Float[np.ndarray, " record"]) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; NaN where one of the two is constant.

    Source: Spearman 1904. 1: the larger the uncertainty, the larger the error; 0: it tells nothing.
    """
    if np.isnan(uncertainty).any() or np.isnan(error).any():
        return float("nan")
    ranks = [_ranks(x) - (len(x) - 1) / 2 for x in (uncertainty, error)]
    norm = np.sqrt(np.square(ranks[0]).sum() * np.square(ranks[1]).sum())
    return float(ranks[0] @ ranks[1] / norm) if norm > 0 else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 0; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]


def sparsification(uncertainty: Float[np.ndarray, " record"], error: Float[np.ndarray, " record"]) -> Sparsification:
    """The sparsification curve of an uncertainty, the oracle's, and the area between them (AUSE).

        curve(j) = mean error of the n - j least uncertain records / mean error of all,  j = 0 .. n - 1
        area = 1/n sum_j (curve(j) - oracle(j))

    Records of the same uncertainty go in any order: the curve is the mean over their orders.

    **Arguments:** of each record, `error` not negative. Source: Ilg et al. 2018, arXiv 1802.07095.
    """
    count = len(error)
    error = error.astype(np.float64)
    curve, oracle = (_remaining(order, error) for order in (uncertainty, error))
    at = np.unique(np.arange(POINTS) * count // POINTS)
    return Sparsification(at / count, curve[at], oracle[at], float((curve - oracle).mean()), float((1 - oracle).mean()))


def _remaining(uncertainty: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Mean error of what is left after the j most uncertain, j = 0 .. n - 1, as a share of the mean of all."""
    order = np.argsort(uncertainty, kind="stable")
    ordered, sure_first = uncertainty[order], error[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(begins, append=len(order))
    mean_of_equals = np.repeat(np.add.reduceat(sure_first, begins) / sizes, sizes)
    left = np.cumsum(mean_of_equals) / np.arange(1, len(order) + 1)
    # Without any error each order is as good; where one is not finite, none has a meaning.
    return np.ones(len(order)) if left[-1] == 0 else left[::-1] / left[-1]
