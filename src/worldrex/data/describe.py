"""What is in a data set: records, episodes, behaviors, ranges and findings."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from worldrex.data.transitions import Transitions
from worldrex.data.validate import Finding, validate


@dataclass(frozen=True)
class BehaviorSummary:
    """One behavior; what cannot be computed (no episodes, or no spread of a single one) is None.

    Arguments:
        mean_steps: mean length of its episodes.
        mean_return: mean over its episodes of the sum of rewards.
        std_return: standard deviation of the same, with N - 1.
        mean_action: mean of |action| over records and components.
    """

    name: str
    records: int
    episodes: int
    mean_steps: float | None
    mean_return: float | None
    std_return: float | None
    mean_action: float | None


@dataclass(frozen=True)
class ColumnSummary:
    """Range of one component over its finite values; None where there are none.

    Arguments:
        name: e.g. "obs[:, 3]".
        unusual: distance of the farthest value from the mean, in standard deviations; 0 for a constant.
    """

    name: str
    min: float | None
    mean: float | None
    std: float | None
    max: float | None
    unusual: float | None


@dataclass(frozen=True)
class Description:
    """All that `worldrex describe` tells of a data set."""

    records: int
    episodes: int
    obs_width: int
    action_width: int
    behaviors: tuple[BehaviorSummary, ...]
    columns: tuple[ColumnSummary, ...]
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers, strings and None, for `json.dumps`."""
        return dataclasses.asdict(self)


def describe(data: Transitions) -> Description:
    """Counts, returns, ranges and findings of `data`, also where it has errors."""
    columns = []
    for column in ("obs", "action", "reward", "next_obs"):
        values = getattr(data, column)
        if values.ndim == 1:
            columns.append(_summarize_column(column, values))
        else:
            columns += [_summarize_column(f"{column}[:, {i}]", values[:, i]) for i in range(values.shape[1])]
    return Description(
        records=len(data),
        episodes=len(np.unique(data.episode)),
        obs_width=data.obs.shape[1],
        action_width=data.action.shape[1],
        behaviors=tuple(_summarize_behavior(data, i) for i in range(data.num_behaviors)),
        columns=tuple(columns),
        findings=tuple(validate(data)),
    )


def _summarize_behavior(data: Transitions, behavior: int) -> BehaviorSummary:
    rows = np.flatnonzero(data.behavior == behavior)
    _, episode, steps = np.unique(data.episode[rows], return_inverse=True, return_counts=True)
    returns = np.bincount(episode, weights=data.reward[rows]).astype(np.float64)  # of nothing, it is of integers
    return BehaviorSummary(
        name=data.behavior_names[behavior],
        records=len(rows),
        episodes=len(steps),
        mean_steps=_mean(steps.astype(np.float64)),
        mean_return=_mean(returns),
        std_return=_finite(float(returns.std(ddof=1))) if len(returns) > 1 and np.isfinite(returns).all() else None,
        mean_action=_mean(np.abs(data.action[rows])),
    )


def _summarize_column(name: str, values: Float32[np.ndarray, " record"]) -> ColumnSummary:
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return ColumnSummary(name, None, None, None, None, None)
    low, high = float(values.min()), float(values.max())
    mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if low == high:  # rounding must not give a constant a spread
        return ColumnSummary(name, low, low, 0.0, low, 0.0)
    return ColumnSummary(name, low, mean, std, high, max(high - mean, mean - low) / std)


def _mean(values: Float[np.ndarray, "..."]) -> float | None:
    return _finite(float(values.mean(dtype=np.float64))) if values.size else None


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
