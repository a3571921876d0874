"""README's picture: the errors under unlogged behaviors of a finished run.

.venv/bin/python benchmarks/picture.py RUN_FOLDER docs/images/unlogged.svg
"""

import sys
from pathlib import Path

import altair as alt
import vl_convert

from worldrex.report import ReportError, read_run
from worldrex.report.figures import errors
from worldrex.report.palette import LIGHT, MODEL_STYLES
from worldrex.report.tables import models
from worldrex.runs import atomic_file

WIDTH = 620


def main() -> None:
    try:
        summary = read_run(Path(sys.argv[1])).summary
    except ReportError as error:
        sys.exit(str(error))
    chart = errors(summary, "unlogged")
    if chart is None:
        sys.exit(f"{sys.argv[1]} has no errors under unlogged behaviors")
    legend = {model.key: f"{model.name}: {model.description}" for model in models(summary)}
    legend["noise_floor"] = "noise floor: the error of the true model"
    layers = []
    for place, (key, text) in enumerate(legend.items()):
        style = MODEL_STYLES[key]
        here = alt.Chart(alt.Data(values=[{"x": 0, "y": place, "text": text}])).encode(
            x=alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, 1])), y=alt.Y("y:O", axis=None)
        )
        if style.shape == "tick":
            layers.append(here.mark_point(shape="stroke", angle=90, size=200, strokeWidth=2, color=style.hex))
        else:
            layers.append(here.mark_point(shape=style.shape, size=90, filled=True, color=style.hex, opacity=1))
        layers.append(here.mark_text(align="left", dx=12, fontSize=13, color=LIGHT["ink"]).encode(text="text:N"))
    key = alt.layer(*layers).properties(width=WIDTH, height=20 * len(legend)).to_dict()
    plot = chart.properties(width=WIDTH).to_dict()
    # What belongs to a page is said of the whole, not of a chart inside it.
    datasets = key.pop("datasets", {}) | plot.pop("datasets", {})
    whole = {"datasets": datasets} | {name: plot.pop(name) for name in ("$schema", "config", "params") if name in plot}
    for inner in (key, plot):
        for name in ("$schema", "config", "autosize", "padding", "background"):
            inner.pop(name, None)
    page = whole | {"vconcat": [key, plot], "background": "white", "padding": 12}
    with atomic_file(sys.argv[2]) as file:
        file.write(vl_convert.vegalite_to_svg(page).encode())


if __name__ == "__main__":
    main()
