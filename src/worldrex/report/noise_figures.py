"""How much of the plain penalty is the chance of sampling, by the size of the batch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from worldrex.report import marks, numerals
from worldrex.report.diagnoses import number
from worldrex.report.folder import Record
from worldrex.report.palette import LIGHT, MODEL_STYLES
from worldrex.report.scales import Extent
from worldrex.report.tables import Model

_HEIGHT = 260
_POINTS = 40


def share_of_noise(told: Record, compared: Sequence[Model]) -> alt.LayerChart | None:
    """Share of the plain penalty that is noise against the batch, with its interval, and the batch of the fit.

    noise(b) = noise x batch / b;  share(b) = noise(b) / (noise(b) + max(variance, 0)).

    Args:
        told: of each model, by its key: `penalty_noise` of the summary.
        compared: the models.
    """
    known = [model for model in compared if number(told, model.key, "noise")]
    if not known:
        return None
    batch = int(told[known[0].key]["batch"])
    enough = [value for model in known if (value := number(told, model.key, "batch_enough"))]
    low = 2 ** math.floor(math.log2(min([batch, *enough]) / 4))
    high = 2 ** math.ceil(math.log2(4 * max([batch, *enough])))
    points: list[dict[str, Any]] = []
    for model in known:
        part = told[model.key]
        for place in range(_POINTS + 1):
            at = low * (high / low) ** (place / _POINTS)
            shares = {name: numerals.rounded(100 * _share(part, at, name)) for name in ("variance", "high", "low")}
            points.append(
                {
                    "key": model.key,
                    "model": model.name,
                    "batch": round(at),
                    "share": shares["variance"],
                    "low": shares["high"],
                    "high": shares["low"],
                }
            )
    styles = {model.key: MODEL_STYLES[model.key] for model in known}
    axis = Extent(0.0, 104.0)
    ticks = [2**power for power in range(round(math.log2(low)), round(math.log2(high)) + 1)]
    x = alt.X(
        "batch:Q",
        scale=alt.Scale(type="log", base=2, domain=[low, high], nice=False),
        axis=alt.Axis(values=ticks[:: -(-len(ticks) // 8)], format=",d", grid=False, title="records in a batch"),
    )
    color = marks.colors(styles)
    y = marks.value_axis(alt.Y, "share", axis, "share of noise, %")
    base = marks.rows_of_chart().encode(x=x, color=color)
    present = alt.Chart(alt.InlineData([{"batch": batch}])).encode(x=x)
    dots = [
        {
            "key": model.key,
            "model": model.name,
            "batch": batch,
            "share": 100 * _share(told[model.key], batch, "variance"),
        }
        for model in known
    ]
    layers = [
        base.mark_area(opacity=0.13, clip=True).encode(y=marks.value_axis(alt.Y, "low", axis, ""), y2="high:Q"),
        present.mark_rule(color=LIGHT["edge"], strokeWidth=1),
        present.mark_text(baseline="bottom", dy=-4, color=LIGHT["soft"]).encode(
            y=alt.value(0), text=alt.value("batch of this fit")
        ),
        base.mark_line(strokeWidth=2.25).encode(y=y, strokeDash=marks.dashes(styles)),
        base.mark_point(filled=True, size=70, opacity=0).encode(
            y=y, tooltip=["model:N", alt.Tooltip("batch:Q", format=",d"), *marks.numbers("share", "low", "high")]
        ),
        marks.rows_of(dots)
        .mark_point(filled=True, size=85, opacity=1, stroke=LIGHT["paper"], strokeWidth=1)
        .encode(
            x=x, y=y, color=color, shape=marks.shapes(styles), tooltip=["model:N", "batch:Q", *marks.numbers("share")]
        ),
    ]
    return marks.finish(layers, _HEIGHT, points)


def _share(part: Mapping[str, Any], batch: float | int, variance: str) -> float | int:
    noise = part["noise"] * part["batch"] / batch
    return noise / (noise + max(part.get(variance) or 0.0, 0.0))
