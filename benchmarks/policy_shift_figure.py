"""The figure of benchmarks/policy_shift.py: every penalty on every gusty task, and what debiasing does at each batch size.

    .venv/bin/python benchmarks/policy_shift_figure.py docs/images/policy_shift.svg [--runs runs/policy_shift]

Errors under the behavior that leans with the gust, which nobody logged: mean over the seeds, and their range; each penalty at the
weight that leaving the gusty pendulum's behaviors out gives it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import vl_convert
from policy_shift import METHODS
from policy_shift_tables import LEANS, fits_of

from worldrex import tasks
from worldrex.report.palette import LIGHT
from worldrex.runs import atomic_file

COLORS = {"ERM": LIGHT["vermillion"], "V-REx, plain": LIGHT["slate"], "V-REx, debiased": LIGHT["blue"]}
FLOOR = {"type": "rule", "color": LIGHT["edge"], "strokeDash": [3, 3]}
ENSEMBLE = {
    "type": "point",
    "shape": "diamond",
    "size": 110,
    "filled": True,
    "fill": "white",
    "stroke": LIGHT["blue"],
    "opacity": 1,
}
ENSEMBLE_TEXT = {"type": "text", "align": "left", "dx": 11, "dy": 1, "fontSize": 12, "color": LIGHT["blue"]}
RANGE = {"type": "rule", "strokeWidth": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/policy_shift"))
    arguments = parser.parse_args()
    of_tasks = {name: arguments.runs / f"{name}.json" for name in tasks.names() if name.startswith("gusty")}
    found = {name: json.loads(path.read_text()) for name, path in of_tasks.items() if path.exists()}
    batches = of_batch_sizes(arguments.runs, "condition-*.json")
    if len(found) < len(of_tasks) or not batches:
        sys.exit(
            f"{arguments.runs} has {len(found)} of {len(of_tasks)} gusty tasks and {len(batches)} batch sizes: run "
            "`benchmarks/policy_shift.py` on gusty-pendulum, on the others with --weights-of gusty-pendulum, and "
            "`benchmarks/policy_shift_conditions.py`, first."
        )
    weights = found["gusty-pendulum"]["selection"]["weights"]
    panels = [of_task(name, one, weights, labels=i == 0) for i, (name, one) in enumerate(found.items())]
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json", "background": "white", "spacing": 26,
        "padding": {"left": 34, "right": 14, "top": 14, "bottom": 14},
        "title": {
            "text": "Errors of models of the log under a policy that nobody logged, as multiples of the noise floor",
            "subtitle": "1 is a perfect model. This policy leans with the hidden gust; those that logged steered against it.",
            "anchor": "start", "fontSize": 16, "subtitleFontSize": 13, "offset": 14,
        },
        "vconcat": [
            {"hconcat": panels, "spacing": 18},
            of_batches(batches, of_batch_sizes(arguments.runs, "members-7-condition-*.json")),
        ],
        "resolve": {"scale": {"color": "independent"}},
        "config": {"view": {"stroke": None}, "axis": {"labelFontSize": 12, "titleFontSize": 12, "grid": False}},
    }  # fmt: skip
    with atomic_file(arguments.file) as file:
        file.write(vl_convert.vegalite_to_svg(chart).encode())


def of_batch_sizes(runs: Path, pattern: str) -> list[dict[str, Any]]:
    """What was measured with other batch sizes alone."""
    found = [json.loads(path.read_text()) for path in sorted(runs.glob(pattern))]
    return [one for one in found if one["name"].startswith(("as the task is", "batch"))]


def of_task(name: str, found: dict[str, Any], weights: dict[str, float], *, labels: bool) -> dict[str, Any]:
    """A dot and a range for each penalty at its weight."""
    fits = {method.name: fits_of(found, method.name, weights[method.name]) for method in METHODS}
    values: list[dict[str, Any]] = [
        {"method": method} | span([fit["unlogged"][LEANS] for fit in own]) for method, own in fits.items()
    ]
    named = {method: color for method, color in COLORS.items() if method != "V-REx, plain"}
    tests = [{"test": f"datum.method === {json.dumps(m)}", "value": color} for m, color in named.items()]
    y = {
        "field": "method", "type": "nominal", "sort": [method.name for method in METHODS],
        "axis": {"title": None, "labels": labels, "ticks": False, "domain": False, "labelLimit": 200},
    }  # fmt: skip
    most = max(value["high"] for value in values)
    scale = {"domain": [0.9, 1.05 * most], "zero": False, "nice": False}
    x = {"type": "quantitative", "scale": scale, "axis": {"title": "x noise floor", "tickCount": 4}}
    both = {"y": y, "color": {"condition": tests, "value": COLORS["V-REx, plain"]}}
    return {
        "title": {"text": name, "fontSize": 13}, "width": 190, "height": {"step": 24}, "data": {"values": values},
        "layer": [
            {"mark": FLOOR, "encoding": {"x": x | {"datum": 1}}},
            {"mark": RANGE, "encoding": both | {"x": x | {"field": "low"}, "x2": {"field": "high"}}},
            {"mark": {"type": "circle", "size": 90, "opacity": 1}, "encoding": both | {"x": x | {"field": "error"}}},
        ],
    }  # fmt: skip


def of_batches(found: Sequence[dict[str, Any]], ensembles: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Three lines over the batch size; beside them the debiased penalty's ensembles."""
    names = dict(zip(("ERM", "plain", "debiased"), COLORS, strict=True))
    values = [
        {"model": names[model], "batch": one["batch"]} | span(columns[LEANS])
        for one in found
        for model, columns in one["models"].items()
    ]
    beside = [
        {"batch": one["batch"], "said": "an ensemble of 7", **span(one["models"]["debiased"][LEANS])}
        for one in ensembles
    ]
    x = {
        "field": "batch", "type": "quantitative", "scale": {"type": "log", "base": 2},
        "axis": {
            "title": "records in a mini-batch (weight 100, 4 behaviors)", "values": sorted({v["batch"] for v in values}),
        },
    }  # fmt: skip
    ticks = [1, 1.5, 2, 3, 4, 6]
    scale = {"type": "log", "domain": [0.95, 1.05 * max(value["high"] for value in values)], "nice": False}
    y = {"type": "quantitative", "scale": scale, "axis": {"title": "x noise floor", "values": ticks, "format": "~r"}}
    colors = {"domain": list(COLORS), "range": list(COLORS.values())}
    color = {"field": "model", "type": "nominal", "scale": colors, "legend": {"title": None, "labelFontSize": 12}}
    at = {"x": x, "y": y | {"field": "error"}}
    line = {"type": "line", "point": {"size": 70, "opacity": 1}, "strokeWidth": 2}
    return {
        "title": {"text": "gusty-pendulum: what taking the sampling noise out of the penalty does", "anchor": "start"},
        "width": 560, "height": 190, "data": {"values": values},
        "layer": [
            {"mark": FLOOR, "encoding": {"y": y | {"datum": 1}}},
            {"mark": line, "encoding": {"x": x, "y": y | {"field": "error"}, "color": color}},
            {"mark": RANGE, "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": color}},
            {"data": {"values": beside}, "mark": ENSEMBLE, "encoding": at},
            {"data": {"values": beside}, "mark": ENSEMBLE_TEXT, "encoding": at | {"text": {"field": "said"}}},
        ],
    }  # fmt: skip


def span(values: Sequence[float]) -> dict[str, float]:
    """Mean and range over the seeds."""
    return {"error": float(np.mean(values)), "low": min(values), "high": max(values)}


if __name__ == "__main__":
    main()
