"""Logs in memory: mappings, pandas' and polars' frames, of things that are no columns of numbers."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from tests.data.readers.damage.arrays import hostile_columns
from tests.data.readers.damage.choices import Choices
from tests.data.readers.damage.tables import VALUES, any_column


def mapping(columns: dict[str, np.ndarray], choices: Choices) -> Any:
    """Arrays, lists and things that are neither, by names and by things that are no names."""
    made: dict[Any, Any] = dict(hostile_columns(columns, choices))
    name = choices.one_of(list(made) or ["obs"])
    values = np.asarray(made.get(name, np.zeros(6)))
    listed = values.tolist() if choices.chance(2) else None
    odd: list[Any] = [
        listed,
        values.data if values.dtype.kind in "bif" and values.ndim else 1,
        None,
        "text",
        {},
        [[1], [1, 2]],
    ]
    odd += [
        [1, "a", None],
        object(),
        iter([1]),
        range(6),
        b"bytes",
        {1, 2},
        10**400,
        [10**400] * 6,
        [None] * 6,
        np.ma.masked_all(6),
    ]
    odd += [
        pa.array([1.0, 2.0]),
        [np.zeros(3), np.zeros(2)],
        float("nan"),
        [b"\xff"] * 6,
        np.datetime64("now"),
        Exception("x"),
    ]
    if choices.chance(2):
        made[name] = choices.one_of(odd)
    if choices.chance(8):
        made[choices.one_of([None, 1, (1, 2), b"obs", np.str_("obs"), 1.5])] = choices.one_of(odd)
    return made


def pandas(columns: dict[str, np.ndarray], choices: Choices) -> Any:
    import pandas as pd

    made = _frame(hostile_columns(columns, choices), pd.DataFrame)
    name = choices.one_of(list(made.columns) or ["obs_0"])
    with suppress(Exception):  # what pandas does not make is no log either
        match choices.below(8):
            case 0:
                made[name] = pd.Series([choices.one_of(VALUES) for _ in range(len(made))], dtype=object)
            case 1:
                made[name] = any_column(len(made), choices).to_pandas()
            case 2:
                made = made.set_index(name)
            case 3:
                made.columns = pd.MultiIndex.from_tuples([("a", str(column)) for column in made.columns])
            case 4:
                made[name] = pd.Categorical([choices.one_of(["a", None, "<b>"]) for _ in range(len(made))])
            case 5:
                made.insert(0, choices.one_of([name, 0, None, 1.5]), 1.0, allow_duplicates=True)
            case 6:
                kinds = ["Int64", "string", "boolean", "Float32", "complex128", "datetime64[ns]", "Sparse[float]"]
                made[name] = made[name].astype(choices.one_of(kinds))
    return made


def polars(columns: dict[str, np.ndarray], choices: Choices) -> Any:
    import polars as pl

    made = _frame(hostile_columns(columns, choices), pl.DataFrame)
    name = choices.one_of(made.columns or ["obs_0"])
    with suppress(Exception):  # what polars does not make is no log either
        match choices.below(6):
            case 0:
                value = choices.one_of(VALUES)
                made = made.with_columns(pl.Series(name, [value] * len(made), strict=False))
            case 1:
                made = made.with_columns(pl.Series(name, any_column(len(made), choices).to_pylist(), strict=False))
            case 2:
                made = made.with_columns(pl.Series(name, [object()] * len(made), dtype=pl.Object))
            case 3:
                kinds = [
                    pl.Categorical,
                    pl.Decimal(10, 2),
                    pl.Int128,
                    pl.Datetime,
                    pl.Duration,
                    pl.String,
                    pl.Boolean,
                    pl.UInt64,
                ]
                made = made.with_columns(pl.col(name).cast(choices.one_of(kinds), strict=False))
            case 4:
                made = made.with_columns(pl.struct(pl.all()).alias(name))
    return made


def _frame(columns: dict[str, np.ndarray], library: Callable[[dict[str, Any]], Any]) -> Any:
    """A data frame of those columns that can stand in one."""
    made: dict[str, Any] = {}
    rows = max((values.shape[0] for values in columns.values() if values.ndim), default=0)
    fitting = {
        name: values if values.ndim == 1 and values.dtype.kind in "biufUO" else values.tolist()
        for name, values in columns.items()
        if values.ndim and len(values) in (rows, 1) and values.shape != (0,)
    }
    with suppress(Exception):
        return library(fitting)
    for name, values in fitting.items():
        with suppress(Exception):
            library(made | {name: values})
            made[name] = values
    return library(made)
