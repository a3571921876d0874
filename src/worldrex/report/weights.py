"""What the comparison of penalties and weights says in numbers."""

from collections.abc import Sequence

from worldrex.report import numerals
from worldrex.report.folder import Record
from worldrex.report.tables import Estimate, Table, estimate, models


def weight_rows(summary: Record) -> list[Record]:
    """What each weight of the candidate's penalty did, ERM's first: all there is where one penalty was compared."""
    rows = summary["selection"].get("weights") or []
    penalty = summary["selection"].get("penalty") or summary["candidate"].get("penalty")
    return [row for row in rows if row.get("penalty", penalty) in (penalty, "none")]


def rows_of_penalties(summary: Record) -> dict[str, list[Record]]:
    """The same of each penalty, in the order in which they are named."""
    rows = summary["selection"].get("weights") or []
    names = dict.fromkeys(row["penalty"] for row in rows if row.get("penalty", "none") != "none")
    return {name: [row for row in rows if row.get("penalty") in (name, "none")] for name in names}


def left_out(summary: Record) -> Table | None:
    """The left-out risk of each weight: the worst and where, the mean, the gain over ERM, and each behavior's."""
    rows = weight_rows(summary)
    if not any(row.get("worst") for row in rows):
        return None
    behaviors = left_out_behaviors(summary)
    columns = ("weight", "worst", "worst behavior", "mean", "gain over ERM", *behaviors)
    cells = tuple(
        (
            numerals.weight(row["weight"]),
            *_worst_mean_gain(row),
            *(estimate((row.get("folds") or {}).get(behavior)) for behavior in behaviors),
        )
        for row in rows
    )
    return Table("Risk on the left-out behavior, by weight", columns, cells)


def penalties(summary: Record) -> Table | None:
    """The left-out risk of each penalty at each weight; None where one penalty was compared."""
    if len(rows_of_penalties(summary)) < 2:
        return None
    cells = tuple(
        (row["penalty"], numerals.weight(row["weight"]), *_worst_mean_gain(row))
        for row in summary["selection"]["weights"]
    )
    columns = ("penalty", "weight", "worst", "worst behavior", "mean", "gain over ERM")
    return Table("Risk on the left-out behavior, by penalty and weight", columns, cells)


def _worst_mean_gain(row: Record) -> tuple[Estimate | str | None, ...]:
    worst = row.get("worst") or {}
    return estimate(worst), worst.get("behavior"), estimate(row.get("mean")), estimate(row.get("gain"))


def left_out_behaviors(summary: Record) -> tuple[str, ...]:
    """The behaviors that were left out, in the order in which the summary names them."""
    return _behaviors(weight_rows(summary), "folds")


def trained_on(summary: Record) -> Table | None:
    """The risk on held-out episodes of each behavior that was trained on, by weight."""
    rows = weight_rows(summary)
    behaviors = _behaviors(rows, "trained")
    if not behaviors:
        return None
    cells = tuple(
        (
            numerals.weight(row["weight"]),
            *(estimate((row.get("trained") or {}).get(behavior)) for behavior in behaviors),
        )
        for row in rows
    )
    return Table("Risk on held-out episodes of the behaviors trained on, by weight", ("weight", *behaviors), cells)


def _behaviors(rows: Sequence[Record], part: str) -> tuple[str, ...]:
    # A dict keeps the order of first sight.
    return tuple(dict.fromkeys(behavior for row in rows for behavior in row.get(part) or {}))


def compared_rows(summary: Record) -> tuple[Record, Record] | None:
    """ERM's row and the candidate's; None where either is missing."""
    rows = weight_rows(summary)
    candidate = summary["candidate"].get("weight")
    pair = [next((row for row in rows if row["weight"] == weight), None) for weight in (0, candidate)]
    return (pair[0], pair[1]) if pair[0] and pair[1] and candidate else None


def folds(summary: Record) -> Table | None:
    """Each left-out behavior: how far it lies from the rest, ERM's risk on it, the penalized one's, and the change."""
    pair = compared_rows(summary)
    behaviors = left_out_behaviors(summary)
    if pair is None or not behaviors:
        return None
    to_rest = {entry["name"]: entry.get("to_rest") for entry in (summary["shift"] or {}).get("behaviors", ())}
    to_rest |= summary["distance"]
    known = any(to_rest.get(behavior) is not None for behavior in behaviors)
    named = {model.key: f"{model.name}, {model.description}" for model in models(summary)}
    second = named.get("chosen") or named.get("penalized") or f"weight {numerals.weight(pair[1]['weight'])}"
    cells = []
    for behavior in behaviors:
        erm, other = (estimate((row.get("folds") or {}).get(behavior)) for row in pair)
        share = numerals.ratio(other.value, erm.value)
        cells.append(
            (
                behavior,
                *((to_rest.get(behavior),) if known else ()),
                erm,
                other,
                None if share is None else 100 * (share - 1),
            )
        )
    distance = ("distance to the rest",) if known else ()
    return Table("Risk on each left-out behavior", ("behavior", *distance, "ERM", second, "change, %"), tuple(cells))
