"""Rewards far from all others."""

import numpy as np

from worldrex.data.blocks import Block, Places, sample_of
from worldrex.data.findings import Finding, plural
from worldrex.data.transitions import Transitions

SAMPLED_ROWS = 2**16
FARTHEST = 50.0  # robust standard deviations; costs and bonuses of honest tasks stay within
RARE = 1e-3  # of the records: more than that are a part of the task
ALWAYS_RARE = 3
CONSISTENT = 1.4826  # times the median absolute deviation is the standard deviation of a normal distribution


class Outliers:
    """Rewards far from the median, in units of the median absolute deviation; both come from a sample of rows.

    Those of terminal records do not count: a bonus or a penalty for the end of an episode is far from the others.
    """

    def __init__(self, data: Transitions) -> None:
        sample = data.reward[sample_of(len(data), SAMPLED_ROWS)].astype(np.float64)
        if not np.isfinite(sample).all():  # an error, which is told by itself
            sample = np.zeros(1)
        self.median = float(np.median(sample))
        self.scale = CONSISTENT * float(np.median(np.abs(sample - self.median)))
        self.places = Places()
        self.farthest = self.median

    def add(self, block: Block) -> None:
        """Take in the next block."""
        if not self.scale > 0:  # more than half of the rewards are the same, as sparse ones are
            return
        distance = np.abs(block.rows.reward - self.median)
        distance[block.rows.terminated] = 0
        far = distance > FARTHEST * self.scale
        if far.any():
            place = int(np.argmax(distance))
            if distance[place] > abs(self.farthest - self.median):
                self.farthest = float(block.rows.reward[place])
            self.places.add(far, block.start)


def find_outliers(outliers: Outliers, records: int) -> list[Finding]:
    """A warning for a few rewards that outweigh the others."""
    count, row = outliers.places.count, outliers.places.first
    if not 0 < count <= max(RARE * records, ALWAYS_RARE):
        return []
    return [
        Finding(
            "warning",
            "reward",
            count,
            row,
            f"{plural(count, 'reward')} of {records:,} more than {FARTHEST:.0f} robust standard deviations from the median "
            f"{outliers.median:.4g} (first at row {row:,}; the farthest is {outliers.farthest:.4g}). In a squared error "
            "they outweigh all others: check the units and the export there, and drop the records if they are wrong.",
        )
    ]
