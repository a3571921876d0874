"""What diagnostics, distances and the penalty's noise say in numbers."""

from collections.abc import Sequence

from worldrex.report.diagnoses import Diagnosed, diagnosed, number, values_of
from worldrex.report.folder import Record
from worldrex.report.shift_figures import MOST_IN_MATRIX
from worldrex.report.tables import Cell, Estimate, Model, Table

STEPS = (1, 5, 10, 20, 50)


def calibration(summary: Record) -> Table | None:
    """Coverage, PIT error, sharpness and CRPS of each model under each behavior."""
    rows = tuple(
        (
            *_named(one),
            *(_percent(one.told, "coverage", level) for level in ("50", "90", "95")),
            _percent(one.told, "joint", "coverage", "90"),
            number(one.told, "pit", "error"),
            number(one.told, "sharpness", "value"),
            number(one.told, "crps", "value"),
        )
        for one in diagnosed(summary)
    )
    columns = (
        "behavior", "", "model", "inside 50 %", "inside 90 %", "inside 95 %", "jointly inside 90 %", "PIT error",
        "sharpness", "CRPS",
    )  # fmt: skip
    return Table("Calibration", columns, rows) if rows else None


def open_loop(summary: Record) -> Table | None:
    """Errors after some steps, of the prediction that nothing changes at the last of them, and the coverage there."""
    told = [one for one in diagnosed(summary) if values_of(one.told, "open_loop", "steps")]
    if not told:
        return None
    most = max(len(one.told["open_loop"]["steps"]) for one in told)
    steps = [step for step in (*STEPS, most) if step <= most]
    steps = list(dict.fromkeys(steps))
    rows = tuple(
        (
            *_named(one),
            *(number(one.told, "open_loop", "squared_error", "value", step - 1) for step in steps),
            number(one.told, "open_loop", "persistence", "value", len(one.told["open_loop"]["steps"]) - 1),
            _times_100(number(one.told, "open_loop", "coverage", "90", "value", 0)),
            _times_100(
                number(one.told, "open_loop", "coverage", "90", "value", len(one.told["open_loop"]["steps"]) - 1)
            ),
        )
        for one in told
    )
    columns = (
        "behavior", "", "model", *(f"error at {step}" for step in steps), "nothing changes, at the end",
        "inside 90 %, at 1", "inside 90 %, at the end",
    )  # fmt: skip
    return Table("Errors of sampled trajectories, by steps", columns, rows)


def uncertainty(summary: Record) -> Table | None:
    """Rank correlation of each kind of uncertainty with the error, and the area to the best order."""
    kinds = ("total", "epistemic", "aleatoric")
    rows = tuple(
        (
            *_named(one),
            *(number(one.told, "uncertainty", kind, "rank_correlation") for kind in kinds),
            *(number(one.told, "uncertainty", kind, "area") for kind in kinds),
            number(one.told, "uncertainty", "random_area"),
        )
        for one in diagnosed(summary)
        if one.told.get("uncertainty")
    )
    columns = (
        "behavior", "", "model", *(f"rank correlation, {kind}" for kind in kinds), *(f"area, {kind}" for kind in kinds),
        "area by chance",
    )  # fmt: skip
    return Table("Uncertainty against error", columns, rows) if rows else None


def distances(shift: Record) -> Table | None:
    """Of each behavior its distance from the rest, what chance makes, its nearest, and how well these are told apart."""
    names = [entry["name"] for entry in shift["behaviors"]]
    rows: list[tuple[Cell, ...]] = []
    for place, entry in enumerate(shift["behaviors"]):
        of_row, areas = _row(shift, "distance", place), _row(shift, "area", place)
        others = [(value, other) for other, value in enumerate(of_row) if other != place and value is not None]
        near, nearest = min(others, default=(None, None))
        rows.append(
            (
                f"{place + 1}  {entry['name']}",
                _role(entry["logged"]),
                entry.get("to_rest"),
                of_row[place] if place < len(of_row) else None,
                "–" if nearest is None else names[nearest],
                near,
                areas[nearest] if nearest is not None and nearest < len(areas) else None,
            )
        )
    columns = ("behavior", "", "distance to the rest", "by chance", "nearest", "its distance", "told apart")
    return Table("Distances between behaviors", columns, tuple(rows)) if rows else None


def pairs(shift: Record) -> Table | None:
    """The distance of each pair of behaviors, where they are few."""
    names = [entry["name"] for entry in shift["behaviors"]]
    if not 2 <= len(names) <= MOST_IN_MATRIX or not shift.get("distance"):
        return None
    rows = tuple(
        (f"{place + 1} {name}", *(_row(shift, "distance", place)[: len(names)])) for place, name in enumerate(names)
    )
    numbers = tuple(str(place + 1) for place in range(len(names)))
    return Table("Distance of each pair; on the diagonal what chance makes", ("behavior", *numbers), rows)


def noise(told: Record, compared: Sequence[Model]) -> Table | None:
    """What the plain penalty of a batch consists of, under each model."""
    rows = tuple(
        (
            model.name,
            Estimate(*(number(told, model.key, end) for end in ("variance", "low", "high"))),
            number(told, model.key, "noise"),
            _times_100(number(told, model.key, "share")),
            (told[model.key] or {}).get("batch"),
            (told[model.key] or {}).get("batch_enough") or "none, as far as can be told",
        )
        for model in compared
        if told.get(model.key)
    )
    columns = ("model", "variance of the true risks", "noise in a batch", "noise, %", "batch", "batch that is enough")
    return Table("What the plain penalty of a batch consists of", columns, rows) if rows else None


def _named(one: Diagnosed) -> tuple[Cell, ...]:
    return one.behavior, _role(one.logged), one.model.name


def _role(logged: bool) -> str:
    return "logged" if logged else "not logged"


def _percent(told: Record, *path: str) -> Estimate:
    return Estimate(*(_times_100(number(told, *path, end)) for end in ("value", "low", "high")))


def _times_100(value: float | int | None) -> float | int | None:
    return None if value is None else 100 * value


def _row(shift: Record, part: str, place: int) -> list[float | int | None]:
    rows = shift.get(part) or []
    return list(rows[place]) if place < len(rows) else []
