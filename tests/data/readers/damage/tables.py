"""Tables whose columns are of other types: Arrow (Parquet), CSV, pandas and polars."""

import csv
import io
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.readers.damage.arrays import NUMBERS, hostile_name
from tests.data.readers.damage.choices import Choices

VALUES: tuple[Any, ...] = (
    *(None, True, 1, -1, 2**63 - 1, 0.5, float("nan"), 1e300, "x", "", "1", b"x", Decimal("1.50"), Decimal(10**30)),
    *(date(2020, 1, 1), datetime(2020, 1, 1), time(1, 2), timedelta(seconds=3), [], [1.0], [1.0, 2.0], [1.0, 2.0, 3.0]),
    *(
        [None],
        [1, None],
        ["a"],
        [[1.0]],
        [[1.0, 2.0], [3.0]],
        {"a": 1},
        {"a": [1]},
        {},
        [{"a": 1}],
        [b"x"],
        [True],
        [date.min],
    ),
)
CELLS = (
    *(
        "",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "1e999",
        "1e300",
        "null",
        "NULL",
        "None",
        "true",
        "False",
        "0x10",
        "1_000",
        "1,5",
    ),
    *(
        "2020-01-01",
        "2020-01-01T00:00:00",
        "01:02:03",
        '"',
        "'",
        '"a',
        "a\nb",
        "-1",
        "0.5",
        "9" * 30,
        "9" * 5000,
        " 1",
        "+1",
    ),
    *(
        "=1+1",
        "\x1b[31m",
        "\0",
        "\ufeff",
        "<b>x</b>",
        "a,b",
        "a;b",
        "a\tb",
        "\u2028",
        "1.5.5",
        "NA",
        "#N/A",
        "é",
        "x" * 3000,
    ),
)


def parquet_bytes(content: bytes, choices: Choices) -> bytes:
    """A sound Parquet file with one to three columns of other types, other names, metadata or encodings."""
    table = _table(content)
    for _ in range(1 + choices.below(3)):
        table = _changed(table, choices)
    if choices.chance(6):
        table = table.replace_schema_metadata(_metadata(choices))
    made = io.BytesIO()
    try:
        pq.write_table(
            table,
            made,
            compression=choices.one_of(["snappy", "none", "zstd", "gzip"]),
            use_dictionary=choices.one_of([True, False]),
            row_group_size=choices.one_of([10**6, 1, 2]),
            data_page_version=choices.one_of(["1.0", "2.0"]),
            store_schema=not choices.chance(4),
        )
    except (pa.ArrowException, ValueError, TypeError, UnicodeError):
        return content
    return made.getvalue()


@cache
def _table(content: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(content))


def _changed(table: pa.Table, choices: Choices) -> pa.Table:
    place = choices.below(table.num_columns) if table.num_columns else 0
    name = table.column_names[place] if table.num_columns else "obs"
    match choices.below(12):
        case 0 if table.num_columns:
            return table.remove_column(place)
        case 1 if table.num_columns:
            return table.rename_columns([*table.column_names[:place], _name(choices), *table.column_names[place + 1 :]])
        case 2:
            return table.append_column(_name(choices), any_column(table.num_rows, choices))
        case 3:
            return table.slice(choices.below(4), choices.below(4))
        case 4:
            return pa.concat_tables([table, table])
        case 5 if table.num_columns:
            return table.append_column(name, table.column(place))
    made = any_column(table.num_rows, choices)
    return table.set_column(place, name, made) if table.num_columns else table.append_column(name, made)


def _name(choices: Choices) -> str:
    return hostile_name(choices).encode("utf-8", "replace").decode()


def _metadata(choices: Choices) -> dict[bytes, bytes]:
    names = [
        b"null",
        b"[]",
        b'["a"]',
        b'["a", "a", "b"]',
        b"[1, 2]",
        b'"ab"',
        b"{",
        b"[" * 100_000,
        b"\xff",
        b'["\\ud800", ""]',
    ]
    names += [json.dumps(["<b>", "a\nb", "\x1b"]).encode(), b"1" * 5000, b'{"0": "a"}']
    return {
        b"worldrex.format": choices.one_of([b"1", b"1", b"1", b"2", b"", b"\xff\n"]),
        b"worldrex.behavior_names": choices.one_of(names),
    }


def any_column(rows: int, choices: Choices) -> pa.Array:
    """Some column of that many rows."""
    try:
        return choices.one_of(COLUMNS)(rows, choices)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, NotImplementedError):
        return pa.nulls(rows)


def _plain(rows: int, choices: Choices) -> pa.Array:
    value, other = choices.one_of(VALUES), choices.one_of(VALUES)
    return pa.array([value] * rows if choices.chance(2) else [other if i == 2 else value for i in range(rows)])


