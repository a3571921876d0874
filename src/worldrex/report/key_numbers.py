"""The few quantities that a run's verdict rests on."""

from typing import NamedTuple

from worldrex.report import numerals
from worldrex.report.folder import Record
from worldrex.report.tables import Model, estimate, interval, models, noise_floor
from worldrex.report.weights import weight_rows


class KeyNumber(NamedTuple):
    """What the verdict rests on: one quantity for two models."""

    quantity: str
    values: tuple[tuple[Model, str], ...]
    note: str


def key_numbers(summary: Record) -> tuple[KeyNumber, ...]:
    """The few quantities that the verdict rests on."""
    compared = [model for model in models(summary) if model.key != "plain"]
    found = []
    if summary["unlogged"]:
        known = all(noise_floor(part) for part in summary["unlogged"].values())
        worst = {}
        for model in compared:
            errors = [
                (numerals.ratio(part.get(model.key), noise_floor(part)) if known else part.get(model.key), behavior)
                for behavior, part in summary["unlogged"].items()
            ]
            worst[model] = max(((error, name) for error, name in errors if error is not None), default=(None, ""))
        places = {name for _, name in worst.values() if name}
        where = (
            "; ".join(f"{model.name}: {name}" for model, (_, name) in worst.items())
            if len(places) > 1
            else "".join(places)
        )
        values = tuple(
            (model, (numerals.times if known else numerals.number)(error)) for model, (error, _) in worst.items()
        )
        unit = "in multiples of the noise floor" if known else "normalized"
        found.append(KeyNumber(f"Squared error under the worst unlogged behavior, {unit}", values, where))
    rows = weight_rows(summary)
    candidate = summary["candidate"].get("weight")
    shown = [
        (model, row) for model in compared for row in rows if row["weight"] == (candidate if model.key != "erm" else 0)
    ]
    if len(shown) > 1:
        values = tuple((model, numerals.number(estimate(row.get("worst")).value)) for model, row in shown)
        gain = estimate(shown[-1][1].get("gain"))
        note = "" if gain.value is None else f"gain {numerals.number(gain.value, digits=2)}"
        if note and (reach := interval(gain, digits=2)):
            note += f" ({reach})"
        found.append(KeyNumber("Risk on the worst left-out behavior, no truth needed", values, note))
    if slope := summary["slope"]:
        values = tuple((model, numerals.number(slope.get(model.key), digits=2)) for model in compared)
        quantity = f"Slope of the prediction of {slope['output']} in {slope['action']}"
        found.append(KeyNumber(quantity, values, f"truth {numerals.number(slope.get('truth'), digits=2)}"))
    if told := [(model, summary["policy"][model.key]) for model in compared if model.key in summary["policy"]]:
        real = summary["returns"].get("env") is not None
        values = tuple(
            (model, numerals.number(estimate(row.get("mean" if real else "promised")).value)) for model, row in told
        )
        simulator, best = (
            estimate(summary["policy"].get(name, {}).get("mean")).value for name in ("simulator", "best_behavior")
        )
        note = "; ".join(
            f"{what} {numerals.number(value)}"
            for what, value in (("learned in the simulator itself", simulator), ("best logged behavior", best))
            if value is not None
        )
        quantity = (
            "Mean return of the policy out of the model" if real else "Return that the model promises of its policy"
        )
        found.append(KeyNumber(quantity, values, note))
    return tuple(found)
