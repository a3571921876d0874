"""The page's charts, one function each; a chart is None where the run lacks what it shows.

Colors are those of the light palette, so that a chart exports as it is; the page swaps them for CSS variables. Charts
refer to behaviors and models by short keys (b0, erm), never by a name that a user gave: names are only ever text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt

from worldrex.report import marks, numerals
from worldrex.report.curves import TrainingCurves
from worldrex.report.folder import Record
from worldrex.report.palette import LEFT_OUT_STYLES, LIGHT, MODEL_STYLES, behavior_style, fold_style
from worldrex.report.scales import Extent, extent
from worldrex.report.tables import error_of, estimate, models, noise_floor

# One row of the dot plot, pixels: the behavior's name, a lane for each model, the space to the next.
_HEAD, _LANE, _GAP = 24, 21, 16


def unlogged_errors(summary: Record) -> alt.LayerChart | None:
    """Error under each unlogged behavior: a dot and an interval for each model, the noise floor as a line across."""
    compared = models(summary)
    pitch = _HEAD + _LANE * len(compared) + _GAP
    rows: list[dict[str, Any]] = []
    floors: list[dict[str, Any]] = []
    for index, (behavior, errors) in enumerate(summary["unlogged"].items()):
        top, floor = index * pitch, noise_floor(errors)
        if floor is not None:
            ends = {"y": top + _HEAD - 4, "y2": top + pitch - _GAP}
            floors.append({"key": "noise_floor", "behavior": behavior, "noise floor": floor} | ends)
        for place, model in enumerate(compared):
            value, low, high = error_of(errors, model.key)
            if value is not None:
                share = numerals.ratio(value, floor)
                rows.append(
                    {
                        "key": model.key,
                        "model": f"{model.name} ({model.description})",
                        "behavior": behavior,
                        "error": value,
                        "low": value if low is None else low,
                        "high": value if high is None else high,
                        "y": top + _HEAD + _LANE * (place + 0.4),
                        "label": numerals.number(value) + (f" · {numerals.times(share)}" if share else ""),
                    }
                )
    if not rows:
        return None
    ends = [row[end] for row in rows for end in ("error", "low", "high")]
    axis = extent(ends + [row["noise floor"] for row in floors], log_above=8)
    for row in rows:
        # Beside the interval on the right, unless it would leave the plot there.
        row["side"] = "left" if axis.fraction(row["high"]) > 0.68 else "right"
        row["at"] = row["low" if row["side"] == "left" else "high"]
    height = len(summary["unlogged"]) * pitch - _GAP + 6
    y, title = marks.row_position(height), "squared error, normalized"
    styles = {model.key: MODEL_STYLES[model.key] for model in compared}
    color = marks.colors(styles | {"noise_floor": MODEL_STYLES["noise_floor"]})
    values = marks.rows_of(rows).encode(y=y)
    tooltip = ["behavior:N", "model:N", *marks.numbers("error", "low", "high")]
    layers = [
        marks.rows_of(floors)
        .mark_rule(strokeWidth=1.5)
        .encode(
            x=marks.value_axis(alt.X, "noise floor", axis, title),
            y=y,
            y2="y2:Q",
            color=color,
            tooltip=["behavior:N", *marks.numbers("noise floor")],
        ),
        values.mark_rule(strokeWidth=2, opacity=0.75).encode(
            x=marks.value_axis(alt.X, "low", axis, title), x2="high:Q", color=color
        ),
        values.mark_point(filled=True, opacity=1, size=95, stroke=LIGHT["paper"], strokeWidth=1).encode(
            x=marks.value_axis(alt.X, "error", axis, title), color=color, shape=marks.shapes(styles), tooltip=tooltip
        ),
    ]
    placed: tuple[tuple[str, Literal["left", "right"], int], ...] = (("right", "left", 11), ("left", "right", -11))
    for side, align, dx in placed:
        beside = values.transform_filter(f"datum.side == '{side}'")
        beside = beside.encode(x=marks.value_axis(alt.X, "at", axis, title), text="label:N")
        # First a wide outline in the paper's color, so that no line runs through the digits.
        layers.append(beside.mark_text(align=align, dx=dx, stroke=LIGHT["paper"], strokeWidth=4, strokeJoin="round"))
        layers.append(beside.mark_text(align=align, dx=dx, color=LIGHT["soft"]))
    heads = [{"behavior": behavior, "y": index * pitch + 9} for index, behavior in enumerate(summary["unlogged"])]
    names = alt.Chart(alt.InlineData(heads)).encode(x=alt.value(0), y=y, text="behavior:N")
    layers.append(names.mark_text(align="left", fontSize=13, fontWeight=600, color=LIGHT["ink"], limit=320))
    return marks.finish(layers, height)


def trained_on_risks(summary: Record) -> alt.LayerChart | None:
    """Risk of each behavior trained on, against the weight."""
    rows = summary["selection"].get("weights") or []
    series = _by_behavior(rows, "trained")
    points = [
        {"key": key, "label": name, "weight": numerals.weight(row["weight"]), "x": index, "risk": part.value}
        for index, row in enumerate(rows)
        for key, name in series.items()
        if (part := estimate((row.get("trained") or {}).get(name))).value is not None
    ]
    if not points:
        return None
    axis = extent([point["risk"] for point in points], log_above=30)
    styles = {key: behavior_style(index) for index, key in enumerate(series)}
    color = marks.colors(styles)
    base = marks.rows_of(points).encode(
        x=marks.weight_axis(rows), y=marks.value_axis(alt.Y, "risk", axis, "risk on held-out episodes"), color=color
    )
    layers = [
        base.mark_line(strokeWidth=2).encode(strokeDash=marks.dashes(styles)),
        base.mark_point(filled=True, opacity=1, size=64, stroke=LIGHT["paper"], strokeWidth=1).encode(
            shape=marks.shapes(styles),
            tooltip=[alt.Tooltip("label:N", title="behavior"), "weight:N", *marks.numbers("risk")],
        ),
    ]
    return marks.finish([*layers, *marks.end_labels(points, axis, color)], marks.CURVES_HEIGHT)


def left_out_risks(summary: Record) -> alt.LayerChart | None:
    """Risk on the left-out behavior against the weight: the worst with its interval, the mean, and every fold thin."""
    rows = summary["selection"].get("weights") or []
    series = _by_behavior(rows, "folds")
    points = _left_out_points(rows, series)
    if not any(point["key"] == "worst" for point in points):
        return None
    band = [point for point in points if point["key"] == "worst" and "low" in point]
    folds = [point for point in points if point["key"] in series]
    reach = [point["risk"] for point in points] + [point[end] for point in band for end in ("low", "high")]
    axis = extent(reach, log_above=30)
    x, title = marks.weight_axis(rows), "risk on the behavior left out"
    y = marks.value_axis(alt.Y, "risk", axis, title)
    styles = LEFT_OUT_STYLES | {key: fold_style(index) for index, key in enumerate(series)}
    color, dash = marks.colors(styles), marks.dashes(styles)
    tooltip = [alt.Tooltip("what:N", title="risk of"), "weight:N", *marks.numbers("risk", "low", "high")]
    marked = [{"x": index} for index, row in enumerate(rows) if row["weight"] == summary["chosen"].get("weight")]
    mark = alt.Chart(alt.InlineData(marked)).encode(x=x)
    name = mark.mark_text(color=LIGHT["blue"], fontWeight=600, baseline="bottom", dy=-5)
    layers = [
        marks.rows_of(band)
        .mark_area(opacity=0.12, color=LIGHT["ink"])
        .encode(x=x, y=marks.value_axis(alt.Y, "low", axis, title), y2="high:Q"),
        mark.mark_rule(color=LIGHT["blue"], strokeWidth=1.5),
        name.encode(y=alt.value(0), text=alt.value("chosen")),
        marks.rows_of(folds).mark_line(strokeWidth=1).encode(x=x, y=y, color=color, detail="key:N"),
        marks.rows_of(folds)
        .mark_point(filled=True, opacity=1, size=36)
        .encode(x=x, y=y, color=color, shape=marks.shapes(styles), tooltip=tooltip),
    ]
    for key, width, size in (("mean", 1.75, 30), ("worst", 3, 75)):
        base = marks.rows_of([point for point in points if point["key"] == key]).encode(x=x, y=y, color=color)
        layers.append(base.mark_line(strokeWidth=width).encode(strokeDash=dash))
        layers.append(base.mark_point(filled=True, opacity=1, size=size).encode(tooltip=tooltip))
    layers += marks.end_labels(points, axis, color, first=("worst", "mean"))
    return marks.finish(layers, marks.CURVES_HEIGHT)


def _left_out_points(rows: Sequence[Record], series: Mapping[str, str]) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        named = [(key, name, (row.get("folds") or {}).get(name)) for key, name in series.items()]
        named += [("mean", "mean", row.get("mean")), ("worst", "worst", row.get("worst"))]
        for key, name, part in named:
            value, low, high = estimate(part)
            if value is not None:
                what = {"mean": "the mean over folds", "worst": f"the worst fold, {(part or {}).get('behavior', '')}"}
                point = {"key": key, "label": name, "what": what.get(key, name), "x": index, "risk": value}
                point["weight"] = numerals.weight(row["weight"])
                points.append(point if low is None or high is None else point | {"low": low, "high": high})
    return points


def slope(summary: Record) -> alt.LayerChart | None:
    """The action's effect on the prediction as lines of its slope, the truth among them."""
    part = summary["slope"]
    if not part or part.get("truth") is None:
        return None
    named = [("truth", "truth"), *((model.key, model.name) for model in models(summary))]
    shown = [(key, name, part[key]) for key, name in named if part.get(key) is not None]
    limit = 1.08 * max(abs(value) for _, _, value in shown) or 1.0
    points = [
        {"key": key, "label": f"{name} {numerals.number(value)}", "x": x, "risk": value * x, "slope": value}
        for key, name, value in shown
        for x in (-1, 1)
    ]
    styles = {key: MODEL_STYLES[key] for key, _, _ in shown}
    color, axis, height = marks.colors(styles), Extent(-limit, limit), 240
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[-1, 1.1], nice=False),
        axis=alt.Axis(values=[-1, 0, 1], format="d", title=f"change of {part['action']}"),
    )
    y = marks.value_axis(alt.Y, "risk", axis, f"change of {part['output']}, normalized")
    base = marks.rows_of(points).encode(x=x, y=y, color=color, strokeDash=marks.dashes(styles))
    lines = base.mark_line(strokeWidth=2.25).encode(tooltip=[alt.Tooltip("label:N", title="slope")])
    return marks.finish([lines, *marks.end_labels(points, axis, color, height=height, always=True)], height)


