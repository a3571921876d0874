"""Components of obs that are numbers of categories rather than quantities."""

from dataclasses import dataclass, field

import numpy as np

from worldrex.data.blocks import Block, sample_of
from worldrex.data.findings import Finding, some_of
from worldrex.data.transitions import Transitions

SAMPLED_ROWS = 1024
FEWEST_CODES, MOST_CODES = 3, 20  # two are as good in one component as in two
RECORDS_PER_CODE = 50  # fewer do not tell a code from a quantity that was rounded
WIDEST = 1024  # from the least code to the greatest
LARGEST = 2**24  # beyond, every float32 is a whole number
JUMPING = 0.1  # of the changes within episodes by more than 1: a counter goes step by step


@dataclass
class Codes:
    """One component of whole numbers."""

    values: set[int] = field(default_factory=set)
    changes: int = 0
    jumps: int = 0


class Categories:
    """Whole numbers in obs: their distinct values, and how they change within episodes."""

    def __init__(self, data: Transitions) -> None:
        sample = data.obs[sample_of(len(data), SAMPLED_ROWS)]
        self.codes = {int(i): Codes() for i in np.flatnonzero((sample == np.trunc(sample)).all(0))}

    def add(self, block: Block) -> None:
        """Take in the next block; a component with another number than a code is struck out."""
        for place in list(self.codes):
            codes, values = self.codes[place], block.components("obs")[place]
            low, high = float(values.min()), float(values.max())
            if high - low >= WIDEST or max(-low, high) >= LARGEST or (values != np.trunc(values)).any():
                del self.codes[place]
                continue
            codes.values.update((np.flatnonzero(np.bincount((values - low).astype(np.int64))) + int(low)).tolist())
            if len(codes.values) > MOST_CODES:
                del self.codes[place]
                continue
            step = np.abs(block.components("next_obs")[place] - values)
            codes.changes += int(np.count_nonzero(step))
            codes.jumps += int(np.count_nonzero(step > 1))


def find_categories(categories: Categories, records: int) -> list[Finding]:
    """A warning for components of few whole values whose order is doubtful: they jump, or never change on the way."""
    told = [
        f"obs[:, {place}] ({len(codes.values)} values)"
        for place, codes in categories.codes.items()
        if FEWEST_CODES <= len(codes.values) <= records / RECORDS_PER_CODE and codes.jumps >= JUMPING * codes.changes
    ]
    if not told:
        return []
    one = len(told) == 1
    return [
        Finding(
            "warning",
            "obs",
            len(told),
            0,
            f"{some_of(told)} {'has' if one else 'have'} few values, all whole numbers, that change by more than one at a "
            f"time or not at all: {'it looks' if one else 'they look'} like numbers of categories. Between categories there "
            "is no order and no distance: give each a component of its own, 0 or 1 (one-hot), unless it is a quantity.",
        )
    ]
