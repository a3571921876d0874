"""Charts of what diagnostics tell: calibration, errors after many steps, uncertainty against error."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from worldrex.report import marks, numerals
from worldrex.report.diagnoses import Diagnosed, number, values_of
from worldrex.report.folder import Record
from worldrex.report.palette import LEVEL_STYLES, LIGHT, MODEL_STYLES
from worldrex.report.scales import Extent, extent
from worldrex.report.tables import Model

PANEL_HEIGHT = 150
LEVELS = ("50", "90", "95")
# One row of the coverage plot, pixels.
_HEAD, _LANE, _GAP = 22, 17, 12


def pit(histograms: Mapping[str, Sequence[float | int]], compared: Sequence[Model], top: float | int) -> alt.LayerChart:
    """PIT histograms of the models over each other, with the uniform one.

    Args:
        histograms: shares of the bins, by the model's key.
        compared: the models.
        top: of the axis, shared by the charts that stand beside each other.
    """
    names = {model.key: model.name for model in compared}
    styles = {key: MODEL_STYLES[key] for key in histograms}
    points: list[dict[str, Any]] = []
    bins: list[dict[str, Any]] = []
    for key, shares in histograms.items():
        width = 1 / len(shares)
        for place, share in enumerate(shares):
            shown = {"key": key, "model": names[key], "x": round(place * width, 4), "share": round(share, 4)}
            points.append(shown)
            bins.append(shown | {"x2": round((place + 1) * width, 4)})
        points.append(points[-1] | {"x": 1})
    axis = Extent(0.0, top)
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(values=[0, 0.5, 1], format="~g", grid=False, title=None),
    )
    y, color = marks.value_axis(alt.Y, "share", axis, ""), marks.colors(styles)
    base = marks.rows_of(points).encode(x=x, y=y, color=color)
    uniform = alt.Chart(alt.InlineData([{"share": 1 / max(map(len, histograms.values()))}])).encode(y=y)
    layers = [
        base.mark_area(interpolate="step-after", opacity=0.14).encode(y2=alt.Y2Datum(0)),
        uniform.mark_rule(color=LIGHT["ink"], strokeWidth=1, strokeDash=[4, 3]),
        base.mark_line(interpolate="step-after", strokeWidth=2).encode(strokeDash=marks.dashes(styles)),
        marks.rows_of(bins)
        .mark_rect(opacity=0)
        .encode(
            x=x, x2="x2:Q", y=alt.value(0), y2=alt.value("height"), tooltip=["model:N", *marks.numbers("x", "share")]
        ),
    ]
    return marks.finish(layers, PANEL_HEIGHT)


def coverage(told: Mapping[str, Sequence[Diagnosed]], compared: Sequence[Model]) -> alt.LayerChart | None:
    """How often the truth lies in the central 50, 90 and 95 % interval: symbols beside the lines where they belong."""
    lanes = {model.key: place for place, model in enumerate(compared)}
    pitch = _HEAD + _LANE * len(lanes) + _GAP
    rows, heads = [], []
    for index, (behavior, each) in enumerate(told.items()):
        top = index * pitch
        heads.append({"name": behavior + ("" if each[0].logged else "  (not logged)"), "y": top + 9})
        for one in each:
            for level in LEVELS:
                covered = number(one.told, "coverage", level, "value")
                if covered is None:
                    continue
                row = {"key": one.model.key, "level": f"c{level}", "behavior": behavior, "model": one.model.name}
                row |= {"interval": f"{level} %", "covered": 100 * covered, "wanted": int(level)}
                row |= {end: 100 * (number(one.told, "coverage", level, end) or covered) for end in ("low", "high")}
                rows.append(row | {"y": top + _HEAD + _LANE * (lanes[one.model.key] + 0.4)})
    if not rows:
        return None
    height = len(heads) * pitch - _GAP + 6
    y, styles = marks.row_position(height), {model.key: MODEL_STYLES[model.key] for model in compared}
    least = max(min(min(row["low"], row["covered"]) for row in rows) - 4, 0)
    x = alt.X(
        "covered:Q",
        scale=alt.Scale(domain=[min(least, 42), 101], nice=False),
        axis=alt.Axis(
            values=[int(level) for level in LEVELS],
            title="← too sure  ·  truths inside the interval, %  ·  too cautious →",
            grid=False,
        ),
    )
    color = marks.colors(styles)
    lines = alt.Chart(alt.InlineData([{"covered": int(level)} for level in LEVELS])).encode(x=x)
    base = marks.rows_of(rows).transform_filter("indexof(hidden, datum.level) < 0").encode(y=y, color=color)
    symbols = alt.Scale(domain=list(LEVEL_STYLES), range=[style.shape for style in LEVEL_STYLES.values()])
    names = alt.Chart(alt.InlineData(heads)).encode(x=alt.value(0), y=y, text="name:N")
    layers = [
        lines.mark_rule(color=LIGHT["edge"], strokeWidth=1),
        base.mark_rule(strokeWidth=2, opacity=0.45).encode(x=x, x2="wanted:Q"),
        base.mark_point(filled=True, opacity=1, size=80, stroke=LIGHT["paper"], strokeWidth=1).encode(
            x=x,
            shape=alt.Shape("level:N", scale=symbols, legend=None),
            tooltip=["behavior:N", "model:N", "interval:N", *marks.numbers("covered", "low", "high")],
        ),
        *marks.outlined(names, align="left", fontSize=13, fontWeight=600, color=LIGHT["ink"], limit=320),
    ]
    return marks.finish(layers, height)


def open_loop_axis(shown: Sequence[Diagnosed]) -> Extent:
    """An axis for the errors of all of these, and of the prediction that nothing changes."""
    ends = [
        values_of(one.told, "open_loop", part, "value") for one in shown for part in ("squared_error", "persistence")
    ]
    return extent([value for values in ends for value in values if value], log_above=8)


def open_loop_errors(each: Sequence[Diagnosed], axis: Extent) -> alt.LayerChart:
    """Errors of sampled trajectories over the steps, with the prediction that nothing changes."""
    lines: dict[str, tuple[str, Record]] = {
        one.model.key: (one.model.name, one.told["open_loop"]["squared_error"]) for one in each
    }
    lines["persistence"] = ("nothing changes", each[0].told["open_loop"]["persistence"])
    return _over_steps(lines, each[0].told["open_loop"]["steps"], axis, "error")


def open_loop_coverage(each: Sequence[Diagnosed]) -> alt.LayerChart:
    """How often the trajectories' 90 % interval holds the truth, over the steps."""
    lines = {one.model.key: (one.model.name, _percent(one.told["open_loop"]["coverage"]["90"])) for one in each}
    return _over_steps(lines, each[0].told["open_loop"]["steps"], Extent(0.0, 104.0), "covered", wanted=90)


