"""Records to learn from and records to judge by, divided by whole episodes or by whole behaviors."""

import zlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Int32

from worldrex.data.transitions import DataError, Transitions


@runtime_checkable
class Labels(Protocol):
    """Who logged each record, and in which episode; `Transitions` has them."""

    @property
    def behavior(self) -> Int32[np.ndarray, " record"]:
        """Id of the policy."""
        ...

    @property
    def episode(self) -> Int32[np.ndarray, " record"]:
        """Number of the episode."""
        ...

    @property
    def behavior_names(self) -> tuple[str, ...]:
        """Of each id."""
        ...


def holdout(
    data: Labels, fraction: float = 0.1, *, seed: int, behaviors: Sequence[int] = ()
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " holdout"]]:
    """Rows to train on and rows held out: whole episodes, drawn for each behavior by itself.

    A behavior with two or more episodes has at least one in each part. One with a single episode is cut in time: its
    tail is held out. The draw depends on the seed, the behavior's name and its number of episodes, on nothing else.

    Arguments:
        data: the records to divide.
        fraction: share of each behavior's episodes to hold out, between 0 and 1.
        seed: of the draw, 0 or more.
        behaviors: ids of whole behaviors to hold out instead.

    Returns both parts as ascending row numbers; together they are all rows, and none is in both.
    Raises DataError for a fraction that is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the held-out fraction is {fraction}. worldrex needs a number between 0 and 1, such as 0.1.")
    if behaviors:
        held_out = np.isin(data.behavior, np.array(behaviors))
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)
    held_out = np.zeros(len(data.behavior), bool)
    for behavior, name in enumerate(data.behavior_names):
        rows = np.flatnonzero(data.behavior == behavior)
        episodes, episode_of_row = np.unique(data.episode[rows], return_inverse=True)
        if len(episodes) >= 2:
            # A hash of the name and not the id: ids shift when behaviors are added.
            rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogatepass"))])
            chosen = rng.permutation(len(episodes))[: _share(len(episodes), fraction)]
            held_out[rows[np.isin(episode_of_row, chosen)]] = True
        elif len(rows) >= 2:
            held_out[rows[-_share(len(rows), fraction) :]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def leave_one_out(
    data: Transitions,
) -> list[tuple[int, Int[np.ndarray, " others"], Int[np.ndarray, " left_out"]]]:
    """For each behavior that has records: its id, the rows of all others, its own rows."""
    return [
        (behavior, np.flatnonzero(data.behavior != behavior), np.flatnonzero(data.behavior == behavior))
        for behavior in map(int, np.unique(data.behavior))
    ]


def _share(count: int, fraction: float) -> int:
    """The nearest whole number that leaves at least one on either side."""
    return min(max(int(count * fraction + 0.5), 1), count - 1)
