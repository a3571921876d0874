"""docs/risk.md's picture: what each penalty makes of the risks of two groups, as level sets of the objective.

.venv/bin/python benchmarks/contours.py docs/images/contours.svg
"""

import sys
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import vl_convert

from worldrex import risk
from worldrex.report.palette import LIGHT

SIDE = 158
LEVELS = 14
DEEPEST = 0.85
FAR = 20.0  # below every panel: where a band's outline closes
GAPS = np.linspace(-1, 1, 61)


def moments(first: np.ndarray, second: np.ndarray) -> risk.GroupMoments:
    """Two groups with those risks and no noise in them."""
    mean = np.stack([first, second], axis=-1)
    return risk.GroupMoments(np.ones_like(mean), mean, np.zeros_like(mean))


def blend(share: float) -> str:
    """A color between the paper and blue."""
    ends = [[int(LIGHT[name][i : i + 2], 16) for i in (1, 3, 5)] for name in ("paper", "blue")]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))


def outlines(name: risk.PenaltyName, weight: float, **options: Any) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """For each level, highest first: the level, and the outline of where the objective is below it.

    A penalty on the spread depends on the gap of the two risks alone, so the level's line is where their mean is the
    level less the weighted penalty of the gap.
    """
    penalty = risk.penalty_value(moments(GAPS / 2, -GAPS / 2), name, debiased=False, **options)
    below = np.array([-FAR, -FAR])
    found = []
    for level in np.linspace(0, 1, LEVELS + 1)[1:] * (1.0 + 0.25 * weight**0.5):
        middle = np.concatenate([level - weight * penalty, below])
        gap = np.concatenate([GAPS, GAPS[[-1, 0]]])
        found.append((float(level), middle + gap / 2, middle - gap / 2))
    return found[::-1]


def circles() -> list[tuple[float, np.ndarray, np.ndarray]]:
    """IRM's levels, over the two groups' derivatives from -1 to 1: (d1^2 + d2^2)/2."""
    angle = np.linspace(0, 2 * np.pi, 121)
    levels = np.linspace(0, 1, LEVELS + 1)[1:]
    return [
        (float(level), *(0.5 + np.sqrt(2 * level) * wave(angle) / 2 for wave in (np.cos, np.sin)))
        for level in levels[::-1]
    ]


def panel(title: str, subtitle: str, bands: list, axes: tuple[str, str], *, left: bool, diagonal: bool = True) -> Any:
    ink, soft, edge = LIGHT["ink"], LIGHT["soft"], LIGHT["edge"]

    def axis(name: str, shown: bool, **place: Any) -> alt.Axis:
        return alt.Axis(
            title=name if shown else None,
            values=[],
            titleColor=ink,
            titleFontSize=11.5,
            titleFontWeight="normal",
            titleFont="sans-serif",
            domainColor=edge,
            **place,
        )

    x = alt.X("x:Q", scale=alt.Scale(domain=[0, 1]), axis=axis(axes[0], True, titlePadding=6))
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, 1]), axis=axis(axes[1], left, titlePadding=8))
    corners = [{"x": a, "y": b, "i": i} for i, (a, b) in enumerate(((0, 0), (0, 1), (1, 1), (1, 0)))]
    whole = alt.Chart(alt.Data(values=corners)).mark_line(filled=True, fill=blend(0.03 + DEEPEST), strokeWidth=0)
    layers = [whole.encode(x=x, y=y, order="i:Q")]
    for place, (_, first, second) in enumerate(bands):
        points = [
            {"x": round(float(a), 3), "y": round(float(b), 3), "i": i}
            for i, (a, b) in enumerate(zip(first, second, strict=True))
        ]
        fill = blend(0.03 + DEEPEST * (1 - (place + 1) / len(bands)))
        layers.append(
            alt.Chart(alt.Data(values=points))
            .mark_line(clip=True, filled=True, fill=fill, stroke="white", strokeWidth=0.8, interpolate="linear-closed")
            .encode(x=x, y=y, order="i:Q")
        )
    if diagonal:
        equal = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
        layers.append(
            alt.Chart(alt.Data(values=equal))
            .mark_line(color=LIGHT["vermillion"], strokeWidth=1.6, strokeDash=[5, 4])
            .encode(x=x, y=y)
        )
    else:
        layers.append(
            alt.Chart(alt.Data(values=[{"x": 0.5, "y": 0.5}]))
            .mark_point(shape="cross", filled=True, size=46, color=LIGHT["vermillion"], opacity=1)
            .encode(x=x, y=y)
        )
    title_of = alt.TitleParams(
        title,
        subtitle=subtitle,
        anchor="start",
        frame="group",
        fontSize=13,
        color=ink,
        subtitleColor=soft,
        subtitleFontSize=11,
        offset=7,
        subtitlePadding=3,
    )
    return alt.layer(*layers).properties(width=SIDE, height=SIDE, title=title_of)


def picture() -> alt.HConcatChart | alt.VConcatChart:
    risks = ("risk of group 1", "risk of group 2")
    slopes = ("derivative of group 1", "derivative of group 2")
    tilted = risk.group_dro.State(np.log(np.array([0.3, 0.7])))
    panels: list[tuple[str, str, list]] = [
        ("none (ERM)", "the mean risk alone", outlines("none", 0.0)),
        ("variance, weight 2", "gives way as risks come close", outlines("variance", 2.0)),
        ("variance, weight 20", "keeps risks near the diagonal", outlines("variance", 20.0)),
        ("group_dro", "a plane that turns: q = 0.3, 0.7", outlines("group_dro", 1.0, state=tilted)),
        ("worst, weight 1", "= std, mad, cvar: the larger risk", outlines("worst", 1.0)),
        ("worst, weight 3", "= std, mad, cvar: beyond it", outlines("worst", 3.0)),
        ("quantile 0.75", "between the mean and the worst", outlines("quantile", 1.0, alpha=0.75)),
        ("irm", "on derivatives, from -1 to 1", circles()),
    ]
    rows = []
    for start in (0, 4):
        row = [
            panel(title, subtitle, bands, slopes if title == "irm" else risks, left=place % 4 == 0,
                  diagonal=title != "irm")
            for place, (title, subtitle, bands) in enumerate(panels[start : start + 4])
        ]  # fmt: skip
        rows.append(alt.hconcat(*row, spacing=22))
    return alt.vconcat(*rows, spacing=20)


def main() -> None:
    chart = (
        picture()
        .configure_view(stroke=LIGHT["line"])
        .configure(background=LIGHT["paper"], padding=14, font="sans-serif")
    )
    Path(sys.argv[1]).write_text(vl_convert.vegalite_to_svg(chart.to_dict()))


if __name__ == "__main__":
    main()