def training(curves: TrainingCurves, behaviors: Sequence[str], axis: Extent) -> alt.LayerChart:
    """One model's held-out risk per behavior over the training steps, the switch to the penalized phase marked.

    Args:
        curves: of one model.
        behaviors: all names, in the order that fixes their styles.
        axis: of the risk, shared by the charts that stand beside each other.

    Returns:
        The chart.
    """
    keys = {name: f"b{index}" for index, name in enumerate(behaviors)}
    points = [
        {"key": keys[name], "behavior": name, "step": step, "risk": float(f"{risk:.4g}")}
        for name, curve in curves.risks.items()
        for step, risk in curve
    ]
    styles = {keys[name]: behavior_style(behaviors.index(name)) for name in curves.risks}
    last = max((point["step"] for point in points), default=1)
    x = alt.X(
        "step:Q",
        scale=alt.Scale(domain=[0, last], nice=False),
        axis=alt.Axis(tickCount=3, format=",d", grid=False, title="step"),
    )
    base = alt.Chart().transform_filter(marks.SHOWN).encode(x=x, y=marks.value_axis(alt.Y, "risk", axis, ""))
    # The lines are thin; what answers to the pointer is wider and not seen.
    touch = base.mark_point(filled=True, size=70, opacity=0)
    layers: list[alt.Chart] = [
        base.mark_line(strokeWidth=1.6).encode(color=marks.colors(styles), strokeDash=marks.dashes(styles)),
        touch.encode(tooltip=["behavior:N", alt.Tooltip("step:Q", format=",d"), *marks.numbers("risk")]),
    ]
    if curves.penalty_on is not None:
        mark = alt.Chart(alt.InlineData([{"step": curves.penalty_on}])).encode(x=x)
        layers.append(mark.mark_rule(color=LIGHT["edge"], strokeWidth=1))
        # Above the plot, where no curve crosses it; to the left of the mark where it stands far to the right.
        late = curves.penalty_on > 0.7 * last
        text = mark.mark_text(align="right" if late else "left", baseline="bottom", dy=-4, color=LIGHT["soft"])
        layers.append(text.encode(y=alt.value(0), text=alt.value("penalty on")))
    return marks.finish(layers, 230, points)


def _by_behavior(rows: Sequence[Record], part: str) -> dict[str, str]:
    names = dict.fromkeys(name for row in rows for name in row.get(part) or {})
    return {f"b{index}": name for index, name in enumerate(names)}