def _percent(part: Record) -> Record:
    return {name: [None if value is None else 100 * value for value in values] for name, values in part.items()}


def _over_steps(
    lines: Mapping[str, tuple[str, Record]],
    steps: Sequence[int],
    axis: Extent,
    what: str,
    wanted: float | int | None = None,
) -> alt.LayerChart:
    points: list[dict[str, Any]] = []
    for key, (name, part) in lines.items():
        for place, step in enumerate(steps):
            value, low, high = (number(part, end, place) for end in ("value", "low", "high"))
            if value is None or (axis.log and value <= 0):
                continue
            point = {"key": key, "model": name, "step": step, what: numerals.rounded(value)}
            if low is not None and high is not None and key != "persistence":
                floor = axis.low if axis.log else low
                point |= {"low": numerals.rounded(max(low, floor)), "high": numerals.rounded(high)}
            points.append(point)
    styles = {key: MODEL_STYLES[key] for key in lines}
    x = alt.X(
        "step:Q",
        scale=alt.Scale(domain=[1, max(steps)] if max(steps) > 1 else [0, 2], nice=False),
        axis=alt.Axis(tickCount=4, format="d", grid=False, title=None),
    )
    y, color = marks.value_axis(alt.Y, what, axis, ""), marks.colors(styles)
    base = marks.rows_of_chart().encode(x=x, color=color)
    layers = [
        base.mark_area(opacity=0.13, clip=True)
        .transform_filter("isValid(datum.low)")
        .encode(y=marks.value_axis(alt.Y, "low", axis, ""), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y, strokeDash=marks.dashes(styles)),
        base.mark_point(filled=True, size=70, opacity=0).encode(
            y=y, tooltip=["model:N", "step:Q", *marks.numbers(what, "low", "high")]
        ),
    ]
    if wanted is not None:
        line = alt.Chart(alt.InlineData([{what: wanted}])).encode(y=y)
        layers.insert(0, line.mark_rule(color=LIGHT["ink"], strokeWidth=1, strokeDash=[4, 3]))
    return marks.finish(layers, PANEL_HEIGHT, points)


def sparsification(each: Sequence[Diagnosed], top: float | int) -> alt.LayerChart:
    """Mean error that remains as the most uncertain records are taken away, the best order thin beneath."""
    points = [
        {"key": key, "model": name, "line": line, "x": numerals.rounded(100 * x), "share": numerals.rounded(share)}
        for one in each
        for key, name, line, shares in (
            (
                "oracle",
                f"best order, {one.model.name}",
                f"o{one.model.key}",
                values_of(one.told, "uncertainty", "oracle"),
            ),
            (one.model.key, one.model.name, one.model.key, values_of(one.told, "uncertainty", "total", "curve")),
        )
        for x, share in zip(values_of(one.told, "uncertainty", "removed"), shares, strict=False)
        if x is not None and share is not None
    ]
    styles = {key: MODEL_STYLES[key] for key in ("oracle", *(one.model.key for one in each))}
    x = alt.X(
        "x:Q", scale=alt.Scale(domain=[0, 100], nice=False), axis=alt.Axis(values=[0, 50, 100], grid=False, title=None)
    )
    y = marks.value_axis(alt.Y, "share", Extent(0.0, top), "")
    base = marks.rows_of_chart().encode(x=x, y=y, color=marks.colors(styles), detail="line:N")
    chance = alt.Chart(alt.InlineData([{"share": 1}])).encode(y=y)
    layers = [
        chance.mark_rule(color=LIGHT["ink"], strokeWidth=1, strokeDash=[4, 3]),
        base.mark_line(clip=True).encode(
            strokeDash=marks.dashes(styles),
            strokeWidth=alt.condition("datum.key == 'oracle'", alt.value(1.25), alt.value(2.25)),
        ),
        base.mark_point(filled=True, size=70, opacity=0, clip=True).encode(
            tooltip=["model:N", alt.Tooltip("x:Q", title="removed, %", format=".0f"), *marks.numbers("share")]
        ),
    ]
    return marks.finish(layers, PANEL_HEIGHT, points)
