"""Text with a header: `obs_0,...,action_0,...,reward,next_obs_0,...,terminated,truncated,episode,behavior`."""

import codecs
import csv
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from worldrex.data.columns import KNOWN
from worldrex.data.findings import damaged, quote, some_of
from worldrex.data.options import LoadOptions
from worldrex.data.readers.arrow_columns import LABELS, columns_of
from worldrex.data.readers.limits import require_room
from worldrex.data.readers.reading import Reading
from worldrex.data.transitions import DataError
from worldrex.data.wide_columns import WIDE, choose_columns, left_out

SAMPLE = 2**16  # bytes in which the header and one row must end
DELIMITERS = ",;\t"
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
WIDEST_NUMBER = 4  # times its text, e.g. "0," as a double


def is_csv(path: Path) -> bool:
    """Whether a file looks like text with a header: of worldrex's columns, or of two names above a row of numbers."""
    return _has_header(path, "utf-8-sig")


def other_encoding(path: Path) -> str | None:
    """The encoding, as `iconv` knows it, in which a file that is no CSV would be one; None where there is none."""
    with open(path, "rb") as file:
        start = file.read(4)
    marked = [name for mark, name in MARKS.items() if start.startswith(mark)]
    return next((name for name in marked or ["WINDOWS-1252"] if _has_header(path, name)), None)


def _has_header(path: Path, encoding: str) -> bool:
    with open(path, "rb") as file:
        sample = file.read(SAMPLE)
    try:
        # A character cut at the sample's end is no sign of anything.
        text = codecs.getincrementaldecoder(encoding)().decode(sample, final=len(sample) < SAMPLE)
        rows = list(csv.reader(text.splitlines()[:2], delimiter=_delimiter(text)))
    except (UnicodeDecodeError, csv.Error):
        return False
    if "\0" in text or not rows or len(rows[0]) < 2:
        return False
    if any(name in KNOWN or WIDE.fullmatch(name) for name in rows[0]):
        return True
    return len(rows) == 2 and len(rows[0]) == len(rows[1]) and any(map(_is_number, rows[1]))


def read(path: Path, options: LoadOptions) -> Reading:
    """The columns with known names; for a required one that is missing, the others' names stay visible as empty arrays.

    Raises DataError for rows of different lengths, for missing values and for text where numbers are needed.
    """
    source = repr(str(path))
    require_room(WIDEST_NUMBER * path.stat().st_size, path.stat().st_size, path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline(SAMPLE)
        delimiter = _delimiter(first)
        names = next(csv.reader([first], delimiter=delimiter))
        chosen = choose_columns(names, options.behavior_column, source)
        picked = list(dict.fromkeys(column for components in chosen.values() for column in components))
        table = _table(path, delimiter, picked or names[:1], ())  # of nothing, Arrow would take all
        # What Arrow takes for dates and truths are names here, where the column is nothing else.
        labels = {column for name in LABELS for column in chosen.get(name, ())}
        labels -= {column for name, components in chosen.items() if name not in LABELS for column in components}
        if text := [name for name in labels if _is_read_as_no_label(table.schema.field(name).type)]:
            table = _table(path, delimiter, picked, text)
        columns = left_out(names, picked) | columns_of(table, chosen, source)
    except DataError:
        raise
    except (pa.ArrowException, csv.Error, OSError, ValueError, KeyError, StopIteration, MemoryError) as error:
        raise damaged(path, "CSV", error) from error
    return Reading("CSV", columns)


def _table(path: Path, delimiter: str, columns: list[str], text: Collection[str]) -> pa.Table:
    table = pacsv.read_csv(
        path,
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
        convert_options=pacsv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(text, pa.string())),
    )
    if spoiled := [field.name for field in table.schema if pa.types.is_binary(field.type)]:
        raise DataError(
            f"{str(path)!r} has text that is not UTF-8 in {some_of([quote(name) for name in spoiled], 4)}. worldrex needs CSV "
            "in UTF-8: save it so, or, if it is in WINDOWS-1252, convert it: `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`."
        )
    return table


def _is_read_as_no_label(kind: pa.DataType) -> bool:
    return pa.types.is_boolean(kind) or pa.types.is_temporal(kind)


def _delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(DELIMITERS, key=header.count)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
