"""Arrow tables, of Parquet, CSV and data frames alike, become raw columns."""

import json

import numpy as np
import pyarrow as pa

from worldrex.data.columns import MATRICES, NAMES
from worldrex.data.findings import plural, quote
from worldrex.data.readers.limits import ROOM
from worldrex.data.transitions import DataError
from worldrex.data.wide_columns import TIMES

LABELS = ("behavior", "episode")  # may be names; everything else is numbers
LISTED = (*MATRICES, "environment")  # may be lists; everything else is one value per record
CHARACTER = 4  # bytes in a column of text


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
            columns[name] = _times(table[name])
        elif components == [name] or name in LABELS:
            columns[name], labels = _values(components[0], table[components[0]], source, text=name in LABELS)
            if labels is not None:
                if name == "behavior":
                    columns[NAMES] = labels
                else:
                    columns[name] = _written_out(name, labels, columns[name], table, source)
        else:
            series = [_values(component, table[component], source, text=False)[0] for component in components]
            listed = next((c for c, values in zip(components, series, strict=True) if values.ndim > 1), None)
            if listed is not None:
                raise DataError(
                    f"{source}: {listed} has lists. worldrex needs one number per record: split the column."
                )
            columns[name] = np.stack(series, axis=1)
    return columns


def _times(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers or dates; of other things, or with missing ones, an empty one: no log is refused for it."""
    kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)
    return column.to_numpy() if numeric and not column.null_count else np.empty(0)


def _values(name: str, column: pa.ChunkedArray, source: str, *, text: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """One column as [record] or, from lists, as [record, component]; of strings, their numbers and the strings."""
    _refuse_nulls(name, column, source)
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # of no chunks
        values = pa.array([], column.type)
    if pa.types.is_null(values.type):  # what has no values has no type
        return np.empty(0), None
    if text and _is_list_of_text(values.type):
        values = pa.array([_one_name(names) for names in values.to_pylist()], pa.string())
    if _is_text(values.type.value_type if pa.types.is_dictionary(values.type) else values.type):
        if not text:
            raise DataError(
                f"{source}: {name} has values of type {values.type}, such as {_no_number(values)}. "
                "worldrex needs numbers: convert the column."
            )
        return _numbered(name, values, source)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
        _refuse_nulls(name, values, source)
    _refuse_other_types(name, values.type, source)
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
    width = len(flat) // len(values) if len(values) else 1
    if name not in LISTED and width != 1:
        raise DataError(
            f"{source}: {name} has lists of {width} values. worldrex needs one per record: split the column."
        )
    _refuse_nulls(name, flat, source, width=max(width, 1))
    return flat.to_numpy(zero_copy_only=False).reshape(len(values), -1 if len(flat) else 0), None


def _written_out(name: str, labels: np.ndarray, numbers: np.ndarray, table: pa.Table, source: str) -> np.ndarray:
    """Each record's label as text, all as wide as the longest."""
    longest = max(map(len, labels), default=0)
    wide = CHARACTER * longest * len(numbers)
    if wide > ROOM and wide > CHARACTER * table.nbytes:
        raise DataError(
            f"{source}: {name} has a name of {longest:,} characters, and with all names as wide the column would take "
            f"{wide / 2**20:,.0f} MiB. worldrex needs names of about equal length, or numbers: shorten it."
        )
    return labels[numbers].astype(str)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_list_of_text(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and _is_text(kind.value_type)


def _one_name(names: list[str | None]) -> str | None:
    """The only one, and of more, what no other names make; None where one is missing."""
    if None in names:
        return None
    return str(names[0]) if len(names) == 1 else json.dumps(names, ensure_ascii=False) if names else ""


def _no_number(values: pa.Array) -> str:
    """The first text that is no number, and its row; the first text where all are numbers."""
    for row, text in enumerate(map(str, values.to_pylist())):
        try:
            float(text)
        except ValueError:
            return f"{quote(text)} at row {row:,}"
    return quote(values[0].as_py()) if len(values) else "''"


def _refuse_other_types(name: str, kind: pa.DataType, source: str) -> None:
    """Raise DataError for what is neither a number nor a list of numbers: dates, bytes, structs, lists of lists."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    number = kind.value_type if lists else kind
    if not (pa.types.is_integer(number) or pa.types.is_floating(number) or pa.types.is_boolean(number)):
        raise DataError(
            f"{source}: {name} has values of type {quote(kind)}. worldrex needs numbers, or lists of numbers: convert the "
            "column."
        )


def _numbered(name: str, values: pa.Array, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Each string's place among the distinct ones in sorted order, and those."""
    # A dictionary may hold a text of megabytes that stands in each row: it is never written out.
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    strings = np.array(encoded.dictionary.to_pylist(), dtype=object)
    indices = encoded.indices.to_numpy()
    used, place = np.unique(indices, return_inverse=True)
    strings = strings[used]
    # In the dictionary, where null_count does not see it; an empty cell of a CSV file is an empty text.
    missing = np.array([string is None or not string.strip() for string in strings], bool)[place]
    if missing.any():
        raise _missing(name, int(missing.sum()), int(np.argmax(missing)), source)
    distinct, number = np.unique(strings, return_inverse=True)
    return number[place].astype(np.int32), distinct


def _refuse_nulls(name: str, values: pa.Array | pa.ChunkedArray, source: str, *, width: int = 1) -> None:
    if values.null_count:
        row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False))) // width
        raise _missing(name, values.null_count, row, source)


def _missing(name: str, count: int, row: int, source: str) -> DataError:
    return DataError(
        f"{source}: {name} has {plural(count, 'missing value')} (null; first at row {row:,}). "
        "worldrex needs a value everywhere: drop or repair these records."
    )
