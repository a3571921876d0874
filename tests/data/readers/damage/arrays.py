"""Columns as no log should have them: other types, shapes, values and names."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from tests.data.readers.damage.choices import Choices

NAMES = (
    *("", " ", "<script>alert(1)</script>", "a\nb", "a\rb", "\x1b[31mred", "../../etc/passwd", "/etc/passwd", "C:\\x"),
    *(
        "a\0b",
        "ü" * 40,
        "\u202eltr",
        "x" * 5000,
        "obs",
        "action",
        "reward",
        "next_obs",
        "done",
        "terminated",
        "truncated",
    ),
    *(
        "episode",
        "behavior",
        "behavior_names",
        "timestamp",
        "time",
        "obs_0",
        "obs_00",
        "obs_1",
        "obs_999999999",
        "obs_-1",
    ),
    *(
        "action_0",
        "next_obs_0",
        "observations",
        "actions",
        "rewards",
        "terminals",
        "timeouts",
        "'; DROP TABLE",
        "{0.x}",
    ),
    *(
        "%s%n",
        "\ud800",
        "٣",
        "²",
        ".",
        "..",
        "a/b",
        "a=b",
        "behavior=x",
        "__HIVE_DEFAULT_PARTITION__",
        "nan",
        "None",
        "%00",
    ),
)
NUMBERS = (np.nan, np.inf, -np.inf, 0, -1, 1, 2, 0.5, 1e300, -1e300, 3.5e38, 1e-320, 2**31, -(2**31) - 1, 2**53, 2**63)
TYPES = (
    *("?", "i1", "u1", "<i2", ">i2", "<i4", "<u4", "<i8", ">i8", "<u8", "<f2", ">f4", "<f4", "<f8", ">f8", "<f16"),
    *("<c8", "<c16", "S1", "S8", "<U1", "<U8", ">U3", "<M8[ns]", "<M8[D]", "<m8[s]", "V4", "O", "i4,f4", "S0", "U0"),
)


def hostile_name(choices: Choices) -> str:
    return choices.one_of(NAMES)


def hostile_array(values: np.ndarray, choices: Choices) -> np.ndarray:
    """Other values, types or shapes in a column's place."""
    return choices.one_of(ODDITIES)(values, choices)


def _value(values: np.ndarray, choices: Choices) -> np.ndarray:
    wide = values.astype(np.float64) if values.dtype.kind in "biuf" else values
    if wide.size and wide.dtype.kind == "f":
        wide.reshape(-1)[choices.below(wide.size)] = choices.one_of(NUMBERS)
    return wide


def _typed(values: np.ndarray, choices: Choices) -> np.ndarray:
    try:
        with np.errstate(all="ignore"):
            return values.astype(np.dtype(choices.one_of(TYPES)))
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return np.zeros(values.shape, "V4")


def _raw_bytes(values: np.ndarray, choices: Choices) -> np.ndarray:
    """Any bits: signaling NaN, bools other than 0 and 1."""
    like = np.dtype(choices.one_of(["?", "<f4", "<f8", "<f2", "<i8", "<u8", ">f4", "<M8[s]"]))
    return np.frombuffer(choices.take(values.size * like.itemsize), like).reshape(values.shape)


def _shaped(values: np.ndarray, choices: Choices) -> np.ndarray:
    made: list[Callable[[], np.ndarray]] = [
        lambda: values.reshape(-1),
        lambda: values.reshape(-1)[:1].reshape(()) if values.size else values,
        lambda: values[None],
        lambda: values[..., None],
        lambda: values[:0],
        lambda: values[:-1],
        lambda: np.concatenate([values, values[:1]]),
        lambda: values[..., :0],
        lambda: values[:1].repeat(max(len(values), 1), 0),
        lambda: np.stack([values, values], axis=-1),
        lambda: np.asfortranarray(values),
        lambda: values[::-1],
        lambda: np.broadcast_to(values[:1], (2000, *values.shape[1:])) if len(values) else values,
    ]
    return choices.one_of(made)() if values.ndim else values


def _of_text(values: np.ndarray, choices: Choices) -> np.ndarray:
    text = [hostile_name(choices) for _ in range(3)]
    flat = [text[i % 3] for i in range(values.size)]
    made = np.array(flat or [""], dtype=object)[: values.size]
    try:
        return (made if choices.chance(4) else made.astype(str)).reshape(values.shape)
    except ValueError:
        return made


def _of_bytes(values: np.ndarray, choices: Choices) -> np.ndarray:
    made = np.array([choices.take(4) for _ in range(values.size)] or [b"x"])
    return made[: values.size].reshape(values.shape)


def _of_objects(values: np.ndarray, choices: Choices) -> np.ndarray:
    things: list[Any] = [
        None,
        {},
        [],
        [1, 2],
        "x",
        b"x",
        1,
        2.5,
        True,
        10**30,
        Decimal("1.5"),
        date(2020, 1, 1),
        object,
        (),
    ]
    made = np.empty(values.size, dtype=object)
    one, other = choices.one_of(things), choices.one_of(things)
    for i in range(values.size):
        made[i] = one if i % 2 else other
    return made.reshape(values.shape)


ODDITIES: list[Callable[[np.ndarray, Choices], np.ndarray]] = [
    *(_value, _value, _typed, _typed, _raw_bytes, _shaped, _shaped, _of_text, _of_bytes, _of_objects)
]


def hostile_columns(columns: dict[str, np.ndarray], choices: Choices) -> dict[str, np.ndarray]:
    """One to three changes to a log's columns."""
    columns = dict(columns)
    for _ in range(1 + choices.below(3)):
        name = choices.one_of(list(columns) or [""])
        values = columns.get(name, np.zeros(6))
        match choices.below(10):
            case 0:
                columns.pop(name, None)
            case 1:
                columns[hostile_name(choices)] = columns.pop(name, values)
            case 2:
                columns[hostile_name(choices)] = hostile_array(values, choices)
            case 3:
                columns["behavior"] = _of_text(np.zeros(len(values) if values.ndim else 1), choices)
            case 4:
                columns["behavior_names"] = np.array(
                    [hostile_name(choices) for _ in range(choices.below(4))], dtype=object
                )
            case _:
                columns[name] = hostile_array(values, choices)
    return columns
