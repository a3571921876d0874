"""Checks of a data set's values: errors that make it unusable, warnings that its owner should know."""

from dataclasses import dataclass

import numpy as np

from worldrex.data.actions import find_outside
from worldrex.data.blocks import scan
from worldrex.data.cautions import Cautions
from worldrex.data.columns import check_columns
from worldrex.data.continuity import Continuity, find_breaks
from worldrex.data.findings import Finding, raise_errors
from worldrex.data.mapped import maps_of
from worldrex.data.options import ActionBounds
from worldrex.data.pieces import Pieces, find_scattered
from worldrex.data.ranges import Ranges, find_infinite
from worldrex.data.transitions import COLUMNS, DataError, Transitions

__all__ = ["DataError", "Examination", "Finding", "examine", "require_valid", "validate"]


@dataclass(frozen=True, eq=False)
class Examination:
    """What one pass over a data set found out.

    Arguments:
        ranges: of every component.
        pieces: episodes and behaviors.
        findings: the errors, or, where there are none, the warnings.
    """

    ranges: Ranges
    pieces: Pieces
    findings: tuple[Finding, ...]


def examine(data: Transitions, bounds: ActionBounds | None = None) -> Examination:
    """Measure and check `data` together, in blocks of rows.

    Raises DataError for columns that do not fit together, and for bounds that do not fit the actions.
    """
    raise_errors(_check_structure(data), "the data")
    ranges, pieces, continuity, cautions = Ranges(data), Pieces(data), Continuity(), Cautions(data)
    scan(data, ranges, pieces, continuity, cautions)
    findings = _errors(data, ranges, pieces, continuity, bounds) or cautions.findings(ranges, pieces)
    return Examination(ranges, pieces, tuple(findings))


def validate(data: Transitions, bounds: ActionBounds | None = None) -> list[Finding]:
    """The errors, or, where there are none, the warnings; empty where worldrex knows of no problem.

    Arguments:
        data: the records.
        bounds: of the action space; an action outside is an error.

    Raises DataError for bounds that do not fit the actions.
    """
    return _check_structure(data) or list(examine(data, bounds).findings)


def require_valid(data: Transitions, *, source: str = "the data", bounds: ActionBounds | None = None) -> None:
    """Raise one DataError that tells all errors of `data`, calling it `source`; warnings raise nothing.

    A log that lies on disk was checked before it was written there.
    """
    if maps_of(data):
        return
    raise_errors(_check_structure(data), source)
    ranges, pieces, continuity = Ranges(data), Pieces(data), Continuity()
    scan(data, ranges, pieces, continuity)
    raise_errors(_errors(data, ranges, pieces, continuity, bounds), source)


def _check_structure(data: Transitions) -> list[Finding]:
    # Transitions built by hand may have any shape; the other checks need the right ones.
    return check_columns(
        {column: getattr(data, column) for column in COLUMNS}
        | {"behavior_names": np.array(data.behavior_names, dtype=object)}
    )


def _errors(
    data: Transitions, ranges: Ranges, pieces: Pieces, continuity: Continuity, bounds: ActionBounds | None
) -> list[Finding]:
    scattered = find_scattered(pieces)
    return [
        *find_infinite(ranges, data),
        *([] if bounds is None else find_outside(bounds, ranges, data)),
        *scattered,
        *([] if scattered else find_breaks(continuity, data, ranges.of["obs"].std)),
    ]
