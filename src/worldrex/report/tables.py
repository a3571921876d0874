"""What the page says in numbers: rows of typed cells, with no markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from worldrex.report import numerals
from worldrex.report.folder import Record


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float | int | None
    low: float | int | None = None
    high: float | int | None = None


Cell = str | int | float | Estimate | None


@dataclass(frozen=True)
class Table:
    """A caption, the columns' names and the rows; the first column names its row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Model(NamedTuple):
    """A model that the page compares: its key in the summary, a short name and one that says what it is."""

    key: str
    name: str
    description: str


def models(summary: Record) -> tuple[Model, ...]:
    """The models that the run compares, ERM first; the candidate stands for the chosen one where ERM was chosen."""
    chosen, candidate = summary["chosen"], summary["candidate"]
    estimate = "debiased " if chosen.get("debiased") else ""
    if chosen.get("weight"):
        second = Model("chosen", "chosen", _describe(estimate, chosen))
        first = Model("erm", "ERM", "no penalty")
    else:
        second = Model("penalized", "penalized", _describe(estimate, candidate))
        first = Model("erm", "ERM", "no penalty; chosen" if chosen else "no penalty")
    plain = Model("plain", "plain", "the same weight without debiasing")
    scored = [
        errors for errors in (*summary["unlogged"].values(), *summary["logged"].values(), summary["slope"]) if errors
    ]
    if not scored:
        return (first, second) if candidate.get("weight") else ()
    return tuple(model for model in (first, second, plain) if any(model.key in errors for errors in scored))


def _describe(estimate: str, choice: Record) -> str:
    return f"{estimate}{choice.get('penalty', 'penalty')}, weight {numerals.weight(choice.get('weight'))}"


def estimate(part: Record | None) -> Estimate:
    """The value and interval in a summary's {"value", "low", "high"}."""
    return Estimate(*((part or {}).get(name) for name in ("value", "low", "high")))


def error_of(errors: Record, model: str) -> Estimate:
    """One model's error with its interval from one behavior's part of `unlogged` or `logged`."""
    low, high = (errors.get("intervals") or {}).get(model) or (None, None)
    return Estimate(errors.get(model), low, high)


def noise_floor(errors: Record) -> float | int | None:
    """The noise floor to measure errors by: None where it is not known, or so small that multiples of it say nothing."""
    floor = errors.get("noise_floor")
    scored = [value for name in ("erm", "chosen", "penalized", "plain") if (value := errors.get(name)) is not None]
    return floor if floor and floor >= 1e-3 * min(scored, default=0) else None


def interval(part: Estimate, *, digits: int = 3) -> str:
    """The interval in words, empty where there is none."""
    if part.low is None or part.high is None:
        return ""
    return f"{numerals.number(part.low, digits=digits)} to {numerals.number(part.high, digits=digits)}"


def errors(summary: Record, part: str, caption: str) -> Table | None:
    """Each model's error under each behavior of `part` ("unlogged" or "logged"), beside the noise floor where known."""
    if not summary[part]:
        return None
    compared = models(summary)
    floor = any(of.get("noise_floor") is not None for of in summary[part].values())
    columns = ("behavior", *(model.name for model in compared), *(("noise floor",) if floor else ()))
    rows = tuple(
        (behavior, *(error_of(of, model.key) for model in compared), *((of.get("noise_floor"),) if floor else ()))
        for behavior, of in summary[part].items()
    )
    return Table(caption, columns, rows)


def slopes(summary: Record) -> Table | None:
    """The prediction's slope in the action, for the truth and for each model, with what is wrong with it."""
    slope = summary["slope"]
    if not slope:
        return None
    truth = slope.get("truth")
    rows: list[tuple[Cell, ...]] = [("truth", truth, "")]
    for model in models(summary):
        share = numerals.ratio(slope.get(model.key), truth)
        if share is None:
            remark = ""
        elif share < 0:
            remark = "wrong sign"
        else:
            remark = f"{100 * (share - 1):+.0f} %".replace("-", "−")
        rows.append((model.name, slope.get(model.key), remark))
    return Table(
        f"Slope of the prediction of {slope['output']} in {slope['action']}", ("model", "slope", "off by"), tuple(rows)
    )


def training(curves: Mapping[str, Sequence[tuple[int, float]]], caption: str, *, most_rows: int = 40) -> Table:
    """One model's curves, the steps thinned to about `most_rows`, the last one kept."""
    steps = sorted({step for curve in curves.values() for step, _ in curve})
    kept = steps[:: -(-len(steps) // most_rows) or 1]
    if steps and kept[-1] != steps[-1]:
        kept.append(steps[-1])
    by_step = {name: dict(curve) for name, curve in curves.items()}
    rows = tuple((step, *(by_step[name].get(step) for name in curves)) for step in kept)
    return Table(caption, ("step", *curves), rows)


def behaviors(data: Record) -> Table | None:
    """The behaviors of the data: records, episodes, return of an episode and its spread."""
    groups = [("logged", data.get("behaviors") or []), ("not logged", data.get("unlogged") or [])]
    rows = tuple(
        (
            behavior["name"],
            role,
            behavior.get("records"),
            behavior.get("episodes"),
            behavior.get("episode_return"),
            behavior.get("episode_return_std"),
        )
        for role, listed in groups
        for behavior in listed
    )
    columns = ("behavior", "role", "records", "episodes", "episode return", "standard deviation")
    return Table("Behaviors", columns, rows) if rows else None


def findings(data: Record) -> Table | None:
    """What the check of the data found."""
    rows = tuple(
        (found.get("severity"), found.get("column"), found.get("count"), found.get("message"))
        for found in data.get("findings") or []
    )
    return Table("Findings", ("severity", "column", "count", "finding"), rows) if rows else None


def seconds(summary: Record) -> Table | None:
    """Seconds per stage."""
    rows = tuple((stage, spent) for stage, spent in summary["seconds"].items())
    return Table("Time per stage", ("stage", "seconds"), rows) if rows else None


def settings(value: Record, caption: str) -> Table | None:
    """A nested configuration as rows of dotted names and values."""
    rows = tuple(_flatten(value, ""))
    return Table(caption, ("name", "value"), rows) if rows else None


def _flatten(value: object, name: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        rows = []
        for key, item in value.items():
            rows += _flatten(item, f"{name}.{key}" if name else str(key))
        return rows
    if isinstance(value, list | tuple):
        return [(name, ", ".join("–" if item is None else str(item) for item in value))]
    return [(name, "–" if value is None else str(value))]
