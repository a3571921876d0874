"""Who logged what in how many episodes: consecutive rows of one episode and one behavior are a piece."""

from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from worldrex.data.blocks import Block
from worldrex.data.findings import Finding, plural
from worldrex.data.transitions import Transitions


class Pieces:
    """Where the pieces of a log begin, and what was logged in each; in a log without errors a piece is an episode."""

    def __init__(self, data: Transitions) -> None:
        self._data = data
        self._starts: list[Int[np.ndarray, " piece"]] = []
        self._rewards: list[Float64[np.ndarray, " piece"]] = []
        self._new = True
        behaviors, width = data.num_behaviors, data.action.shape[1]
        self.action_sum: Float64[np.ndarray, " behavior"] = np.zeros(behaviors)
        self.action_low: Float32[np.ndarray, "behavior act"] = np.full((behaviors, width), np.inf, np.float32)
        self.action_high: Float32[np.ndarray, "behavior act"] = np.full((behaviors, width), -np.inf, np.float32)

    def add(self, block: Block) -> None:
        """Take in the next block."""
        behavior = block.and_next.behavior
        cut = ~block.goes_on | (behavior[1:] != behavior[:-1])
        local = np.append(0, np.flatnonzero(cut[: len(block) - 1]) + 1)
        sums = np.add.reduceat(block.rows.reward, local, dtype=np.float64)
        new = local if self._new else local[1:]
        if not self._new:
            self._rewards[-1][-1] += sums[0]
        # An empty part would have no last piece for the next block to go on with.
        if len(new):
            self._starts.append(block.start + new)
            self._rewards.append(sums[len(sums) - len(new) :])
        self._new = len(cut) < len(block) or bool(cut[-1])
        self._add_actions(block, local)

    def _add_actions(self, block: Block, local: Int[np.ndarray, " piece"]) -> None:
        action, behavior = block.components("action"), block.rows.behavior[local]
        size = np.add.reduceat(np.abs(action).sum(0, dtype=np.float64), local)
        np.add.at(self.action_sum, behavior, size)
        np.minimum.at(self.action_low, behavior, np.minimum.reduceat(action, local, axis=1).T)
        np.maximum.at(self.action_high, behavior, np.maximum.reduceat(action, local, axis=1).T)

    @cached_property
    def start(self) -> Int[np.ndarray, " piece"]:
        """First row of each piece."""
        return np.concatenate(self._starts)

    @cached_property
    def steps(self) -> Int[np.ndarray, " piece"]:
        """Rows of each piece."""
        return np.diff(self.start, append=len(self._data))

    @cached_property
    def reward(self) -> Float64[np.ndarray, " piece"]:
        """Sum of the rewards of each piece."""
        return np.concatenate(self._rewards)

    @cached_property
    def episode(self) -> Int[np.ndarray, " piece"]:
        """Episode number of each piece."""
        return self._data.episode[self.start]

    @cached_property
    def behavior(self) -> Int[np.ndarray, " piece"]:
        """Behavior of each piece."""
        return self._data.behavior[self.start]

    @cached_property
    def records(self) -> Int[np.ndarray, " behavior"]:
        """Rows of each behavior."""
        return np.bincount(self.behavior, self.steps, self._data.num_behaviors).astype(np.int64)

    @cached_property
    def starts_episode(self) -> Bool[np.ndarray, " piece"]:
        """Whether a piece has another episode number than the piece before it."""
        return np.append(True, self.episode[1:] != self.episode[:-1])

    @property
    def episodes(self) -> int:
        """How many numbers of episodes there are."""
        # numpy.unique (2.4) hashes where nothing else is asked of it, which takes ten times as long.
        ordered = np.sort(self.episode)
        return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))

    @property
    def action_constant(self) -> Bool[np.ndarray, " behavior"]:
        """Whether a behavior, which has records, always took the same action."""
        return (self.action_low == self.action_high).all(1)


def find_scattered(pieces: Pieces) -> list[Finding]:
    """Errors for episodes that are not in one piece, or not by one behavior."""
    findings = []
    starts, numbers = pieces.start[pieces.starts_episode], pieces.episode[pieces.starts_episode]
    _, first = np.unique(numbers, return_index=True)
    again = np.ones(len(starts), bool)
    again[first] = False
    if again.any():
        count, place = int(again.sum()), int(np.argmax(again))
        row = int(starts[place])
        findings.append(
            Finding(
                "error",
                "episode",
                count,
                row,
                f"episode {numbers[place]} goes on at row {row:,} after other episodes "
                f"({plural(count, 'such place')}). worldrex needs the rows of an episode together and in time "
                "order: sort the records by episode and time, or give separate recordings different numbers.",
            )
        )
    changes = np.flatnonzero(~pieces.starts_episode)
    if len(changes):
        row = int(pieces.start[changes[0]])
        findings.append(
            Finding(
                "error",
                "behavior",
                len(changes),
                row,
                f"the behavior changes within episode {pieces.episode[changes[0]]} at row {row:,} "
                f"({plural(len(changes), 'such place')}). worldrex needs one behavior per episode: start a new "
                "episode, truncated before it, where another policy takes over.",
            )
        )
    return findings
