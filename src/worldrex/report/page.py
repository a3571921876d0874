"""Run folders as one HTML page that needs nothing but itself."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vl_convert
from markupsafe import Markup

from worldrex.report import numerals, tables
from worldrex.report.comparison import comparison_of, names_of
from worldrex.report.folder import Run
from worldrex.report.palette import DARK, LIGHT, MODEL_STYLES, with_variables
from worldrex.report.parts import parts_of, title_of
from worldrex.templates import environment

_HERE = Path(__file__).parent


def render_page(runs: Sequence[Run]) -> str:
    """The page as text."""
    filters = {"number": numerals.number, "duration": numerals.duration, "interval": tables.interval}
    made = environment(_HERE, filters)
    made.tests["estimate"] = lambda cell: isinstance(cell, tables.Estimate)
    shown = [parts_of(run, f"run{index}") for index, run in enumerate(runs, start=1)]
    compared = comparison_of(runs) if len(runs) > 1 else None
    sections = [section for parts in shown for section in parts["sections"]] + ([compared] if compared else [])
    charts = {
        figure.name: with_variables(figure.chart.to_dict(validate=False))
        for section in sections
        for figure in section.figures
    }
    return made.get_template("page.html.j2").render(
        title=title_of(runs),
        names=names_of(runs),
        runs=shown,
        comparison=compared,
        light=LIGHT,
        dark=DARK,
        styles=MODEL_STYLES,
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        javascript=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        vega=Markup(_vega() if charts else ""),
        charts=script_json(charts),
    )


@functools.cache
def _vega() -> str:
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # In a script element only these two would end it or change how it is read; to JavaScript the backslash is nothing.
    return bundle.replace("</script", r"<\/script").replace("<!--", r"<\!--")


def script_json(value: Any) -> Markup:
    """`value` as JSON that stays inside a script element whatever the strings in it are."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
