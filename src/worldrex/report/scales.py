"""Where a value stands on an axis, and labels that do not overlap."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """An axis from `low` to `high`, linear or logarithmic."""

    low: float | int
    high: float | int
    log: bool = False

    def fraction(self, value: float | int) -> float:
        """Where `value` stands between low (0) and high (1)."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def value(self, fraction: float | int) -> float:
        """The value that stands at `fraction`."""
        if self.log:
            return self.low * (self.high / self.low) ** fraction
        return self.low + fraction * (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values to mark, about five."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1, 2, 5), (1, 3), (1,)):
                ticks = [step * 10.0**decade for decade in decades for step in steps]
                inside = [tick for tick in ticks if self.low <= tick <= self.high]
                if len(inside) <= 7:
                    return inside
            return inside[:: math.ceil(len(inside) / 7)]
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough * 0.99)
        first = math.ceil(self.low / step - 1e-9)
        return [round(index * step, 12) for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def extent(values: Iterable[float | None], *, log_above: float | int = math.inf) -> Extent:
    """An axis for `values`, from zero if none is negative; logarithmic where they differ too much for that.

    Args:
        values: what stands on the axis; None is skipped.
        log_above: the ratio of the largest to the smallest above which the axis is logarithmic.

    Returns:
        The axis, with some room beyond the largest value.
    """
    present = [value for value in values if value is not None]
    low, high = min(present, default=0.0), max(present, default=1.0)
    if low > 0 and high / low > log_above:
        return Extent(low / 1.25, high * 1.25, log=True)
    if low < 0:
        room = 0.06 * (high - low)
        return Extent(low - room, high + room)
    return Extent(0.0, 1.06 * high if high > 0 else 1.0)


def spread(positions: Sequence[float], gap: float | int, *, low: float | int, high: float | int) -> list[float]:
    """The positions moved apart to at least `gap` in [low, high], in the same order, each as near as that allows."""
    count = len(positions)
    gap = min(gap, (high - low) / max(count - 1, 1))
    order = sorted(range(count), key=positions.__getitem__)
    moved = [min(max(position, low), high) for position in positions]
    # Runs of labels that touch move as one block, centered on where its labels want to be.
    blocks: list[tuple[float, list[int]]] = []
    for index in order:
        block = [index]
        start = moved[index]
        while True:
            start = min(max(start, low), high - gap * (len(block) - 1))
            if not blocks or blocks[-1][0] + gap * len(blocks[-1][1]) <= start + 1e-12:
                break
            block = blocks.pop()[1] + block
            start = sum(moved[item] - gap * place for place, item in enumerate(block)) / len(block)
        blocks.append((start, block))
    for start, block in blocks:
        for place, item in enumerate(block):
            moved[item] = start + gap * place
    return moved
