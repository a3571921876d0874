"""Standardization of a model's inputs and outputs by the mean and deviation of its training records."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float32


class Normalizer(NamedTuple):
    """Means and standard deviations, in the data's own units; a constant column has deviation 1."""

    input_mean: Float32[Array | np.ndarray, "*lead input"]
    input_std: Float32[Array | np.ndarray, "*lead input"]
    output_mean: Float32[Array | np.ndarray, "*lead output"]
    output_std: Float32[Array | np.ndarray, "*lead output"]


def fit_normalizer(
    inputs: Float32[np.ndarray, "record input"], outputs: Float32[np.ndarray, "record output"]
) -> Normalizer:
    """Normalizer of these records.

    **Arguments:** `inputs` (obs and action) and `outputs` (next_obs - obs and reward), in the data's own units.

    **Returns:** `Normalizer` without leading axes.
    """
    return Normalizer(*_mean_and_std(inputs), *_mean_and_std(outputs))


def _mean_and_std(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Not in float32: there, the deviation of a column with a large mean is mostly rounding.
    mean = x.mean(0, dtype=np.float64)
    std = np.sqrt(np.square(x - mean).mean(0))
    rounding = 8 * np.finfo(np.float32).eps * np.abs(mean)
    return mean.astype(np.float32), np.where(std > rounding, std, 1.0).astype(np.float32)