def _cast(rows: int, choices: Choices) -> pa.Array:
    numbers = pa.array([i % 2 for i in range(rows)], pa.int64())
    kinds = [
        pa.float16(),
        pa.float32(),
        pa.uint64(),
        pa.int8(),
        pa.bool_(),
        pa.string(),
        pa.large_string(),
        pa.string_view(),
    ]
    kinds += [pa.binary(), pa.timestamp("ns"), pa.timestamp("s", "UTC"), pa.date32(), pa.date64(), pa.time32("s")]
    kinds += [pa.duration("ns"), pa.decimal128(20, 2), pa.decimal256(50, 2), pa.large_binary(), pa.binary_view()]
    kind = choices.one_of(kinds)
    return numbers.cast(pa.int32()).cast(kind) if pa.types.is_date32(kind) else numbers.cast(kind)


def _listed(rows: int, choices: Choices) -> pa.Array:
    width = choices.below(4)
    kind = choices.one_of(
        [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.int8(), width), pa.list_(pa.string())]
    )
    if choices.chance(4):
        kind = pa.list_(pa.list_(pa.float32()))
        return pa.array([[[0.0] * width] * 3] * rows, kind)
    lists = [[i % 2] * (width + (choices.chance(9) and width > 0)) for i in range(rows)]
    return pa.array(lists, pa.list_(pa.int64())).cast(kind)


def _dictionary(rows: int, choices: Choices) -> pa.Array:
    values = [
        pa.array(["a", "a", None]),
        pa.array([1.0, 2.0, 3.0]),
        pa.array(["a", "b\n", "<i>"]),
        pa.array([[1.0], [2.0], [3.0]]),
    ]
    indices = pa.array([None if choices.chance(20) else i % 3 for i in range(rows)], pa.int8())
    return pa.DictionaryArray.from_arrays(indices, choices.one_of(values))


def _nested(rows: int, choices: Choices) -> pa.Array:
    made: list[Callable[[], pa.Array]] = [
        lambda: pa.array([{"a": 1, "b": [2.0]}] * rows),
        lambda: pa.array([[("k", 1)]] * rows, pa.map_(pa.string(), pa.int64())),
        lambda: pa.array([[1.0, 2.0, 3.0]] * rows, pa.list_view(pa.float32())),
        lambda: pa.RunEndEncodedArray.from_arrays(pa.array([rows], pa.int32()), pa.array([1.0])),
        lambda: pa.array([[[1.0, 2.0, 3.0]]] * rows, pa.list_(pa.list_(pa.float32(), 3), 1)),
        lambda: pa.UnionArray.from_sparse(pa.array([0] * rows, pa.int8()), [pa.array([1.0] * rows)]),
        lambda: pa.array([None] * rows, pa.list_(pa.float32(), 3)),
        lambda: pa.array([[1.0, None, 2.0]] * rows, pa.list_(pa.float32(), 3)),
    ]
    return choices.one_of(made)()


def _numbers(rows: int, choices: Choices) -> pa.Array:
    return pa.array([choices.one_of(NUMBERS) for _ in range(rows)], pa.float64())


COLUMNS: list[Callable[[int, Choices], pa.Array]] = [_plain, _cast, _listed, _dictionary, _nested, _numbers]


def csv_bytes(content: bytes, choices: Choices) -> bytes:
    """A sound CSV file with other cells, names, rows, delimiters or encodings."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    for _ in range(1 + choices.below(4)):
        row = choices.one_of(rows) if rows else []
        place = choices.below(max(len(row), 1))
        match choices.below(9):
            case 0 if row:
                del row[place]
            case 1:
                row.insert(place, choices.one_of(CELLS))
            case 2 if rows:
                rows[0][choices.below(len(rows[0]) or 1) :][:1] = [hostile_name(choices)]
                rows[0] = [*rows[0][:place], hostile_name(choices), *rows[0][place + 1 :]]
            case 3:
                rows.insert(choices.below(len(rows) + 1), list(row))
            case 4 if rows:
                cell = choices.one_of(CELLS)
                rows = [rows[0], *([*other[:place], cell, *other[place + 1 :]] for other in rows[1:])]
            case _:
                row[place : place + 1] = [choices.one_of(CELLS)]
    made = io.StringIO()
    quoting = choices.one_of([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE])
    writer = csv.writer(
        made, delimiter=choices.one_of([",", ",", ";", "\t", "|"]), lineterminator=choices.one_of(["\n", "\r\n", "\r"]),
        quoting=quoting, escapechar="\\",
    )  # fmt: skip
    with suppress(csv.Error):  # of a row that cannot be written unquoted: the rows before it are there
        writer.writerows(rows)
    return made.getvalue().encode(
        choices.one_of(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin1"]), "replace"
    )
