"""Columns of a flat table: `obs_0 obs_1 ...` stand for one matrix, and any column may hold the behavior."""

import re
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from worldrex.data.columns import KNOWN, MATRICES, NAMES
from worldrex.data.findings import quote, some_of
from worldrex.data.transitions import DataError

TIMES = ("timestamp", "time")  # not kept: only whether the rows are in their order is looked at
WIDE = re.compile(rf"({'|'.join(MATRICES)})_([0-9]{{1,9}})")


def choose_columns(names: Iterable[str], behavior_column: str | None, source: str) -> dict[str, list[str]]:
    """The columns of a table that each known column, or one of times, is made of: itself, or its components in order.

    Arguments:
        names: the table's columns.
        behavior_column: which of them is the behavior, if it is not `behavior`.
        source: how an error calls the table.

    Raises DataError for a component that is missing or there twice, and where there is no such behavior column.
    """
    names = list(names)
    repeated = next((name for name in names if name in KNOWN and names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(
            f"{source} has the column {repeated} more than once. worldrex needs one: rename or remove the others."
        )
    chosen = {name: [name] for name in (*KNOWN, *TIMES) if name in names and name != NAMES}
    wide: dict[str, dict[int, str]] = {}
    for name in names:
        if match := WIDE.fullmatch(name):
            matrix, place = match.group(1), int(match.group(2))
            other = matrix if matrix in chosen else wide.setdefault(matrix, {}).get(place)
            if other is not None:
                raise DataError(
                    f"{source} has both {quote(other)} and {quote(name)}. worldrex needs one column for each component "
                    f"of {matrix}: remove or rename the others."
                )
            wide[matrix][place] = name
    for matrix, components in wide.items():
        missing = next((i for i in range(len(components)) if i not in components), None)
        if missing is not None:
            raise DataError(
                f"{source} has {len(components)} columns {matrix}_N and no {matrix}_{missing}. "
                "worldrex needs them numbered from 0 without a gap: add or renumber the columns."
            )
        chosen[matrix] = [components[place] for place in range(len(components))]
    if behavior_column is not None:
        if behavior_column not in names:
            raise no_behavior_column(behavior_column, names, source)
        chosen["behavior"] = [behavior_column]
    return chosen


def combine_arrays(arrays: dict[str, np.ndarray], chosen: dict[str, list[str]], source: str) -> dict[str, np.ndarray]:
    """Known columns from the arrays that each is made of, and behavior_names if it is among the arrays.

    Raises DataError for components that do not fit together.
    """
    columns = {NAMES: arrays[NAMES]} if NAMES in arrays else {}
    for name, components in chosen.items():
        series = [arrays[component] for component in components]
        for component, values in zip(components, series, strict=True):
            if len(series) > 1 and (
                values.ndim != 1 or len(values) != len(series[0]) or values.dtype.kind not in "biuf"
            ):
                raise DataError(
                    f"{source}: {component} has shape {values.shape} and type {values.dtype}, {components[0]} has shape "
                    f"{series[0].shape}. worldrex needs one number per record in each: export them again."
                )
        columns[name] = series[0] if len(series) == 1 else np.stack(series, axis=1)
    return columns


def left_out(names: Iterable[str], picked: Collection[str]) -> dict[str, np.ndarray]:
    """Columns that are not read, as empty arrays: an error about a missing one can then tell what there is."""
    return {name: np.empty(0) for name in names if name not in picked and name not in KNOWN}


def unused(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Names of a log's columns that nothing is made of; `left_out` and the readers give them without values."""
    return [name for name, values in columns.items() if name not in (*KNOWN, *TIMES) and not len(values)]


def no_behavior_column(name: str, names: Iterable[str], source: str) -> DataError:
    """The error for a behavior column that a log does not have."""
    # First those that worldrex does not know: one of them is likely meant.
    likely = sorted(names, key=lambda other: other in KNOWN or WIDE.fullmatch(other) is not None)
    came = some_of([quote(other, 30) for other in likely], 12) or "none"
    return DataError(
        f"{source} has no column {quote(name)} for the behavior; there came {came}. Name one of these, or leave it away."
    )
