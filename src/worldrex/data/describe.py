"""What is in a data set: records, episodes, behaviors, ranges and findings."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldrex.data.findings import Finding
from worldrex.data.options import ActionBounds
from worldrex.data.pieces import Pieces
from worldrex.data.ranges import Range, name_of
from worldrex.data.transitions import Transitions
from worldrex.data.validate import examine


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


def describe(data: Transitions, *, bounds: ActionBounds | None = None, findings: Sequence[Finding] = ()) -> Description:
    """Counts, returns, ranges and findings of `data`, also where it has errors, in one pass over blocks of rows.

    Arguments:
        data: the records.
        bounds: of the action space; an action outside is an error.
        findings: more of them, from reading the log; they come first.

    Raises DataError for columns that do not fit together, and for bounds that do not fit the actions.
    """
    examination = examine(data, bounds)
    ranges, pieces = examination.ranges, examination.pieces
    return Description(
        records=len(data),
        episodes=pieces.episodes,
        obs_width=data.obs.shape[1],
        action_width=data.action.shape[1],
        behaviors=tuple(_summarize_behavior(data, pieces, i) for i in range(data.num_behaviors)),
        columns=tuple(
            _summarize_component(name_of(column, place, data), found, place)
            for column, found in ranges.of.items()
            for place in range(len(found.low))
        ),
        findings=(*findings, *examination.findings),
    )


def _summarize_behavior(data: Transitions, pieces: Pieces, behavior: int) -> BehaviorSummary:
    own = pieces.behavior == behavior
    numbers, episode = np.unique(pieces.episode[own], return_inverse=True)
    records = int(pieces.records[behavior])
    # Of nothing, bincount is of integers.
    returns = np.bincount(episode, pieces.reward[own], len(numbers)).astype(np.float64)
    spread = float(returns.std(ddof=1)) if len(returns) > 1 and np.isfinite(returns).all() else math.nan
    return BehaviorSummary(
        name=data.behavior_names[behavior],
        records=records,
        episodes=len(numbers),
        mean_steps=records / len(numbers) if records else None,
        mean_return=_finite(float(returns.mean())) if records else None,
        std_return=_finite(spread),
        mean_action=_finite(float(pieces.action_sum[behavior]) / (records * data.action.shape[1])) if records else None,
    )


def _summarize_component(name: str, found: Range, place: int) -> ColumnSummary:
    if found.moments.count[place] == 0:
        return ColumnSummary(name, None, None, None, None, None)
    low, high, std = float(found.low[place]), float(found.high[place]), float(found.std[place])
    if low == high:  # rounding must not give a constant a spread
        return ColumnSummary(name, low, low, 0.0, low, 0.0)
    mean = float(found.moments.mean[place])
    return ColumnSummary(name, low, mean, std, high, max(high - mean, mean - low) / std)


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
