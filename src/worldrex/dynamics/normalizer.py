"""Standardization of a model's inputs and outputs by the mean and deviation of its training records."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float32, Float64, Int32

from worldrex import risk
from worldrex.data import Spans, Transitions
from worldrex.dynamics.features import Features, first_of_episode
from worldrex.dynamics.processes import Whole, merged

ROWS_AT_ONCE = 65_536  # bounds the memory


class Normalizer(NamedTuple):
    """Means and standard deviations, in the data's own units; a constant column has deviation 1."""

    input_mean: Float32[Array | np.ndarray, "*lead input"]
    input_std: Float32[Array | np.ndarray, "*lead input"]
    output_mean: Float32[Array | np.ndarray, "*lead output"]
    output_std: Float32[Array | np.ndarray, "*lead output"]


class Columns(NamedTuple):
    """Count, mean and squared deviations of each column under each behavior, `[column, group]`, in float64."""

    inputs: risk.Moments
    outputs: risk.Moments


def moments_of_behaviors(data: Transitions, whole: Whole, rows: Spans, features: Features) -> Columns:
    """The moments of all columns under each behavior, over the rows of the whole log that are trained on.

    **Arguments:** this process's part of the log, `data`; `rows` of the `whole` log.
    """
    own = rows.where((rows.start >= whole.own.start) & (rows.start < whole.own.stop))
    behavior = whole.behavior[whole.own]
    first = first_of_episode(data.episode) if features.history > 1 else np.zeros(0, np.int32)
    found: Columns | None = None
    # At least once, so that a process without training rows tells its zeros.
    for start in range(0, max(len(own), 1), ROWS_AT_ONCE):
        block = own.at(np.arange(start, min(start + ROWS_AT_ONCE, len(own)))) - whole.own.start
        obs, action = features.past(data, block, first)
        inputs = features.inputs(obs, action).astype(np.float64)
        outputs = features.outputs(data.obs[block], data.next_obs[block], data.reward[block]).astype(np.float64)
        here = Columns(*(_moments(x, behavior[block], whole.num_behaviors) for x in (inputs, outputs)))
        found = here if found is None else Columns(*map(risk.merge, found, here))
    assert found is not None
    return Columns(*(merged(moments) for moments in found))


def _moments(
    x: Float64[np.ndarray, "row column"], behavior: Int32[np.ndarray, " row"], num_behaviors: int
) -> risk.Moments:
    """As `risk.group_moments` of the columns; behavior by behavior, which are few, and so five times as fast."""
    shape = x.shape[1], num_behaviors
    count, mean, m2 = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for group in np.unique(behavior):
        own = x[behavior == group]
        count[:, group], mean[:, group] = len(own), own.mean(0)
        own -= mean[:, group]
        m2[:, group] = np.einsum("rc,rc->c", own, own)
    return risk.GroupMoments(count, mean, m2)


def fit_normalizer(moments: Columns, *, leaving_out: Sequence[int] = ()) -> Normalizer:
    """The normalizer of all behaviors' records but those of some.

    **Returns:** `Normalizer` without leading axes, in the data's own units.
    """
    return Normalizer(*_mean_and_std(moments.inputs, leaving_out), *_mean_and_std(moments.outputs, leaving_out))


def _mean_and_std(moments: risk.Moments, leaving_out: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    kept = [group for group in range(moments.count.shape[1]) if group not in leaving_out]
    count, mean, m2, *_ = reduce(risk.merge, (risk.GroupMoments(*(x[:, group] for x in moments)) for group in kept))
    # Not in float32: there, the deviation of a column with a large mean is mostly rounding.
    std = np.sqrt(m2 / count)
    rounding = 8 * np.finfo(np.float32).eps * np.abs(mean)
    return mean.astype(np.float32), np.where(std > rounding, std, 1.0).astype(np.float32)
