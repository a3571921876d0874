"""Parquet, one file or a folder of them: obs, action and next_obs as list columns or as one column per component."""

import json
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from worldrex.data.columns import NAMES
from worldrex.data.findings import damaged
from worldrex.data.options import LoadOptions
from worldrex.data.readers.arrow_columns import columns_of
from worldrex.data.readers.folders import files_under
from worldrex.data.readers.limits import require_room
from worldrex.data.readers.reading import Reading
from worldrex.data.readers.tables_joined import join
from worldrex.data.transitions import FORMAT_KEY, FORMAT_VERSION, NAMES_KEY, DataError
from worldrex.data.wide_columns import choose_columns, left_out

MAGIC = b"PAR1"
BATCH = 2**16  # rows that are read at a time


def read(path: Path, options: LoadOptions) -> Reading:
    """The columns with known names; for a required one that is missing, the others' names stay visible as empty arrays.

    In a folder, `key=value` folders (Hive's partitions) are columns, and files are read in natural order.

    Raises DataError for a damaged file, for missing values, for lists of different lengths, for links in a folder.
    """
    if not path.is_dir():
        return Reading("Parquet", read_file(path, options, {}))
    files = parquet_files(path)
    tables = [read_file(file, options, _partitions(file, path)) for file in files]
    joined, counts = join(tables, [repr(str(file)) for file in files], repr(str(path)))
    names = ["/".join((path.resolve().name, *file.relative_to(path).with_suffix("").parts)) for file in files]
    kind = f"a folder of {len(files):,} Parquet file{'s' * (len(files) != 1)}"
    return Reading(kind, joined, tuple(zip(names, counts, strict=True)))


def is_parquet(path: Path) -> bool:
    """Whether a file begins like Parquet. Raises DataError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}. Check who may read it.") from error


def parquet_files(folder: Path, *names: str) -> list[Path]:
    """The Parquet files below `folder/names...`. Raises DataError where one that is called like them is none."""
    files = files_under(folder, *names)
    found = [file for file in files if is_parquet(file)]
    suffixes = {file.suffix for file in found}
    for file in files:
        if file.suffix in suffixes and file not in found:
            raise damaged(file, "Parquet", ValueError("it does not begin like the Parquet files beside it"))
    return found


def column_names(path: Path) -> list[str]:
    """The names in a file's schema. Raises DataError where it is damaged."""
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise damaged(path, "Parquet", error) from error


def read_file(
    path: Path,
    options: LoadOptions,
    partitions: dict[str, str],
    rename: dict[str, str] | None = None,
    extra: tuple[str, ...] = (),
) -> dict[str, np.ndarray]:
    """One file's columns.

    Arguments:
        path: the file.
        options: which column is the behavior.
        partitions: columns that its folders say, the same for each of its records.
        rename: other names for the columns that its schema has.
        extra: columns to read, by their new names, that worldrex does not know.

    Raises DataError.
    """
    source = repr(str(path))
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            new = [str((rename or {}).get(name, name)) for name in schema.names]
            chosen = choose_columns([*new, *partitions], options.behavior_column, source)
            chosen |= {name: [name] for name in extra if name in new}
            picked = {column for components in chosen.values() for column in components}
            original = {name: schema.names[place] for place, name in enumerate(new) if name in picked}
            table = _read_table(file, list(original.values()), path).rename_columns(list(original))
        for key, value in partitions.items():
            table = table.append_column(key, pa.repeat(_typed(value), table.num_rows)) if key in picked else table
        columns = left_out(new, picked) | columns_of(table, chosen, source)
        names = _names(schema.metadata or {}, path)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, RecursionError, MemoryError) as error:
        raise damaged(path, "Parquet", error) from error
    if names is not None and chosen.get("behavior") == ["behavior"] and NAMES not in columns:
        columns[NAMES] = names
    return columns


def _read_table(file: pq.ParquetFile, names: list[str], path: Path) -> pa.Table:
    """The columns, read piece by piece: a few bytes can stand for any number of equal values."""
    # The columns' own metadata would say their sizes, but pyarrow (26) aborts the process where they are damaged.
    schema, stored = file.schema_arrow, path.stat().st_size
    require_room(file.metadata.num_rows * sum(_row_bytes(schema.field(name).type) for name in names), stored, path)
    batches, read = [], 0
    for batch in file.iter_batches(batch_size=BATCH, columns=names):
        batches.append(batch)
        read += batch.nbytes
        require_room(read, stored, path)
    picked = pa.schema([schema.field(name) for name in names])
    return pa.Table.from_batches([batch.select(names) for batch in batches], picked if not batches else None)


def _row_bytes(kind: pa.DataType) -> int:
    """Bytes that each row surely takes."""
    if isinstance(kind, pa.FixedSizeListType):
        return kind.list_size * _row_bytes(kind.value_type)
    try:
        return max(kind.bit_width // 8, 1)
    except ValueError:  # of no fixed width
        return 1


def _partitions(file: Path, folder: Path) -> dict[str, str]:
    """What the folders called `key=value` on the way to a file say."""
    pairs = [name.split("=", 1) for name in file.relative_to(folder).parts[:-1] if "=" in name]
    return {unquote(key): unquote(value) for key, value in pairs}


def _typed(value: str) -> int | str | None:
    """Hive writes numbers and names alike, and a missing value by this name."""
    if value == "__HIVE_DEFAULT_PARTITION__":
        return None
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else value


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
