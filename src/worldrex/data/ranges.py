"""Range, mean and spread of every component, and where its values are not finite."""

import numpy as np
from jaxtyping import Float32, Float64, Int

from worldrex import risk
from worldrex.data.blocks import MEASURED, Block
from worldrex.data.findings import Finding, plural
from worldrex.data.transitions import Transitions

MOST_COMPONENTS = 4  # that are reported one by one


class Range:
    """Statistics of one column's components over their finite values, in float64.

    Arguments:
        width: number of components.
    """

    def __init__(self, width: int) -> None:
        self.moments = risk.GroupMoments(*np.zeros((3, width)))
        self.low: Float64[np.ndarray, " component"] = np.full(width, np.inf)
        self.high: Float64[np.ndarray, " component"] = np.full(width, -np.inf)
        self.nans: Int[np.ndarray, " component"] = np.zeros(width, np.int64)
        self.infinities: Int[np.ndarray, " component"] = np.zeros(width, np.int64)
        self.first_bad: Int[np.ndarray, " component"] = np.full(width, -1)

    @property
    def std(self) -> Float64[np.ndarray, " component"]:
        """Standard deviation; 0 for a constant, in spite of rounding, and where nothing is finite."""
        count = np.maximum(self.moments.count, 1)
        return np.where(self.low < self.high, np.sqrt(np.maximum(self.moments.m2, 0) / count), 0.0)

    @property
    def constant(self) -> np.ndarray:
        """[component] whether all finite values are the same."""
        return self.low == self.high

    def add(self, values: Float32[np.ndarray, "component record"], start: int) -> None:
        """Take in the next records, the first of them row `start`."""
        wide = values.astype(np.float64)
        total = wide.sum(1)
        count = np.full(len(values), float(values.shape[1]))
        if np.isfinite(total).all():  # float32 values cannot overflow it
            low, high = values.min(1), values.max(1)
        else:
            finite = np.isfinite(values)
            self._add_bad(values, finite, start)
            low = np.where(finite, values, np.inf).min(1)
            high = np.where(finite, values, -np.inf).max(1)
            count = finite.sum(1, dtype=np.float64)
            wide[~finite] = 0
            total = wide.sum(1)
            wide = np.where(finite, wide, (total / np.maximum(count, 1))[:, None])
        mean = total / np.maximum(count, 1)
        wide -= mean[:, None]
        m2 = np.einsum("cr,cr->c", wide, wide)
        self.moments = risk.merge(self.moments, risk.GroupMoments(count, mean, m2))
        np.minimum(self.low, low, out=self.low)
        np.maximum(self.high, high, out=self.high)

    def _add_bad(self, values: np.ndarray, finite: np.ndarray, start: int) -> None:
        nans = np.isnan(values)
        self.nans += nans.sum(1)
        self.infinities += (~finite & ~nans).sum(1)
        new = ~finite.all(1) & (self.first_bad < 0)
        self.first_bad[new] = start + np.argmin(finite[new], axis=1)


class Ranges:
    """The ranges of obs, action, reward and next_obs, by the column's name."""

    def __init__(self, data: Transitions) -> None:
        widths = {column: getattr(data, column).shape[1:] for column in MEASURED}
        self.of = {column: Range(width[0] if width else 1) for column, width in widths.items()}

    def add(self, block: Block) -> None:
        """Take in the next block."""
        for column, range_of_column in self.of.items():
            range_of_column.add(block.components(column), block.start)


def find_infinite(ranges: Ranges, data: Transitions) -> list[Finding]:
    """Errors for NaN and infinite values, the first components of a column one by one."""
    findings = []
    for column, found in ranges.of.items():
        places = np.flatnonzero(found.first_bad >= 0)
        for place in map(int, places[:MOST_COMPONENTS]):
            name = name_of(column, place, data)
            counts = [(int(found.nans[place]), "NaN"), (int(found.infinities[place]), "infinite")]
            came = " and ".join(f"{number:,} {kind}" for number, kind in counts if number)
            count, row = sum(number for number, _ in counts), int(found.first_bad[place])
            findings.append(
                Finding(
                    "error",
                    name,
                    count,
                    row,
                    f"{name} has {came} {'value' if count == 1 else 'values'} (first at row {row:,} of {len(data):,}). "
                    "worldrex needs finite numbers: drop or repair these records.",
                )
            )
        if len(places) > MOST_COMPONENTS:
            more = len(places) - MOST_COMPONENTS
            findings.append(
                Finding(
                    "error",
                    column,
                    more,
                    int(found.first_bad[places].min()),
                    f"{column} has NaN or infinite values in {plural(more, 'more component')} of its {len(found.low):,}.",
                )
            )
    return findings


def name_of(column: str, place: int, data: Transitions) -> str:
    """What one component is called: of obs, `obs[:, place]`; of reward, which has one, `reward`."""
    return column if getattr(data, column).ndim == 1 else f"{column}[:, {place}]"
