"""Rows of dots with intervals, a lane for each series under the name of what they are of."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import altair as alt

from worldrex.report import marks
from worldrex.report.palette import LIGHT, MODEL_STYLES, Style
from worldrex.report.scales import extent
from worldrex.report.tables import Estimate

# One row, pixels: its name, a lane for each series, the space to the next.
_HEAD, _LANE, _GAP = 24, 21, 16


class Dot(NamedTuple):
    """One value of a row: its series, what a tooltip calls it, and the words beside it."""

    key: str
    series: str
    estimate: Estimate
    label: str


class Row(NamedTuple):
    """What the dots are of, and the noise floor that they are measured by, where there is one."""

    name: str
    dots: Sequence[Dot]
    floor: float | int | None = None


def dot_plot(
    rows: Sequence[Row], styles: Mapping[str, Style], *, title: str, what: str = "behavior", value: str = "error"
) -> alt.LayerChart | None:
    """A dot and an interval for each value, the noise floor as a line across.

    Args:
        rows: from the top; a dot without a value is left out, and its lane stays free.
        styles: of the series, in the order of their lanes.
        title: of the axis.
        what: tooltips call the rows' names.
        value: tooltips call the values.

    Returns:
        The chart; None without a dot.
    """
    lanes = {key: place for place, key in enumerate(styles)}
    pitch = _HEAD + _LANE * len(lanes) + _GAP
    dots: list[dict[str, Any]] = []
    floors: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        top = index * pitch
        if row.floor is not None:
            ends = {"y": top + _HEAD - 4, "y2": top + pitch - _GAP}
            floors.append({"key": "noise_floor", what: row.name, "noise floor": row.floor} | ends)
        for dot in row.dots:
            if dot.estimate.value is None:
                continue
            low, high = dot.estimate.low, dot.estimate.high
            dots.append(
                {
                    "key": dot.key,
                    "model": dot.series,
                    what: row.name,
                    value: dot.estimate.value,
                    "low": dot.estimate.value if low is None else low,
                    "high": dot.estimate.value if high is None else high,
                    "y": top + _HEAD + _LANE * (lanes[dot.key] + 0.4),
                    "label": dot.label,
                }
            )
    if not dots:
        return None
    ends = [dot[end] for dot in dots for end in (value, "low", "high")]
    axis = extent(ends + [row["noise floor"] for row in floors], log_above=8)
    for dot in dots:
        # Beside the interval on the right, unless it would leave the plot there.
        dot["side"] = "left" if axis.fraction(dot["high"]) > 0.68 else "right"
        dot["at"] = dot["low" if dot["side"] == "left" else "high"]
    height = len(rows) * pitch - _GAP + 6
    y = marks.row_position(height)
    color = marks.colors({**styles, "noise_floor": MODEL_STYLES["noise_floor"]})
    values = marks.rows_of(dots).encode(y=y)
    tooltip = [f"{what}:N", "model:N", *marks.numbers(value, "low", "high")]
    layers = [
        marks.rows_of(floors)
        .mark_rule(strokeWidth=1.5)
        .encode(
            x=marks.value_axis(alt.X, "noise floor", axis, title),
            y=y,
            y2="y2:Q",
            color=color,
            tooltip=[f"{what}:N", *marks.numbers("noise floor")],
        ),
        values.mark_rule(strokeWidth=2, opacity=0.75).encode(
            x=marks.value_axis(alt.X, "low", axis, title), x2="high:Q", color=color
        ),
        values.mark_point(filled=True, opacity=1, size=95, stroke=LIGHT["paper"], strokeWidth=1).encode(
            x=marks.value_axis(alt.X, value, axis, title), color=color, shape=marks.shapes(styles), tooltip=tooltip
        ),
    ]
    placed: tuple[tuple[str, Literal["left", "right"], int], ...] = (("right", "left", 11), ("left", "right", -11))
    for side, align, dx in placed:
        beside = values.transform_filter(f"datum.side == '{side}'")
        beside = beside.encode(x=marks.value_axis(alt.X, "at", axis, title), text="label:N")
        layers += marks.outlined(beside, align=align, dx=dx, color=LIGHT["soft"])
    heads = [{"name": row.name, "y": index * pitch + 9} for index, row in enumerate(rows)]
    names = alt.Chart(alt.InlineData(heads)).encode(x=alt.value(0), y=y, text="name:N")
    layers.append(names.mark_text(align="left", fontSize=13, fontWeight=600, color=LIGHT["ink"], limit=320))
    return marks.finish(layers, height)
