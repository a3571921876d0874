"""Records to learn from and records to judge by, divided by whole episodes or by whole behaviors."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64, Shaped

from worldrex.data.transitions import DataError, Transitions

ROWS_AT_ONCE = 1_000_000


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


@dataclass(frozen=True, eq=False)
class Spans:
    """Rows of a log as ranges, ascending: what a set of whole episodes takes little memory as, however long they are."""

    start: Int64[np.ndarray, " span"]
    stop: Int64[np.ndarray, " span"]
    behavior: Int32[np.ndarray, " span"]
    """Of all rows of the span."""

    def __len__(self) -> int:
        """Number of rows."""
        return int((self.stop - self.start).sum())

    def where(self, these: Shaped[np.ndarray, " some"]) -> "Spans":
        """These of the spans."""
        return Spans(self.start[these], self.stop[these], self.behavior[these])

    def at(self, places: Int[np.ndarray, " place"]) -> Int64[np.ndarray, " place"]:
        """The rows at these places, counted from 0 through all spans."""
        ends = np.cumsum(self.stop - self.start)
        span = np.searchsorted(ends, places, side="right")
        return places - ends[span] + self.stop[span]

    def rows(self) -> Int64[np.ndarray, " row"]:
        """All rows."""
        return self.at(np.arange(len(self)))


def holdout(
    data: Labels, fraction: float = 0.1, *, seed: int, behaviors: Sequence[int] = ()
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " holdout"]]:
    """As `holdout_spans`, as row numbers."""
    train, held_out = holdout_spans(data, fraction, seed=seed, behaviors=behaviors)
    return train.rows(), held_out.rows()


def holdout_spans(
    data: Labels, fraction: float = 0.1, *, seed: int, behaviors: Sequence[int] = ()
) -> tuple[Spans, Spans]:
    """Rows to train on and rows held out: whole episodes, drawn for each behavior by itself.

    A behavior with two or more episodes has at least one in each part. One with a single episode is cut in time: its
    tail is held out. The draw depends on the seed, the behavior's name and its number of episodes, on nothing else.

    Arguments:
        data: the records to divide.
        fraction: share of each behavior's episodes to hold out, between 0 and 1.
        seed: of the draw, 0 or more.
        behaviors: ids of whole behaviors to hold out instead.

    Returns both parts; together they are all rows, and none is in both.
    Raises DataError for a fraction that is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the held-out fraction is {fraction}. worldrex needs a number between 0 and 1, such as 0.1.")
    spans, episode = _episodes(data)
    held_out = np.isin(spans.behavior, np.array(behaviors, np.int32))
    for behavior, name in enumerate(data.behavior_names if not behaviors else ()):
        own = np.flatnonzero(spans.behavior == behavior)
        episodes = np.unique(episode[own])
        if len(episodes) >= 2:
            # A hash of the name and not the id: ids shift when behaviors are added.
            rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogatepass"))])
            chosen = rng.permutation(len(episodes))[: _share(len(episodes), fraction)]
            held_out[own[np.isin(episode[own], episodes[chosen])]] = True
        elif len(alone := spans.where(spans.behavior == behavior)) >= 2:
            cut = int(alone.at(np.array([len(alone) - _share(len(alone), fraction)]))[0])
            spans, episode, held_out = _cut(spans, episode, held_out, cut)
            held_out |= (spans.behavior == behavior) & (spans.start >= cut)
    return spans.where(~held_out), spans.where(held_out)


def _episodes(data: Labels) -> tuple[Spans, Int32[np.ndarray, " span"]]:
    """The log's episodes, and the number of each."""
    cuts, count = [np.zeros(1, np.int64)], len(data.behavior)
    for start in range(0, count - 1, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, count - 1)
        changes = [column[start + 1 : stop + 1] != column[start:stop] for column in (data.episode, data.behavior)]
        cuts.append(np.flatnonzero(changes[0] | changes[1]) + start + 1)
    begin = np.concatenate(cuts) if count else np.zeros(0, np.int64)
    return Spans(begin, np.append(begin[1:], count)[: len(begin)], data.behavior[begin]), data.episode[begin]


def _cut(
    spans: Spans, episode: np.ndarray, held_out: np.ndarray, row: int
) -> tuple[Spans, Int32[np.ndarray, " span"], Bool[np.ndarray, " span"]]:
    """The same with the span in which `row` lies cut before it."""
    place = int(np.searchsorted(spans.start, row, side="right")) - 1
    if spans.start[place] == row:
        return spans, episode, held_out
    again = np.insert(np.arange(len(spans.start)), place, place)
    spans = spans.where(again)
    spans.stop[place] = spans.start[place + 1] = row
    return spans, episode[again], held_out[again]


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
