"""Passes over a log in blocks of rows: it may be larger than memory and lie in a file, and is never written into."""

from collections.abc import Iterator
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int

from worldrex.data.mapped import resident
from worldrex.data.transitions import Transitions, same_episode

BLOCK_VALUES = 2**18  # about 1 MiB of float32: a block and what is computed from it stay in the cache
FEWEST_ROWS = 256
MEASURED = ("obs", "action", "reward", "next_obs")


class Block:
    """Consecutive rows of a log; what several checks ask for is computed once.

    Arguments:
        data: the log.
        start: the block's first row.
        stop: the row behind its last.
    """

    def __init__(self, data: Transitions, start: int, stop: int) -> None:
        self.start = start
        self.rows = data.rows(slice(start, stop))
        self.and_next = data.rows(slice(start, stop + 1))  # the row behind it, too, unless the log ends

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def goes_on(self) -> Bool[np.ndarray, " step"]:
        """Whether each record of the block is followed by one of its own episode; none for the log's last record."""
        return same_episode(self.and_next)

    def components(self, column: str) -> Float32[np.ndarray, "component record"]:
        """A column with each component's values side by side."""
        if column not in self._components:
            values = np.asarray(getattr(self.rows, column))
            self._components[column] = values[None] if values.ndim == 1 else np.ascontiguousarray(values.T)
        return self._components[column]

    @cached_property
    def _components(self) -> dict[str, Float32[np.ndarray, "component record"]]:
        return {}


@runtime_checkable
class Check(Protocol):
    """Something that is found out in one pass."""

    def add(self, block: Block) -> None:
        """Take in the next block."""
        ...


class Places:
    """How many records a check concerns, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: int | None = None

    def add(self, concerned: Bool[np.ndarray, " record"], start: int) -> None:
        """Take in the records from row `start` on."""
        count = int(np.count_nonzero(concerned))
        if count and self.first is None:
            self.first = start + int(np.argmax(concerned))
        self.count += count


def blocks(data: Transitions) -> Iterator[Block]:
    """The log in blocks, in order."""
    width = 2 * data.obs.shape[1] + data.action.shape[1] + 1
    rows = max(BLOCK_VALUES // width, FEWEST_ROWS)
    for start in range(0, len(data), rows):
        yield Block(data, start, min(start + rows, len(data)))


def scan(data: Transitions, *checks: Check) -> None:
    """Show every block to every check, in one pass."""
    # What is not finite is found and told, not warned of.
    with resident(data), np.errstate(over="ignore", invalid="ignore"):
        for block in blocks(data):
            for check in checks:
                check.add(block)


def sample_of(rows: int, most: int) -> Int[np.ndarray, " row"]:
    """Row numbers evenly over so many rows, `most` of them or all."""
    return np.linspace(0, rows - 1, min(most, rows)).astype(np.int64)
