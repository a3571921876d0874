"""Charts of how far behaviors lie apart: the map of their records, and the distances pair by pair."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import altair as alt
import numpy as np

from worldrex.report import marks, numerals
from worldrex.report.folder import Record
from worldrex.report.palette import LIGHT, RAMP_STYLES, Style, behavior_style

MAP_HEIGHT = 440
# Of more behaviors than these the distances are told in a table only.
MOST_IN_MATRIX = 12
# Points in all, so that many behaviors do not make the page heavy.
_MOST_POINTS = 1500
_QUANTITIES = {"squared_error": "squared error", "uncertainty": "uncertainty"}
_CELL = 34


class Shade(NamedTuple):
    """What the colors of the map may mean, and its classes: their keys, words and styles."""

    key: str
    name: str
    classes: tuple[tuple[str, str, Style], ...]


def shades(shift: Record, names: Mapping[str, str]) -> list[Shade]:
    """What the map can be colored by: the behavior, and each model's error and uncertainty.

    Args:
        shift: of the summary.
        names: of the models, by their keys.
    """
    behaviors = (
        (
            f"b{index}",
            entry["name"] + ("" if entry["logged"] else " (not logged)"),
            replace(behavior_style(index), hollow=not entry["logged"]),
        )
        for index, entry in enumerate(shift["behaviors"])
    )
    found = [Shade("behavior", "behavior", tuple(behaviors))]
    for quantity, words in _QUANTITIES.items():
        edges = _edges(shift, quantity)
        if not edges:
            continue
        bounds = [numerals.number(edge, digits=2) for edge in edges]
        said = [f"below {bounds[0]}", *map(" to ".join, itertools.pairwise(bounds)), f"above {bounds[-1]}"]
        for model in shift.get(quantity) or {}:
            if model in names:
                key = f"{quantity}_{model}"
                classes = ((f"{key}{step}", *one) for step, one in enumerate(zip(said, RAMP_STYLES, strict=True)))
                found.append(Shade(key, f"{words}, {names[model]}", tuple(classes)))
    return found


def _edges(shift: Record, quantity: str) -> list[float]:
    """Between the classes of a quantity: fifths of it, the same for all models so that their maps can be compared."""
    parts = [points for of_model in (shift.get(quantity) or {}).values() for points in of_model.values()]
    values = [value for points in parts for value in points if value is not None]
    shares = np.arange(1, len(RAMP_STYLES)) / len(RAMP_STYLES)
    return [float(f"{edge:.2g}") for edge in np.quantile(values, shares)] if values else []


def shift_map(shift: Record, names: Mapping[str, str]) -> alt.LayerChart | None:
    """Records of each behavior on the first two principal components, those of unlogged behaviors as rings.

    Args:
        shift: of the summary.
        names: of the models, by their keys.
    """
    shown = shades(shift, names)
    points = _points(shift, [shade.key for shade in shown[1:]])
    if not points:
        return None
    share = [number for number in shift.get("share") or () if number is not None]
    said = [f" ({100 * number:.0f} % of the variance)" for number in share] + ["", ""]
    scales = {axis: _scale([point[axis] for point in points]) for axis in ("x", "y")}
    x = alt.X("x:Q", scale=scales["x"], axis=alt.Axis(title=f"first component{said[0]}", tickCount=5))
    y = alt.Y("y:Q", scale=scales["y"], axis=alt.Axis(title=f"second component{said[1]}", tickCount=5))
    classes = {key: style for shade in shown for key, _, style in shade.classes}
    scale = alt.Scale(domain=list(classes), range=[style.hex for style in classes.values()])
    kept = "indexof(hidden, datum.class) < 0"
    rows = alt.Chart().transform_filter("shade === 'behavior' || isValid(datum[shade])")
    rows = rows.transform_calculate(**{"class": _class_expression(shift)}).transform_filter(kept)
    shapes = alt.Scale(domain=list(classes), range=[style.shape for style in classes.values()])
    rows = rows.encode(
        x=x,
        y=y,
        color=alt.Color("class:N", scale=scale, legend=None),
        shape=alt.Shape("class:N", scale=shapes, legend=None),
    )
    fields = [alt.Tooltip(f"{shade.key}:Q", title=shade.name, format=".3~r") for shade in shown[1:]]
    tooltip = ["behavior:N", *fields]
    layers = [
        rows.transform_filter("datum.logged").mark_point(filled=True, size=30, opacity=0.75).encode(tooltip=tooltip),
        rows.transform_filter("!datum.logged")
        .mark_point(filled=False, size=44, strokeWidth=1.75)
        .encode(tooltip=tooltip),
    ]
    return marks.finish(layers, MAP_HEIGHT, points, shade="behavior")


def _points(shift: Record, columns: list[str]) -> list[dict[str, Any]]:
    most = max(_MOST_POINTS // max(len(shift["behaviors"]), 1), 10)
    found = []
    for index, entry in enumerate(shift["behaviors"]):
        places = (shift.get("points") or {}).get(entry["name"]) or []
        of_columns = {}
        for column in columns:
            quantity = next(quantity for quantity in _QUANTITIES if column.startswith(quantity))
            of_columns[column] = shift[quantity][column.removeprefix(f"{quantity}_")].get(entry["name"]) or []
        for place in range(0, len(places), -(-len(places) // most) or 1):
            point = {"key": f"b{index}", "behavior": entry["name"], "logged": entry["logged"]}
            point |= {"x": places[place][0], "y": places[place][1]}
            for column, values in of_columns.items():
                if place < len(values) and values[place] is not None:
                    point[column] = numerals.rounded(values[place])
            found.append(point)
    return found


def _class_expression(shift: Record) -> str:
    """The class of a point under the present shade, as Vega computes it."""
    said = "datum.key"
    for quantity in _QUANTITIES:
        steps = " + ".join(f"(datum[shade] >= {edge})" for edge in _edges(shift, quantity)) or "0"
        said = f"indexof(shade, '{quantity}') === 0 ? shade + ({steps}) : {said}"
    return said


def _scale(values: list[float | int]) -> alt.Scale:
    room = 0.04 * (max(values) - min(values)) or 1.0
    return alt.Scale(domain=[min(values) - room, max(values) + room], nice=False)


def distances(shift: Record) -> alt.LayerChart | None:
    """The distance of each pair of behaviors as a tile; on the diagonal that of a behavior from itself, by chance."""
    names = [entry["name"] for entry in shift["behaviors"]]
    cells = [
        {
            "x": column,
            "y": row,
            "one": names[row],
            "other": names[column],
            "distance": distance,
            "told apart": (shift.get("area") or [])[row][column] if shift.get("area") else None,
            "label": numerals.number(distance, digits=2),
        }
        for row, of_row in enumerate(shift.get("distance") or ())
        for column, distance in enumerate(of_row)
        if distance is not None
    ]
    if not cells or len(names) > MOST_IN_MATRIX or len(names) < 2:
        return None
    most = max(cell["distance"] for cell in cells) or 1.0
    for cell in cells:
        # Never so deep that the digits on it are hard to read, on light paper or on dark.
        cell["depth"] = round(0.05 + 0.5 * cell["distance"] / most, 3)
    band = alt.Scale(domain=list(range(len(names))), paddingInner=0.06)
    numbers = [str(index + 1) for index in range(len(names))]
    x = alt.X(
        "x:O", scale=band, axis=alt.Axis(orient="top", labelAngle=0, labelExpr=f"{numbers}[datum.value]", title=None)
    )
    # JSON strings are literals of the expression language, too: a name stays text. On a phone the tiles need the width;
    # there the numbers refer to the table below.
    heads = json.dumps([f"{name}  {index + 1}" for index, name in enumerate(names)])
    named = f"(narrow ? {numbers} : {heads})[datum.value]"
    y = alt.Y("y:O", scale=band, axis=alt.Axis(labelExpr=named, labelLimit=210, labelColor=LIGHT["ink"], title=None))
    base = alt.Chart(alt.InlineData(cells)).encode(x=x, y=y)
    layers = [
        base.mark_rect(color=LIGHT["blue"], cornerRadius=2).encode(
            opacity=alt.Opacity("depth:Q", scale=None, legend=None),
            tooltip=["one:N", "other:N", *marks.numbers("distance", "told apart")],
        ),
        base.mark_text(color=LIGHT["ink"]).encode(text="label:N"),
    ]
    return marks.finish(layers, _CELL * len(names))
