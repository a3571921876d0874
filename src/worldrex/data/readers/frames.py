"""Logs in memory: a mapping of arrays, or a data frame of any library that speaks Arrow (pandas, polars)."""

import re
import warnings
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from worldrex.data.columns import NAMES
from worldrex.data.findings import quote, reason_of
from worldrex.data.options import LoadOptions
from worldrex.data.readers.arrow_columns import columns_of
from worldrex.data.readers.reading import Reading
from worldrex.data.transitions import DataError
from worldrex.data.wide_columns import choose_columns, combine_arrays, left_out


@runtime_checkable
class Frame(Protocol):
    """A data frame: what has the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The frame as a stream of Arrow record batches."""
        ...


def read_frame(frame: Frame, options: LoadOptions, source: str) -> Reading:
    """The known columns of a data frame. Raises DataError for missing values and for text where numbers are needed."""
    _refuse_nul(frame, source)
    _refuse_objects(frame, source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are no text: they are taken as text
            table = pa.table(frame)
        chosen = choose_columns(table.column_names, options.behavior_column, source)
        columns = columns_of(table, chosen, source)
    except DataError:
        raise
    except Exception as error:  # any library's: what its own conversion raises is not known
        raise DataError(
            f"{source} cannot be read as a table: {reason_of(error)}. "
            "worldrex needs columns of numbers (obs_0, obs_1, ...) or of lists of numbers: convert them."
        ) from error
    picked = {column for components in chosen.values() for column in components}
    library = type(frame).__module__.split(".")[0]
    absent = left_out(table.column_names, picked)
    return Reading(f"a {library} table", absent | columns)


def _refuse_nul(frame: Frame, source: str) -> None:
    """Raise DataError for a name with a NUL character, at which polars (2.1) ends the process."""
    schema = getattr(frame, "schema", None)
    if schema is not None and "\\x00" in repr(schema):
        name = next((name for name in getattr(frame, "columns", ()) if "\0" in str(name)), "of a field")
        raise DataError(
            f"{source} has a name with a NUL character, {quote(name)}. worldrex needs other names: rename it."
        )


def _refuse_objects(frame: Frame, source: str) -> None:
    """Raise DataError for columns of Python objects, also within structs, at which polars (1.20 to 1.36) ends the process."""
    if not type(frame).__module__.startswith("polars"):
        return
    for name, kind in getattr(frame, "schema", {}).items():
        if re.search(r"\bObject\b", re.sub(r"'[^']*'", "", repr(kind))):
            raise DataError(
                f"{source}: {quote(name)} has Python objects. worldrex needs columns of numbers, or of lists of numbers: convert "
                "the column, or leave it out."
            )


def read_mapping(arrays: Mapping[str, Any], options: LoadOptions, source: str) -> Reading:
    """The known columns of a mapping of arrays, and `behavior_names`. Raises DataError for what is no array."""
    names = [str(name) for name in arrays]
    chosen = choose_columns(names, options.behavior_column, source)
    picked = {column for components in chosen.values() for column in components}
    picked |= {NAMES} if NAMES in names and options.behavior_column is None else set()
    values = {name: _array(name, arrays[name], source) for name in names if name in picked}
    absent = left_out(names, picked)
    return Reading("a mapping of arrays", absent | combine_arrays(values, chosen, source))


def _array(name: str, values: Any, source: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{source}: {name} is not an array ({error}). worldrex needs one row per record, all equally wide: stack them."
        ) from error
    return array if array.ndim else np.atleast_1d(array)
