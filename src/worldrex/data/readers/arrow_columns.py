"""Arrow tables, of Parquet, CSV and data frames alike, become raw columns."""

import numpy as np
import pyarrow as pa

from worldrex.data.columns import NAMES
from worldrex.data.findings import plural
from worldrex.data.transitions import DataError
from worldrex.data.wide_columns import TIMES

LABELS = ("behavior", "episode")  # may be names; everything else is numbers


def columns_of(table: pa.Table, chosen: dict[str, list[str]], source: str) -> dict[str, np.ndarray]:
    """The chosen columns as arrays; of behaviors by name, their numbers, and the names as `behavior_names`.

    Arguments:
        table: has at least the chosen columns.
        chosen: what each known column is made of (`choose_columns`).
        source: how an error calls the table.

    Raises DataError for missing values, for lists of different lengths and for text where numbers are needed.
    """
    columns: dict[str, np.ndarray] = {}
    for name, components in chosen.items():
        if name in TIMES:
            columns |= _times(name, table[name])
        elif components == [name] or name in LABELS:
            columns[name], labels = _values(components[0], table[components[0]], source, text=name in LABELS)
            if labels is not None:
                if name == "behavior":
                    columns[NAMES] = labels
                else:
                    columns[name] = labels[columns[name]].astype(str)
        else:
            series = [_values(component, table[component], source, text=False)[0] for component in components]
            listed = next((c for c, values in zip(components, series, strict=True) if values.ndim > 1), None)
            if listed is not None:
                raise DataError(
                    f"{source}: {listed} has lists. worldrex needs one number per record: split the column."
                )
            columns[name] = np.stack(series, axis=1)
    return columns


def _times(name: str, column: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """A column of numbers or dates; of other things, or with missing ones, nothing: no log is refused for it."""
    kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)
    return {name: column.to_numpy()} if numeric and not column.null_count else {}


def _values(name: str, column: pa.ChunkedArray, source: str, *, text: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """One column as [record] or, from lists, as [record, component]; of strings, their numbers and the strings."""
    _refuse_nulls(name, column, source)
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # of no chunks
        values = pa.array([], column.type)
    if pa.types.is_null(values.type):  # what has no values has no type
        return np.empty(0), None
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        if not text:
            raise DataError(
                f"{source}: {name} has values of type {values.type}, such as {values[0].as_py() if len(values) else ''!r}. "
                "worldrex needs numbers: convert the column."
            )
        return _numbered(values)
    lists, fixed = pa.types.is_list(values.type), pa.types.is_fixed_size_list(values.type)
    if not (lists or fixed or pa.types.is_large_list(values.type)):
        return values.to_numpy(zero_copy_only=False), None
    flat = values.flatten()
    if not fixed:
        widths = np.diff(values.offsets.to_numpy())
        if len(set(widths)) > 1:
            row = int(np.argmax(widths != widths[0]))
            raise DataError(
                f"{source}: {name} has lists of different lengths "
                f"({widths[0]} at row 0, {widths[row]} at row {row:,}). "
                "worldrex needs the same components in every record: export them again."
            )
    _refuse_nulls(name, flat, source, width=max(len(flat) // max(len(values), 1), 1))
    return flat.to_numpy(zero_copy_only=False).reshape(len(values), -1 if len(flat) else 0), None


def _numbered(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Each string's place among the distinct ones in sorted order, and those."""
    encoded = values.dictionary_encode()
    strings = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(strings)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    return place[encoded.indices.to_numpy()], strings[order]


def _refuse_nulls(name: str, values: pa.Array | pa.ChunkedArray, source: str, *, width: int = 1) -> None:
    if values.null_count:
        row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False))) // width
        raise DataError(
            f"{source}: {name} has {plural(values.null_count, 'missing value')} (null; first at row {row:,}). "
            "worldrex needs a number everywhere: drop or repair these records."
        )
