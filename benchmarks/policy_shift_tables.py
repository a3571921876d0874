"""The Markdown tables of benchmarks/policy_shift.py, from what it has measured."""

from collections.abc import Sequence
from typing import Any

import numpy as np

LEANS = "leans with the gust"


def print_table(task: str, found: dict[str, Any], rows: Sequence[tuple[str, float]], seeds: Sequence[int]) -> None:
    """A row for each method and its weight: its errors under each kind of behavior, and its slope."""
    errors = found.get("selection", {}).get("errors", {})
    print(f"\n**{task}**: {found['records']:,} records of each behavior\n")
    slope = f"slope of {found['moved']} (true {found['true_slope']:.3g})"
    heads = ("weight", *(f"{part}, {of}" for part in ("logged", "left out", "unlogged") for of in ("mean", "worst")))
    print(f"| | {' | '.join(heads)} | {LEANS} | {slope} |")
    print(f"|{'---|' * (len(heads) + 3)}")
    for name, weight in rows:
        fits = [fit for fit in fits_of(found, name, weight) if fit["seed"] in seeds]
        cells: dict[str, list[float]] = {}
        for part in ("logged", "unlogged"):
            cells[f"{part}, mean"] = [float(np.mean(list(fit[part].values()))) for fit in fits]
            cells[f"{part}, worst"] = [max(fit[part].values()) for fit in fits]
        if of_behaviors := errors.get(name, {}).get(f"{weight:g}"):
            cells["left out, mean"] = np.mean(list(of_behaviors.values()), 0).tolist()
            cells["left out, worst"] = worst_left_out(of_behaviors)
        shown = [across(cells[head]) if head in cells else "" for head in heads[1:]]
        shown += [across([fit["unlogged"][LEANS] for fit in fits]), across([fit["slope"] for fit in fits])]
        print(f"| {name} | {weight:g} | {' | '.join(shown)} |")


def print_picked(found: dict[str, Any], picked: tuple[str, float], seeds: Sequence[int]) -> None:
    """What leaving behaviors out picks, the least worst risks, and what the choice costs under behaviors that nobody logged."""
    name, weight = picked
    print(f"\nLeaving behaviors out picks {name} at {weight:g}. The least worst risks, in variances of the outputs:")
    for row in sorted(found["selection"]["rows"], key=lambda row: row["worst"]["value"])[:3]:
        worst, mean = row["worst"], row["mean"]["value"]
        span = f"{worst['value']:.3g} [{worst['low']:.3g}, {worst['high']:.3g}]"
        print(f"- {row['penalty']} at {row['weight']:g}: {span}, mean over the folds {mean:.3g}")
    print("\n| | picked | ERM | best of all that were trained |\n|---|---|---|---|")
    of = {
        (one["name"], one["weight"]): [
            fit for fit in fits_of(found, one["name"], one["weight"]) if fit["seed"] in seeds
        ]
        for one in found["fits"]
    }
    # What has been trained with fewer of the seeds would be compared by chance.
    of = {key: fits for key, fits in of.items() if len(fits) == len(seeds)}
    for head, error in (
        (LEANS, lambda fit: fit["unlogged"][LEANS]),
        ("worst", lambda fit: max(fit["unlogged"].values())),
    ):
        errors = {key: [error(fit) for fit in fits] for key, fits in of.items()}
        best = min(errors, key=lambda key: np.mean(errors[key]))
        cells = [across(errors[key]) for key in (picked, ("ERM", 0.0), best)]
        print(f"| {head} | {' | '.join(cells)} ({best[0]} at {best[1]:g}) |")


def worst_left_out(errors: dict[str, list[float]]) -> list[float]:
    """Of each seed the error under the behavior that is worst over all seeds, from the errors of each behavior."""
    return max(errors.values(), key=lambda of_seeds: float(np.mean(of_seeds)))


def fits_of(found: dict[str, Any], name: str, weight: float) -> list[dict[str, Any]]:
    return [fit for fit in found["fits"] if fit["name"] == name and fit["weight"] == weight]


def across(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3g} [{min(values):.3g}, {max(values):.3g}]"
