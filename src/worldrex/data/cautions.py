"""What the owner of usable data should know about it."""

from collections.abc import Sequence

import numpy as np

from worldrex.data.actions import Extremes, find_clipped
from worldrex.data.blocks import Block, Check, Places
from worldrex.data.categories import Categories, find_categories
from worldrex.data.duplicates import find_duplicates
from worldrex.data.findings import Finding, plural, quote, some_of
from worldrex.data.leaks import Copies, find_copies
from worldrex.data.overlap import find_apart
from worldrex.data.pieces import Pieces
from worldrex.data.ranges import Ranges, name_of
from worldrex.data.rewards import Outliers, find_outliers
from worldrex.data.transitions import Transitions

FEW_RECORDS = 50


class Cautions:
    """What warnings need to know of every record."""

    def __init__(self, data: Transitions) -> None:
        self._data = data
        self._open_ended, self._outlived = Places(), Places()
        self._copies, self._extremes = Copies(data), Extremes(data)
        self._categories, self._outliers = Categories(data), Outliers(data)
        self._checks: tuple[Check, ...] = (self._copies, self._extremes, self._categories, self._outliers)

    def add(self, block: Block) -> None:
        """Take in the next block."""
        last = np.ones(len(block), bool)
        last[: len(block.goes_on)] = ~block.goes_on
        terminated, truncated = block.rows.terminated, block.rows.truncated
        self._open_ended.add(last & ~terminated & ~truncated, block.start)
        self._outlived.add(terminated & ~last, block.start)
        for check in self._checks:
            check.add(block)

    def findings(self, ranges: Ranges, pieces: Pieces) -> list[Finding]:
        """The warnings, for data without errors."""
        constant = {column: found.constant for column, found in ranges.of.items()}
        records = len(self._data)
        return [
            *_behaviors(pieces, self._data),
            *find_apart(pieces, self._data),
            *_constants(ranges, pieces, self._data),
            *find_copies(self._copies, constant, self._data),
            *find_clipped(self._extremes, records),
            *find_categories(self._categories, records),
            *find_outliers(self._outliers, records),
            *find_duplicates(pieces, self._data),
            *self._ends(len(pieces.start)),
        ]

    def _ends(self, episodes: int) -> list[Finding]:
        findings = []
        if self._open_ended.count:
            row = self._open_ended.first
            findings.append(
                _warning(
                    "truncated",
                    self._open_ended.count,
                    f"{plural(self._open_ended.count, 'episode')} of {episodes:,} without terminated or truncated at the "
                    f"end (first at row {row:,}). worldrex takes them as truncated: the future exists and was not logged.",
                    row,
                )
            )
        if self._outlived.count:
            row = self._outlived.first
            findings.append(
                _warning(
                    "terminated",
                    self._outlived.count,
                    f"{plural(self._outlived.count, 'record')} with terminated = 1 before the end of an episode (first at "
                    f"row {row:,}). Nothing should follow the end: check terminated or the episode numbers.",
                    row,
                )
            )
        return findings


def _constants(ranges: Ranges, pieces: Pieces, data: Transitions) -> list[Finding]:
    findings = []
    for column in ("obs", "action", "reward"):
        places = np.flatnonzero(ranges.of[column].constant)
        if len(places) and len(data) > 1:
            names = [name_of(column, int(place), data) for place in places]
            findings.append(
                _warning(
                    column,
                    len(names),
                    f"{some_of(names)} {_is(names)} constant in all {len(data):,} records. What never changes teaches "
                    "nothing about its effect: leave it out if it means nothing.",
                )
            )
    held = np.flatnonzero(pieces.action_constant)
    if len(held) and not ranges.of["action"].constant.all():
        names = [quote(data.behavior_names[i]) for i in held]
        findings.append(
            _warning(
                "action",
                len(held),
                f"{some_of(names, 3)} always took the same action. The effect of an action shows only in "
                "comparison with other behaviors there: log some variation if you can.",
                int(min(pieces.start[np.argmax(pieces.behavior == i)] for i in held)),
            )
        )
    return findings


def _behaviors(pieces: Pieces, data: Transitions) -> list[Finding]:
    counts = pieces.records
    findings = []
    few = np.flatnonzero(counts < FEW_RECORDS)
    if len(few):
        named = some_of([f"{quote(data.behavior_names[i])} ({counts[i]:,})" for i in few], 3)
        one = len(few) == 1
        findings.append(
            _warning(
                "behavior",
                len(few),
                f"{plural(len(few), 'behavior')} with fewer than {FEW_RECORDS} records: {named}. "
                f"{'Its risk' if one else 'Their risks'} will be little more than noise: log more of "
                f"{'it, or leave it' if one else 'them, or leave them'} out.",
            )
        )
    logged = int((counts > 0).sum())
    if logged == 1:
        findings.append(
            _warning(
                "behavior",
                1,
                "there is a single behavior, so no penalty can compare anything: all weights give the same model as 0. "
                "Give logs of several policies, or, if these are, a behavior for each record "
                "(a column behavior, one file for each, or --behavior-cycle).",
            )
        )
    if logged == 2:
        findings.append(
            _warning(
                "behavior",
                2,
                "there are two behaviors: leaving one out trains on a single one, where the penalty is zero, so "
                "leave-one-out cannot choose a weight. A model can still be fitted on both with a weight that you "
                "choose; to have it chosen, log a third.",
            )
        )
    return findings


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _warning(column: str, count: int, message: str, row: int | None = 0) -> Finding:
    return Finding("warning", column, count, row, message)
