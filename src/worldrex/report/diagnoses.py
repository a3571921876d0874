"""What a summary tells of each model under each behavior: which there is, and which of many are drawn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from worldrex.report.folder import Record
from worldrex.report.tables import Model, models

# Of more behaviors than these the worst are drawn; the tables have them all.
MOST_PANELS = 6


class Diagnosed(NamedTuple):
    """One model under one behavior."""

    behavior: str
    logged: bool
    model: Model
    told: Record


def diagnosed(summary: Record) -> list[Diagnosed]:
    """Every model under every behavior, the unlogged ones first."""
    by_key = {model.key: model for model in models(summary)}
    found = [
        Diagnosed(behavior, behavior not in summary["unlogged"], by_key[key], told)
        for behavior, of_models in summary["diagnostics"].items()
        for key, told in of_models.items()
        if key in by_key
    ]
    return sorted(found, key=lambda one: one.logged)


def compared_models(summary: Record) -> list[Model]:
    """The models that were diagnosed."""
    told = {one.model.key for one in diagnosed(summary)}
    return [model for model in models(summary) if model.key in told]


def drawn(summary: Record, *, logged: bool) -> dict[str, list[Diagnosed]]:
    """The behaviors of a kind that are drawn, each with its models: all, or of many those of the largest errors."""
    of_kind: dict[str, list[Diagnosed]] = {}
    for one in diagnosed(summary):
        if one.logged == logged:
            of_kind.setdefault(one.behavior, []).append(one)
    errors = {
        behavior: max((number(one.told, "squared_error", "value") or 0.0 for one in each), default=0.0)
        for behavior, each in of_kind.items()
    }
    return {behavior: of_kind[behavior] for behavior in largest(errors, MOST_PANELS)}


def largest(values: Mapping[str, float | int], most: int) -> list[str]:
    """The names of the `most` largest values, in the order in which they came."""
    kept = sorted(values, key=lambda name: -values[name])[:most]
    return [name for name in values if name in kept]


def number(part: Any, *path: str | int) -> float | int | None:
    """The number at the end of a path through objects and lists; None where any of it is missing."""
    for name in path:
        if isinstance(part, Mapping):
            part = part.get(name)
        elif isinstance(part, Sequence) and isinstance(name, int) and -len(part) <= name < len(part):
            part = part[name]
        else:
            return None
    return part if isinstance(part, int | float) else None


def values_of(part: Any, *path: str) -> list[float | int | None]:
    """The list of numbers at the end of a path; empty where any of it is missing."""
    for name in path:
        part = part.get(name) if isinstance(part, Mapping) else None
    return list(part) if isinstance(part, list) else []
