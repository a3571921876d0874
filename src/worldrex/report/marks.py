"""What the charts have in common: axes, keys as colors, dashes and symbols, labels at the ends of lines, type."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from worldrex.report import numerals
from worldrex.report.folder import Record
from worldrex.report.palette import LIGHT, Style
from worldrex.report.scales import Extent, spread

FONT = "-apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
CURVES_HEIGHT = 320
# The page's legend buttons put keys into this parameter of a chart; they are then left out of it.
SHOWN = "indexof(hidden, datum.key) < 0"
_LABEL_GAP = 16


def rows_of(records: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """A chart of these rows, without the ones that the reader has hidden."""
    return alt.Chart(alt.InlineData(list(records))).transform_filter(SHOWN)


def rows_of_chart() -> alt.Chart:
    """The same of the rows that the whole chart brings (see `finish`): where several layers show them all."""
    return alt.Chart().transform_filter(SHOWN)


def value_axis(channel: type[alt.X] | type[alt.Y], field: str, extent: Extent, title: str) -> Any:
    """A quantitative axis over `extent` with its round values marked."""
    scale = alt.Scale(domain=[extent.low, extent.high], type="log" if extent.log else "linear", nice=False)
    return channel(f"{field}:Q", scale=scale, axis=alt.Axis(values=extent.ticks(), format=".3~g", title=title))


def weight_axis(rows: Sequence[Record]) -> alt.X:
    """The weights side by side in equal steps, so that zero and the powers of ten both have their place."""
    names = [numerals.weight(row["weight"]) for row in rows]
    last = len(names) - 1
    return alt.X(
        "x:Q",
        scale=alt.Scale(domain=[-0.2, last + 0.2], nice=False),
        # These names are numbers that were formatted here, never a user's text.
        axis=alt.Axis(
            values=list(range(len(names))), labelExpr=f"{names}[datum.value]", grid=False, title="weight of the penalty"
        ),
    )


def row_position(height: float | int) -> alt.Y:
    """A vertical position in pixels from the top."""
    return alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False), axis=None)


def colors(styles: Mapping[str, Style]) -> alt.Color:
    """Each key in its color."""
    scale = alt.Scale(domain=list(styles), range=[style.hex for style in styles.values()])
    return alt.Color("key:N", scale=scale, legend=None)


def dashes(styles: Mapping[str, Style]) -> alt.StrokeDash:
    """Each key in its dash."""
    scale = alt.Scale(domain=list(styles), range=[list(style.dash) for style in styles.values()])
    return alt.StrokeDash("key:N", scale=scale, legend=None)


def shapes(styles: Mapping[str, Style]) -> alt.Shape:
    """Each key as its symbol."""
    scale = alt.Scale(domain=list(styles), range=[style.shape for style in styles.values()])
    return alt.Shape("key:N", scale=scale, legend=None)


def numbers(*fields: str) -> list[alt.Tooltip]:
    """Fields of a tooltip with three significant digits."""
    return [alt.Tooltip(f"{field}:Q", format=".3~r") for field in fields]


def end_labels(
    points: Sequence[Mapping[str, Any]],
    extent: Extent,
    color: alt.Color,
    *,
    height: int = CURVES_HEIGHT,
    first: Sequence[str] = (),
    always: bool = False,
) -> list[alt.Chart]:
    """Names beside the last point of each line, moved apart, each joined to its line.

    Args:
        points: rows with key, label, x and risk, in the order of x.
        extent: of the risk.
        color: of the joining lines.
        height: of the plot, pixels.
        first: the keys that keep their names where there is no room for all, the first of them in bold.
        always: keep the names on a narrow screen too, for a chart without a legend.

    Returns:
        Layers; none where there is no room.
    """
    last = {point["key"]: point for point in points}
    placed = _placed(last, extent, height)
    if max((abs(place - extent.fraction(last[key]["risk"])) for key, place in placed.items()), default=0) > 50 / height:
        placed = _placed({key: last[key] for key in first if key in last}, extent, height)
    if not placed:
        return []
    ends = [
        {name: last[key][name] for name in ("key", "label", "x", "risk")} | {"at": extent.value(place)}
        for key, place in placed.items()
    ]
    # On a phone the plot needs the width; there the legend says which line is which.
    chart = rows_of(ends) if always else rows_of(ends).transform_filter("!narrow")
    beside = chart.encode(x=alt.value("width"), y=alt.Y("at:Q"), text="label:N")
    bold = f"datum.key == '{first[0]}'" if first else "false"
    style: dict[str, Any] = {"align": "left", "dx": 5, "color": LIGHT["ink"], "limit": 190}
    return [
        chart.mark_rule(strokeWidth=1, opacity=0.7).encode(
            x="x:Q", x2=alt.value("width"), y=alt.Y("risk:Q"), y2="at:Q", color=color
        ),
        beside.transform_filter(f"!({bold})").mark_text(**style),
        beside.transform_filter(bold).mark_text(fontWeight="bold", **style),
    ]


def _placed(last: Mapping[str, Mapping[str, Any]], extent: Extent, height: int) -> dict[str, float]:
    wanted = [extent.fraction(point["risk"]) for point in last.values()]
    return dict(zip(last, spread(wanted, _LABEL_GAP / height, low=0.0, high=1.0), strict=True))


def outlined(chart: alt.Chart, **style: Any) -> list[alt.Chart]:
    """Text with an outline in the paper's color beneath it, so that no line runs through the letters."""
    outline = {name: value for name, value in style.items() if name != "color"}
    return [
        chart.mark_text(stroke=LIGHT["paper"], strokeWidth=4, strokeJoin="round", **outline),
        chart.mark_text(**style),
    ]


def finish(
    layers: Sequence[alt.Chart],
    height: float | int,
    records: Sequence[Mapping[str, Any]] | None = None,
    *,
    shade: str | None = None,
) -> alt.LayerChart:
    """The layers as one chart as wide as its place, with the page's type and lines.

    Args:
        layers: from the back to the front.
        height: of the plot, pixels.
        records: the rows of those layers that bring none.
        shade: what the colors mean at first, in a chart whose colors the page's switch gives another meaning.

    Returns:
        The chart.
    """
    axis = alt.AxisConfig(
        labelColor=LIGHT["soft"],
        titleColor=LIGHT["soft"],
        gridColor=LIGHT["line"],
        domain=False,
        ticks=False,
        labelFontSize=12,
        titleFontSize=12,
        titleFontWeight="normal",
        labelPadding=7,
        titlePadding=9,
        labelOverlap=True,
    )
    shaded = [] if shade is None else [alt.VariableParameter(name="shade", value=shade)]
    # In one call: each method of a chart would copy all of its rows.
    return alt.LayerChart(
        data=alt.Undefined if records is None else alt.InlineData(list(records)),
        layer=list(layers),
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        params=[
            alt.VariableParameter(name="hidden", value=[]),
            alt.VariableParameter(name="narrow", value=False),
            *shaded,
        ],
        config=alt.Config(
            font=FONT,
            background="transparent",
            padding={"left": 2, "right": 2, "top": 4, "bottom": 2},
            aria=False,
            view=alt.ViewConfig(stroke=None),
            axis=axis,
            text=alt.MarkConfig(fontSize=12),
        ),
    )
