"""The tables of a run, for a terminal of 80 columns."""

from typing import Any

from rich.table import Table
from rich.text import Text

from worldrex.evaluation import Estimate, Selection
from worldrex.terminal import printable

WEIGHTS_CAPTION = (
    "Squared error on the behavior left out, in variances of the outputs; [95 % interval], of the gains for all at once; < "
    "marks the choice."
)
FOLDS_CAPTION = "Distance of what a behavior sees and does from what all others do, in standard deviations."
SCORES_CAPTION = (
    "In normalized units: squared error [95 % interval], negative log-likelihood in nats, CRPS, and the share of truths in "
    "the central 50, 90 and 95 % intervals."
)
HORIZONS_CAPTION = (
    "Squared error of sampled trajectories after so many steps along the logged actions (the last where episodes are "
    "shorter), how often their 90 % interval holds the truth there, and the rank correlation of uncertainty and error."
)
_STEPS = (1, 10, 50)
_MODELS = {"erm": "ERM", "penalized": "penalized", "plain": "plain penalty"}


def weights_table(selection: Selection) -> Table:
    """Left-out risks by weight: the worst, which chooses, and, where there is room, the mean; also by penalty if several."""
    several = len({row.penalty for row in selection.weights[1:]}) > 1
    heads = ["penalty", "weight"] if several else ["weight"]
    table = number_table(*heads, "worst left-out", "gain over ERM", *([] if several else ["mean"]))
    table.add_column("worst is")
    for row in selection.weights:
        chosen = row.weight == selection.chosen and row.penalty in (selection.penalty, "none")
        penalty = ["ERM" if row.penalty == "none" else row.penalty] if several else []
        table.add_row(
            *penalty,
            f"{row.weight:g}{' <' if chosen else ''}",
            _with_interval(row.worst),
            "" if row.weight == 0 else _with_interval(row.gain),
            *([] if several else [f"{row.mean.value:.3g}"]),
            name_cell(row.worst.behavior),
            style="bold" if chosen else "",
        )
    return table


def folds_table(selection: Selection, distance: dict[str, float]) -> Table:
    """Each behavior left out: how far it is from the rest, and its risk under ERM and at the best weight."""
    best = selection.best
    several = len({row.penalty for row in selection.weights[1:]}) > 1
    heads = [f"{best.penalty if several else 'weight'} {best.weight:g}"] if best else []
    table = number_table("left out", "distance to the rest", "ERM", *heads)
    for behavior, erm in selection.erm.folds.items():
        penalized = [_with_interval(best.folds[behavior])] if best else []
        table.add_row(name_cell(behavior), f"{distance[behavior]:.2f}", _with_interval(erm), *penalized)
    return table


def unlogged_caption(summary: dict[str, Any]) -> str:
    """What the numbers of `unlogged_table` are."""
    rows = summary["unlogged"]
    multiples = _all_have_floor(rows)
    unit = "as multiples of the noise floor" if multiples else "in variances of the outputs"
    caption = f"Squared error under policies that nobody logged, {unit}; < marks the chosen model."
    if multiples and any(entry["erm"] < 0.9 * entry["noise_floor"] for entry in rows.values()):
        caption += (
            " Where a policy's actions follow the hidden disturbance as the log's did, a model that takes the one for the "
            "other falls below 1."
        )
    return caption


def unlogged_table(summary: dict[str, Any]) -> Table:
    """Error of each model under each behavior: as a multiple of the noise floor where all have one."""
    rows: dict[str, dict[str, Any]] = summary["unlogged"]
    multiples = _all_have_floor(rows)
    models = [name for name in _MODELS if any(name in entry for entry in rows.values())]
    chosen = "penalized" if summary["chosen"]["weight"] else "erm"
    floor_columns = ["noise floor"] if any(entry["noise_floor"] is not None for entry in rows.values()) else []
    heads = [f"{_MODELS[name]}{' <' if name == chosen else ''}" for name in models]
    table = number_table("behavior", *heads, *floor_columns)

    def add(what: str, values: list[str], last: str) -> None:
        table.add_row(name_cell(what), *values, *([last] if floor_columns else []))

    for behavior, entry in rows.items():
        floor = entry["noise_floor"]
        errors = [f"{entry[name] / floor:.2f} x" if multiples else f"{entry[name]:.3g}" for name in models]
        add(behavior, errors, "" if floor is None else f"{floor:.3g}")
    slope = summary.get("slope")
    if slope:
        what = f"slope of {slope['output']} in {slope['action']}"
        add(what, [f"{slope[name]:.3f}" for name in models], f"{slope['truth']:.3f} true")
    return table


def score_table(scores: dict[str, dict[str, Any]]) -> Table:
    """One model's error, likelihood, CRPS and coverage under each behavior."""
    table = number_table("behavior", "squared error", "NLL", "CRPS", "50/90/95 % covers")
    for behavior, entry in scores.items():
        told = entry["diagnostics"]["model"]
        low, high = entry["intervals"]["model"]
        covers = "/".join(f"{100 * told['coverage'][level]['value']:.0f}" for level in ("50", "90", "95"))
        table.add_row(
            name_cell(behavior),
            f"{entry['model']:.3g} [{low:.3g}, {high:.3g}]",
            f"{entry['nll']['model']:.3f}",
            f"{told['crps']['value']:.3g}",
            f"{covers} %",
        )
    return table


def horizons_table(scores: dict[str, dict[str, Any]]) -> Table:
    """One model's open-loop errors and their coverage, and what its uncertainty tells, under each behavior."""
    table = number_table("behavior", "error after steps", "90 % covers", "rank corr.")
    for behavior, entry in scores.items():
        told = entry["diagnostics"]["model"]
        rolled = told["open_loop"]
        last = len(rolled["steps"])
        steps = sorted({min(step, last) for step in _STEPS})
        errors = ", ".join(f"{step}: {rolled['squared_error']['value'][step - 1]:.3g}" for step in steps)
        table.add_row(
            name_cell(behavior),
            errors,
            f"{100 * rolled['coverage']['90']['value'][-1]:.0f} %",
            f"{told['uncertainty']['total']['rank_correlation']:.2f}",
        )
    return table


def number_table(first: str, *numbers: str) -> Table:
    """A table whose names give way where the terminal is narrow; numbers are never cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def name_cell(text: str) -> Text:
    """A name that is cut where the terminal is narrow."""
    return Text(printable(text), no_wrap=True, overflow="ellipsis")


def _all_have_floor(rows: dict[str, dict[str, Any]]) -> bool:
    """Whether each behavior has a noise floor that is not a simulator's rounding."""
    return all(entry["noise_floor"] and entry["noise_floor"] > 1e-3 * entry["erm"] for entry in rows.values())


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
