"""Training curves out of a run's metrics, thinned to what a screen can show."""

from collections.abc import Sequence
from typing import NamedTuple

from worldrex.report.folder import Record

# Points on the page in all, so that many behaviors do not make it heavy.
_MOST_POINTS = 4000


class TrainingCurves(NamedTuple):
    """One model's held-out risk per behavior, [(step, risk), ...], and the step at which the penalty came on."""

    model: str
    risks: dict[str, list[tuple[int, float]]]
    penalty_on: int | None


def training_curves(metrics: Sequence[Record]) -> tuple[TrainingCurves, ...]:
    """The curves of each fitted model, in the order in which the models were first seen."""
    fits: dict[str, list[Record]] = {}
    for record in metrics:
        if record.get("stage") == "fit" and record.get("holdout_risk"):
            fits.setdefault(str(record.get("model", "model")), []).append(record)
    lines = sum(max(len(record["holdout_risk"]) for record in records) for records in fits.values())
    return tuple(_curves(model, records, max(_MOST_POINTS // lines, 20)) for model, records in fits.items())


def _curves(model: str, records: Sequence[Record], most: int) -> TrainingCurves:
    steps = [record["step"] for record in records]
    on = [record["step"] for record in records if record.get("phase") == "penalized"]
    before = [record["step"] for record in records if record.get("phase") == "unpenalized"]
    kept = set(range(0, len(records), -(-len(records) // most))) | {len(records) - 1}
    risks: dict[str, list[tuple[int, float]]] = {}
    for index in sorted(kept):
        for behavior, risk in records[index]["holdout_risk"].items():
            if risk is not None:
                risks.setdefault(behavior, []).append((steps[index], risk))
    # The switch lies between the last unpenalized step that was logged and the first penalized one.
    return TrainingCurves(model, risks, before[-1] if on and before else None)
