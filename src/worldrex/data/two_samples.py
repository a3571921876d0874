"""How well a quadratic classifier tells two samples apart."""

import numpy as np
from jaxtyping import Float, Float64


def normal_log_likelihood(
    sample: Float[np.ndarray, "record input"], points: Float[np.ndarray, "point input"], *, blur: float
) -> Float64[np.ndarray, " point"]:
    """Of each point, under the normal distribution of the sample; without its constant, which moves no area.

    `blur` is a standard deviation that is added to each component: differences below it do not count.
    """
    precision = np.linalg.inv(np.atleast_2d(np.cov(sample.T)) + blur**2 * np.eye(sample.shape[1]))
    distance = points - sample.mean(0)
    return -0.5 * (distance @ precision * distance).sum(1)


def area_under_curve(own: Float[np.ndarray, " own"], other: Float[np.ndarray, " other"]) -> float:
    """How often a score of the one sample lies above one of the other: 1 where always, 0.5 where they are alike."""
    ordered = np.sort(other)
    below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
    return float(below.mean() / (2 * len(ordered)))
