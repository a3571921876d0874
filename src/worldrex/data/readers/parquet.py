"""Parquet files with obs, action and next_obs as list columns: the house's own format, and anyone's like it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from worldrex.data.columns import KNOWN, NAMES
from worldrex.data.findings import damaged, plural
from worldrex.data.transitions import FORMAT_KEY, FORMAT_VERSION, NAMES_KEY, DataError

MAGICS = (b"PAR1",)


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """The columns with known names; for a required one that is missing, the others' names stay visible as empty arrays.

    Raises DataError for a damaged file, for missing values and for lists of different lengths.
    """
    try:
        with pq.ParquetFile(path) as file:
            present = file.schema_arrow.names
            table = file.read(columns=[name for name in KNOWN if name in present and name != NAMES])
        columns = {name: np.empty(0) for name in present if name not in KNOWN}
        names = _names(table.schema.metadata or {}, path)
        for name in table.column_names:
            columns[name], labels = _values(name, table[name], path)
            if name == "behavior" and labels is not None:
                names = labels
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise damaged(path, "Parquet", error) from error
    return columns if names is None else columns | {NAMES: names}


def _values(name: str, column: pa.ChunkedArray, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """One column as [record] or, from lists, as [record, component]; of strings, their numbers and the strings."""
    _refuse_nulls(name, column, path)
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
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
                f"{str(path)!r}: {name} has lists of different lengths "
                f"({widths[0]} at row 0, {widths[row]} at row {row:,}). "
                "worldrex needs the same components in every record: export them again."
            )
    _refuse_nulls(name, flat, path, width=max(len(flat) // max(len(values), 1), 1))
    return flat.to_numpy(zero_copy_only=False).reshape(len(values), -1 if len(flat) else 0), None


def _numbered(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Each string's place among the distinct ones in sorted order, and those."""
    encoded = values.dictionary_encode()
    strings = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(strings)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    return place[encoded.indices.to_numpy()], strings[order]


def _refuse_nulls(name: str, values: pa.Array | pa.ChunkedArray, path: Path, *, width: int = 1) -> None:
    if values.null_count:
        row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False))) // width
        raise DataError(
            f"{str(path)!r}: {name} has {plural(values.null_count, 'missing value')} (null; first at row {row:,}). "
            "worldrex needs a number everywhere: drop or repair these records."
        )


def _names(metadata: dict[bytes, bytes], path: Path) -> np.ndarray | None:
    """The behavior names that `Transitions.save` wrote; None for a file of someone else's."""
    version = metadata.get(FORMAT_KEY)
    if version is None:
        return None
    if version != FORMAT_VERSION:
        raise DataError(
            f"{str(path)!r} is in version {version.decode(errors='replace')} of worldrex's format, and this worldrex "
            f"reads version {FORMAT_VERSION.decode()}: install the worldrex that wrote it, or export the log again."
        )
    names = json.loads(metadata.get(NAMES_KEY, b"null"))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its behavior names are not a list of names.")
    return np.array(names, dtype=object)
