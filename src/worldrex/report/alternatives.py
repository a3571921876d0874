"""What a figure shows, in a sentence or two: for screen readers and under the figure."""

from collections.abc import Sequence

from worldrex.report.curves import TrainingCurves
from worldrex.report.folder import Record
from worldrex.report.numerals import number, weight
from worldrex.report.tables import Estimate, Table, error_of, estimate, models, noise_floor
from worldrex.report.weights import rows_of_penalties, weight_rows


def rows_in_words(table: Table) -> str:
    """Each row as its name and its values: for small tables only."""
    return " ".join(
        f"{row[0]}: "
        + ", ".join(
            f"{column} {number(cell.value if isinstance(cell, Estimate) else cell)}"
            for column, cell in zip(table.columns[1:], row[1:], strict=True)
            if not isinstance(cell, str)
        )
        + "."
        for row in table.rows
    )


def coming_together(summary: Record) -> str:
    """How far apart the behaviors' risks are without the penalty and at the weight chosen, or else the best one."""
    ends = _trained_ranges(summary)
    said = [f"between {number(low)} and {number(high)} at weight {weight(at)}" for at, low, high in ends]
    return f"The risks lie {' and '.join(said)}." if said else ""


def come_together(summary: Record) -> bool:
    """Whether the behaviors' risks are clearly nearer to each other at that weight than without the penalty."""
    ends = _trained_ranges(summary)
    return len(ends) == 2 and ends[1][2] - ends[1][1] < 0.7 * (ends[0][2] - ends[0][1])


def _trained_ranges(summary: Record) -> list[tuple[float, float, float]]:
    """(weight, least risk, largest risk) of the first weight and of the chosen one, or else the candidate."""
    rows = weight_rows(summary)
    wanted = summary["chosen"].get("weight") or summary["candidate"].get("weight")
    ranges = []
    for row in (*rows[:1], *(row for row in rows[1:] if row["weight"] == wanted)):
        parts = (estimate(part).value for part in (row.get("trained") or {}).values())
        if risks := [value for value in parts if value is not None]:
            ranges.append((row["weight"], min(risks), max(risks)))
    return ranges


def worst_and_mean(summary: Record) -> str:
    """Where the worst and the mean left-out risk are least."""
    rows = weight_rows(summary)
    said = []
    for part, name in (("worst", "worst"), ("mean", "mean")):
        risks = [(value, row["weight"]) for row in rows if (value := estimate(row.get(part)).value) is not None]
        if risks:
            least, at = min(risks)
            said.append(f"the {name} left-out risk is least at weight {weight(at)} ({number(least)})")
    return (" and ".join(said)[:1].upper() + " and ".join(said)[1:] + ".") if said else ""


def best_of_penalties(summary: Record) -> str:
    """The least of the worst left-out risks of each penalty."""
    said = []
    for name, rows in rows_of_penalties(summary).items():
        risks = [
            (value, row["weight"])
            for row in rows
            if row["weight"] and (value := estimate(row.get("worst")).value) is not None
        ]
        if risks:
            said.append(f"{name} {number(min(risks)[0])} at weight {weight(min(risks)[1])}")
    return f"The least of the worst risks: {names_in_words(said)}." if said else ""


def below_floor(summary: Record) -> str:
    """A note where a model's error is clearly below the noise floor of a behavior."""
    found = [
        f"{model.name} under {behavior}"
        for behavior, errors in summary["unlogged"].items()
        for model in models(summary)
        if (floor := noise_floor(errors)) and (error_of(errors, model.key).value or floor) < 0.9 * floor
    ]
    if not found:
        return ""
    return (
        f"Below the floor: {names_in_words(found)}. There the action follows the hidden disturbance as it did in the "
        "log, so that a model that confuses the two predicts well. Such a model does not know what the action does."
    )


def ends_of(curves: TrainingCurves) -> str:
    """Where one model's training curves end."""
    ends = [curve[-1] for curve in curves.risks.values() if curve]
    if not ends:
        return "No step was logged."
    risks = [risk for _, risk in ends]
    switch = "" if curves.penalty_on is None else f" The penalty came on at step {curves.penalty_on:,}."
    return f"Held-out risks end between {number(min(risks))} and {number(max(risks))} at step {ends[0][0]:,}.{switch}"


def names_in_words(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
