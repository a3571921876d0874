"""The page's figures by themselves, for papers and slides: on light paper, with a legend of their own."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import vl_convert

from worldrex.report.section import Figure, Key, Section

# Wide enough for a text column; the PNG has twice to four times the pixels of a screen.
_WIDTH, _SCALE = 640, 4
# A browser finds the first of the page's fonts that it has; a converter wants one that papers know.
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_CHANNELS = ("color", "strokeDash", "shape")


def named_figures(
    shown: Sequence[Mapping[str, Any]], comparison: Section | None = None
) -> dict[str, tuple[Figure, Sequence[Key]]]:
    """Each figure of the runs that is not folded away, with its keys, under the name of its file.

    Args:
        shown: the parts of each run.
        comparison: the section that compares them, where there are several.

    Returns:
        Names without an ending.
    """
    found = {}
    of_runs = [(parts["name"], section) for parts in shown for section in parts["sections"]]
    for run, section in [("", comparison), *of_runs] if comparison else of_runs:
        for figure in (figure for panels in section.panels if not panels.folded for figure in panels.figures):
            name = figure.name.removeprefix(f"{run}-") if len(shown) == 1 else figure.name
            if figure.title:
                name = name.rstrip("0123456789") + re.sub(r"[^a-z0-9]+", "-", figure.title.lower()).strip("-")
            while name in found:
                name += "-more"
            found[name] = (figure, section.legend)
    return found


def svg_and_png(figure: Figure, keys: Sequence[Key]) -> tuple[bytes, bytes]:
    """A figure as SVG, its text kept as text, and as PNG.

    Args:
        figure: of the page.
        keys: what its legend names.

    Returns:
        The content of both files.
    """
    svg = vl_convert.vegalite_to_svg(light_spec(figure, keys))
    # From the same drawing, so that both look the same.
    return svg.encode(), vl_convert.svg_to_png(svg, scale=_SCALE)


def light_spec(figure: Figure, keys: Sequence[Key]) -> dict[str, Any]:
    """The chart's specification for a file: of a fixed width, on white, with the names of the page's buttons as legend."""
    spec = figure.chart.to_dict(validate=False)
    spec |= {"width": _WIDTH, "background": "white", "padding": 8}
    spec["config"] |= {"font": _FONT, "background": "white", "padding": 8}
    if figure.title:
        spec["title"] = {"text": figure.caption, "anchor": "start", "fontSize": 13}
    if not _labelled(spec, keys):
        names = {key.key: key.name + (f" ({key.description})" if key.description else "") for key in keys}
        _give_legend(spec, names)
    return spec


def _labelled(spec: Mapping[str, Any], keys: Sequence[Key]) -> bool:
    """Whether each key's name already stands beside its line."""
    named = {
        row.get("key")
        for layer in spec["layer"]
        if (layer.get("encoding") or {}).get("text", {}).get("field") == "label"
        for row in _rows(spec, layer)
        if "at" in row and "risk" in row
    }
    return {key.key for key in keys} <= named


def _rows(spec: Mapping[str, Any], layer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    data = layer.get("data") or {}
    return data.get("values") or spec.get("datasets", {}).get(data.get("name"), [])


def _give_legend(spec: dict[str, Any], names: Mapping[str, str]) -> None:
    legend = {
        "title": None,
        "orient": "bottom",
        "direction": "horizontal",
        "columns": 2 if max(map(len, names.values()), default=0) > 24 else 3,
        "labelLimit": 300,
        "labelFontSize": 12,
        "symbolSize": 80,
        "symbolOpacity": 1,
        "symbolStrokeWidth": 2,
        # JSON strings are literals of the expression language, too: a name stays text.
        "labelExpr": f"{json.dumps(names)}[datum.label]",
    }
    for layer in spec["layer"]:
        for channel in _CHANNELS:
            encoded = (layer.get("encoding") or {}).get(channel)
            if isinstance(encoded, dict) and "legend" in encoded and encoded["legend"] is None and "scale" in encoded:
                if channel == "shape" and encoded["field"] == "key":
                    _complete(encoded["scale"], names)
                known = [key for key in names if key in (encoded["scale"] or {}).get("domain", ())]
                encoded["legend"] = legend | {"values": known} if known else None


def _complete(shapes: dict[str, list[str]], names: Mapping[str, str]) -> None:
    """Give a dash to what is no point, so that colors and shapes have one legend together."""
    for key in names:
        if key not in shapes["domain"]:
            shapes["domain"].append(key)
            shapes["range"].append("stroke")
