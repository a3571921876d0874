"""The verdict: did the penalty help, buy nothing or hurt, or can the evidence not tell."""

from dataclasses import dataclass
from typing import Any, Literal

from worldrex.evaluation.selection import LEAST_GAIN, Selection, WeightRow

Kind = Literal["helps", "buys nothing", "hurts", "cannot tell"]

# A floor so far below the error is a simulator's rounding: no ratio to it means anything.
LEAST_FLOOR_SHARE = 1e-3


@dataclass(frozen=True)
class Verdict:
    """What the numbers say, in a sentence, and the numbers."""

    kind: Kind
    sentence: str
    evidence: list[str]


def verdict(selection: Selection, unlogged: dict[str, dict[str, Any]]) -> Verdict:
    """Judge a run: first by the left-out behaviors, then by the unlogged ones, which had no part in choosing.

    **Arguments:** the `selection`, and the table of `model_error.score` under unlogged behaviors with the models "erm",
    "chosen" and "penalized" (empty where there are none).

    **Returns:** `Verdict`. "helps" needs a gain on the worst left-out behavior and, where there are unlogged behaviors,
    a smaller worst error under them, beyond the intervals; a larger one there "hurts".
    """
    left_out = _left_out_evidence(selection)
    rows = {row.weight: row for row in selection.weights}
    if selection.candidate is None:
        return Verdict(
            "cannot tell",
            "Two behaviors cannot tell whether the penalty helps: leaving one out leaves nothing to compare it with, so the "
            "chosen model is plain ERM.",
            left_out + _unlogged_evidence(unlogged, "penalized"),
        )
    if selection.chosen == 0:
        return _nothing_chosen(rows[selection.candidate], rows[0.0], left_out, unlogged)
    evidence = left_out + _unlogged_evidence(unlogged, "chosen")
    claim = f"the worst left-out error falls by {_percent(rows[selection.chosen].gain.value / rows[0.0].worst.value)}"
    if not unlogged:
        return Verdict("helps", f"The penalty helps: at weight {selection.chosen:g} {claim}.", evidence)
    erm, chosen = _worst(unlogged, "erm"), _worst(unlogged, "chosen")
    errors = f"from {_error(unlogged, 'erm')} to {_error(unlogged, 'chosen')}"
    change = f"the worst error under a policy that nobody logged goes {errors}"
    if chosen[2] < erm[1]:
        return Verdict("helps", f"The penalty helps: {change}.", evidence)
    if chosen[1] > erm[2]:
        return Verdict(
            "hurts", f"The penalty hurts: though {claim}, {change}. Use the model without it (models/erm).", evidence
        )
    return Verdict("cannot tell", f"The evidence is divided: though {claim}, {change}, within chance.", evidence)


def _nothing_chosen(
    candidate: WeightRow, erm: WeightRow, evidence: list[str], unlogged: dict[str, dict[str, Any]]
) -> Verdict:
    evidence = evidence + _unlogged_evidence(unlogged, "penalized")
    if candidate.gain.value >= LEAST_GAIN * erm.worst.value:
        return Verdict(
            "cannot tell",
            f"The evidence cannot tell whether the penalty helps: at weight {candidate.weight:g} the worst left-out error is "
            f"{_percent(candidate.gain.value / erm.worst.value)} smaller, within chance; the chosen model is plain ERM.",
            evidence,
        )
    return Verdict(
        "buys nothing",
        "The penalty buys nothing here: no weight lowers the worst left-out error by "
        f"{_percent(LEAST_GAIN)} or more, so the chosen model is plain ERM.",
        evidence,
    )


def _left_out_evidence(selection: Selection) -> list[str]:
    erm = selection.weights[0].worst
    lines = [
        f"Left out, {erm.behavior!r} is predicted worst by ERM: error {erm.value:.3g} [{erm.low:.3g}, {erm.high:.3g}]."
    ]
    for row in selection.weights:
        if row.weight == selection.candidate:
            worst, gain = row.worst, row.gain
            lines.append(
                f"At weight {row.weight:g} the worst left-out error is {worst.value:.3g} [{worst.low:.3g}, {worst.high:.3g}] "
                f"({worst.behavior!r}); the gain over ERM is {gain.value:.2g} [{gain.low:.2g}, {gain.high:.2g}]."
            )
    return lines


def _unlogged_evidence(unlogged: dict[str, dict[str, Any]], model: str) -> list[str]:
    lines = []
    for behavior, entry in unlogged.items():
        if model not in entry:
            continue
        name = "the chosen model's" if model == "chosen" else "the penalized model's"
        floor = entry["noise_floor"]
        unit = ""
        errors = entry["erm"], entry[model]
        if _has_floor(entry):
            unit, errors = " times the noise floor", (errors[0] / floor, errors[1] / floor)
        lines.append(f"Under {behavior!r}, ERM's error is {errors[0]:.3g} and {name} {errors[1]:.3g}{unit}.")
    return lines


def _has_floor(entry: dict[str, Any]) -> bool:
    floor = entry["noise_floor"]
    return floor is not None and floor > LEAST_FLOOR_SHARE * entry["erm"]


def _worst(unlogged: dict[str, dict[str, Any]], model: str) -> tuple[float, float, float]:
    """A model's largest error over the behaviors, with its interval; over the noise floor where that is known."""
    relative = all(_has_floor(entry) for entry in unlogged.values())
    return max(
        tuple(x / (entry["noise_floor"] if relative else 1.0) for x in (entry[model], *entry["intervals"][model]))
        for entry in unlogged.values()
    )


def _error(unlogged: dict[str, dict[str, Any]], model: str) -> str:
    value = _worst(unlogged, model)[0]
    relative = all(_has_floor(entry) for entry in unlogged.values())
    return f"{value:.2f} times the noise floor" if relative else f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
