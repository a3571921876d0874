"""The page's charts, one function each; a chart is None where the run lacks what it shows.

Colors are those of the light palette, so that a chart exports as it is; the page swaps them for CSS variables. Charts
refer to behaviors and models by short keys (b0, erm), never by a name that a user gave: names are only ever text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from worldrex.report import marks, numerals
from worldrex.report.curves import TrainingCurves
from worldrex.report.diagnoses import largest
from worldrex.report.dot_plot import Dot, Row, dot_plot
from worldrex.report.folder import Record
from worldrex.report.palette import LEFT_OUT_STYLES, LIGHT, MODEL_STYLES, behavior_style, fold_style
from worldrex.report.scales import Extent, extent
from worldrex.report.tables import Estimate, error_of, estimate, models, noise_floor
from worldrex.report.weights import rows_of_penalties, weight_rows

# Of more behaviors than these the worst are drawn; a table beside the figure has them all.
MOST_ROWS = 12


def errors(summary: Record, part: str) -> alt.LayerChart | None:
    """Error under each behavior of `part` ("unlogged" or "logged"), with the noise floor as a line across."""
    compared = models(summary)
    worst = {
        behavior: max((error_of(of, model.key).value or 0.0 for model in compared), default=0.0)
        for behavior, of in summary[part].items()
    }
    rows = []
    for behavior in largest(worst, MOST_ROWS):
        floor = noise_floor(summary[part][behavior])
        dots = []
        for model in compared:
            found = error_of(summary[part][behavior], model.key)
            share = numerals.ratio(found.value, floor)
            label = numerals.number(found.value) + (f" · {numerals.times(share)}" if share else "")
            dots.append(Dot(model.key, f"{model.name} ({model.description})", found, label))
        rows.append(Row(behavior, dots, floor))
    styles = {model.key: MODEL_STYLES[model.key] for model in compared}
    return dot_plot(rows, styles, title="squared error, normalized")


def held_out_risks(risks: Mapping[str, float | int | None]) -> alt.LayerChart | None:
    """Risk of one fitted model on held-out episodes of each behavior."""
    worst = largest({behavior: risk or 0.0 for behavior, risk in risks.items()}, MOST_ROWS)
    rows = [
        Row(behavior, [Dot("fitted", "the fitted model", Estimate(risks[behavior]), numerals.number(risks[behavior]))])
        for behavior in worst
    ]
    return dot_plot(rows, {"fitted": MODEL_STYLES["fitted"]}, title="held-out risk", value="risk")


def worst_of_penalties(summary: Record) -> alt.LayerChart | None:
    """The worst left-out risk against the weight, a line for each penalty; None where one penalty was compared."""
    named = rows_of_penalties(summary)
    if len(named) < 2:
        return None
    weights = sorted({row["weight"] for rows in named.values() for row in rows})
    points = [
        {
            "key": f"p{index}",
            "label": name,
            "behavior": (row.get("worst") or {}).get("behavior"),
            "weight": numerals.weight(row["weight"]),
            "x": weights.index(row["weight"]),
            "risk": worst.value,
            "low": worst.low,
            "high": worst.high,
        }
        for index, (name, rows) in enumerate(named.items())
        for row in sorted(rows, key=lambda row: row["weight"])
        if (worst := estimate(row.get("worst"))).value is not None
    ]
    if not points:
        return None
    axis = extent([point["risk"] for point in points], log_above=30)
    styles = {f"p{index}": behavior_style(index) for index in range(len(named))}
    color = marks.colors(styles)
    base = marks.rows_of(points).encode(
        x=marks.weight_axis([{"weight": weight} for weight in weights]),
        y=marks.value_axis(alt.Y, "risk", axis, "worst risk on a behavior left out"),
        color=color,
    )
    layers = [
        base.mark_line(strokeWidth=2.25).encode(strokeDash=marks.dashes(styles)),
        base.mark_point(filled=True, opacity=1, size=64, stroke=LIGHT["paper"], strokeWidth=1).encode(
            shape=marks.shapes(styles),
            tooltip=[
                alt.Tooltip("label:N", title="penalty"), "weight:N", *marks.numbers("risk", "low", "high"), "behavior:N",
            ],
        ),
    ]  # fmt: skip
    return marks.finish([*layers, *marks.end_labels(points, axis, color)], marks.CURVES_HEIGHT)


def trained_on_risks(summary: Record) -> alt.LayerChart | None:
    """Risk of each behavior trained on, against the weight."""
    rows = weight_rows(summary)
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
    rows = weight_rows(summary)
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
        {"key": keys[name], "behavior": name, "step": step, "risk": numerals.rounded(risk)}
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
    base = marks.rows_of_chart().encode(x=x, y=marks.value_axis(alt.Y, "risk", axis, ""))
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
