"""The tables of a run, for a terminal of 80 columns."""

from typing import Any

from rich.table import Table
from rich.text import Text

from worldrex.evaluation import Estimate, Selection

_MODELS = {"erm": "ERM", "penalized": "penalized", "plain": "plain penalty", "chosen": "chosen"}


def weights_table(selection: Selection) -> Table:
    """Left-out risks by weight: the worst, which chooses, and the mean beside it."""
    table = _table("weight", "worst left-out", "whose", "mean", "gain on the worst")
    for row in selection.weights:
        chosen = row.weight == selection.chosen
        table.add_row(
            f"{row.weight:g}{' <' if chosen else '  '}",
            _with_interval(row.worst),
            Text(row.worst.behavior, overflow="ellipsis", no_wrap=True),
            f"{row.mean.value:.3g}",
            "" if row.weight == 0 else _with_interval(row.gain),
            style="bold" if chosen else "",
        )
    return table


def unlogged_table(summary: dict[str, Any], *, title: str) -> Table:
    """Error of each model under each behavior, beside the noise floor, and as a multiple of it."""
    rows: dict[str, dict[str, Any]] = summary["unlogged"]
    models = [name for name in _MODELS if any(name in entry for entry in rows.values())]
    table = _table(title, *(_MODELS[name] for name in models), "floor")
    for behavior, entry in rows.items():
        floor = entry["noise_floor"]
        cells = []
        for name in models:
            ratio = f" ({entry[name] / floor:.2f}x)" if floor and floor > 1e-3 * entry[name] else ""
            cells.append(f"{entry[name]:.3g}{ratio}")
        table.add_row(
            Text(behavior, overflow="ellipsis", no_wrap=True), *cells, "" if floor is None else f"{floor:.3g}"
        )
    slope = summary.get("slope")
    if slope:
        what = Text(f"slope of {slope['output']} in {slope['action']}", overflow="ellipsis", no_wrap=True)
        table.add_section()
        table.add_row(what, *(f"{slope[name]:.3f}" for name in models), f"{slope['truth']:.3f}")
    return table


def score_table(scores: dict[str, dict[str, Any]]) -> Table:
    """One model's error, likelihood and coverage under each behavior."""
    table = _table("error under", "squared error", "NLL", "95 % interval covers")
    for behavior, entry in scores.items():
        low, high = entry["intervals"]["model"]
        table.add_row(
            Text(behavior, overflow="ellipsis", no_wrap=True),
            f"{entry['model']:.3g} [{low:.3g}, {high:.3g}]",
            f"{entry['nll']['model']:.3f}",
            f"{100 * entry['coverage']['model']:.1f} %",
        )
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="left" if column == "whose" else "right")
    return table


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
