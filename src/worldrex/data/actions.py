"""Actions outside the space that the user names, and actions that were probably clipped."""

from collections.abc import Sequence

import numpy as np

from worldrex.data.blocks import Block, Places, blocks, sample_of
from worldrex.data.findings import Finding, plural, some_of
from worldrex.data.options import ActionBounds
from worldrex.data.ranges import Ranges
from worldrex.data.transitions import DataError, Transitions

ROUNDING = 1e-6  # of a bound: a few units in the last place of float32
PILED = 0.05  # of the records at one exact value, which no noise hits twice
SAMPLED_ROWS = 4096
FEW_VALUES = 20  # an action of no more distinct values is a choice among them, not a clipped number


def bounds_of(bounds: ActionBounds, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest action, each [act]. Raises DataError for bounds that do not fit the actions."""
    low = _per_component("low", bounds.low, width, -np.inf)
    high = _per_component("high", bounds.high, width, np.inf)
    if not (low < high).all():
        place = int(np.argmin(low < high))
        raise DataError(
            f"action_low is {low[place]:g} and action_high {high[place]:g} for action[:, {place}]. "
            "worldrex needs the least value and the greatest one: correct them."
        )
    return low, high


def _per_component(name: str, given: Sequence[float] | None, width: int, absent: float) -> np.ndarray:
    values = np.array([absent] if given is None else given, np.float64)
    if values.ndim != 1 or len(values) not in (1, width) or np.isnan(values).any():
        raise DataError(
            f"action_{name} is {' '.join(f'{value:g}' for value in values.reshape(-1)) or 'empty'}, and an action has "
            f"{plural(width, 'component')}. worldrex needs one number for all, or one for each."
        )
    return np.broadcast_to(values, width)


def find_outside(bounds: ActionBounds, ranges: Ranges, data: Transitions) -> list[Finding]:
    """Errors for components of the action that leave the bounds; what is not finite is reported by itself.

    Raises DataError for bounds that do not fit the actions.
    """
    low, high = bounds_of(bounds, data.action.shape[1])
    low, high = low - ROUNDING * np.abs(low), high + ROUNDING * np.abs(high)
    found = ranges.of["action"]
    outside = [int(place) for place in np.flatnonzero((found.low < low) | (found.high > high))]
    places = {place: Places() for place in outside}
    for block in blocks(data) if outside else ():
        action = block.components("action")
        for place, there in places.items():
            finite = np.isfinite(action[place])
            with np.errstate(invalid="ignore"):  # of a signaling NaN
                there.add(((action[place] < low[place]) | (action[place] > high[place])) & finite, block.start)
    return [
        Finding(
            "error",
            f"action[:, {place}]",
            there.count,
            there.first,
            f"action[:, {place}] has {plural(there.count, 'value')} outside [{low[place]:g}, {high[place]:g}] (from "
            f"{found.low[place]:.6g} to {found.high[place]:.6g}; first at row {there.first:,}). worldrex needs actions of "
            "the space that was named: correct --action-low and --action-high, or the units of the log.",
        )
        for place, there in places.items()
    ]


class Extremes:
    """How many records have the least and the greatest value of each action component, to the bit."""

    def __init__(self, data: Transitions) -> None:
        sample = data.action[sample_of(len(data), SAMPLED_ROWS)]
        self.continuous = [i for i in range(sample.shape[1]) if len(np.unique(sample[:, i])) > FEW_VALUES]
        width = sample.shape[1]
        self.signed = np.full((2, width), np.inf)  # the least value, and the greatest one with the other sign
        self.count = np.zeros((2, width), np.int64)
        self.first = np.zeros((2, width), np.int64)

    def add(self, block: Block) -> None:
        """Take in the next block."""
        action = block.components("action")
        for place in self.continuous:
            for end, extreme in enumerate((action[place].min(), action[place].max())):
                value = -extreme if end else extreme
                if value > self.signed[end, place]:
                    continue
                there = action[place] == extreme
                if value < self.signed[end, place]:
                    self.signed[end, place], self.count[end, place] = value, 0
                    self.first[end, place] = block.start + int(np.argmax(there))
                self.count[end, place] += np.count_nonzero(there)


def find_clipped(extremes: Extremes, records: int) -> list[Finding]:
    """A warning where an action piles up at an extreme value, one for all components."""
    piled = [(int(end), int(place)) for end, place in np.argwhere(extremes.count > PILED * records)]
    if not piled:
        return []
    told = [
        f"action[:, {place}] is {-extremes.signed[end, place] if end else extremes.signed[end, place]:.6g} in "
        f"{100 * extremes.count[end, place] / records:.0f} %"
        for end, place in sorted(piled, key=lambda at: at[1])
    ]
    row = min(int(extremes.first[at]) for at in piled)
    return [
        Finding(
            "warning",
            "action",
            sum(int(extremes.count[at]) for at in piled),
            row,
            f"{some_of(told, 3)} of the records, to the bit (first at row {row:,}): what piles up at its least or greatest "
            "value was probably clipped. The log needs what reached the system: check that it was logged after clipping.",
        )
    ]
