"""The verdict: did the penalty help, buy nothing or hurt, or can the evidence not tell."""

from dataclasses import dataclass
from typing import Any, Literal

from worldrex.evaluation.selection import LEAST_GAIN, Selection, WeightRow
from worldrex.evaluation.spread import Spread
from worldrex.evaluation.statistics import Estimate

Kind = Literal["helps", "buys nothing", "hurts", "cannot tell"]

# A floor so far below the error is a simulator's rounding: no ratio to it means anything.
LEAST_FLOOR_SHARE = 1e-3
# A penalty can only raise the mean error under the behaviors that are trained on, of a model that does not overfit.
OVERFITTING = 0.01
# In variances of the outputs; 1 is the error of telling the mean of the log.
NOTHING_LEARNED = 0.95


@dataclass(frozen=True)
class Verdict:
    """What the numbers say, in a sentence, and the numbers."""

    kind: Kind
    sentence: str
    evidence: list[str]
    conditions: list[str]
    """Under which the sentence holds."""


def verdict(selection: Selection, unlogged: dict[str, dict[str, Any]]) -> Verdict:
    """Judge a run: first by the left-out behaviors, then by the unlogged ones, which had no part in choosing.

    **Arguments:** the `selection`, and the table of `model_error.score` under unlogged behaviors with the models "erm",
    "chosen" and "penalized" (empty where there are none).

    **Returns:** `Verdict`. "helps" needs a gain on the worst left-out behavior beyond the interval that holds for all
    comparisons at once; that two behaviors left out together do not gainsay it; that ERM does not overfit, so that anything
    that holds it back would help; and, where there are unlogged behaviors,
    a smaller worst error under them, beyond the intervals; a larger one there "hurts". Where even the best penalty
    raises the worst left-out error beyond that interval and by more than 2 %, it "hurts", too.
    """
    left_out = _left_out_evidence(selection)
    if selection.best is None:
        return Verdict(
            "cannot tell",
            "Two behaviors cannot tell whether the penalty helps: leaving one out leaves nothing to compare it with, so the "
            "chosen model is plain ERM.",
            left_out + _unlogged_evidence(unlogged, "penalized"),
            [],
        )
    conditions = _conditions(selection)
    if selection.chosen == 0:
        kind, sentence = _nothing_chosen(selection.best, selection.erm, selection.spread)
        return Verdict(kind, sentence, left_out + _unlogged_evidence(unlogged, "penalized"), conditions)
    evidence = left_out + _unlogged_evidence(unlogged, "chosen")
    kind, sentence = _chosen(selection, selection.best, unlogged)
    return Verdict(kind, sentence, evidence, conditions)


def _chosen(selection: Selection, best: WeightRow, unlogged: dict[str, dict[str, Any]]) -> tuple[Kind, str]:
    claim = f"the worst left-out error falls by {_percent(best.gain.value / selection.erm.worst.value)}"
    pairs = selection.pairs
    if pairs is not None and pairs.gain.high < 0:
        return "cannot tell", (
            f"The evidence is divided: though {claim} at {_named(best)}, with two behaviors left out together it rises from "
            f"{pairs.erm.value:.3g} to {pairs.candidate.value:.3g}."
        )
    if not unlogged and (fall := _fall_where_trained(selection.erm, best)) >= OVERFITTING:
        return "cannot tell", (
            f"The evidence cannot tell whether it is the penalty that helps: {claim} at {_named(best)}, but ERM overfits: the "
            f"error on held-out episodes of the behaviors that are trained on falls, too (by {_percent(fall)}), so anything that "
            "holds ERM back may do the same. Give more records, or compare with --keep best, or fewer --steps."
        )
    if not unlogged:
        return "helps", f"The penalty helps: at {_named(best)} {claim}."
    erm, chosen = _worst(unlogged, "erm"), _worst(unlogged, "chosen")
    errors = f"from {_error(unlogged, 'erm')} to {_error(unlogged, 'chosen')}"
    change = f"the worst error under a policy that nobody logged goes {errors}"
    if chosen[2] < erm[1]:
        return "helps", f"The penalty helps: {change}."
    if chosen[1] > erm[2]:
        return "hurts", f"The penalty hurts: though {claim}, {change}. Use the model without it (models/erm)."
    return "cannot tell", f"The evidence is divided: though {claim}, {change}, within chance."


def _fall_where_trained(erm: WeightRow, best: WeightRow) -> float:
    """The share by which the penalty lowers the mean error on held-out episodes of the behaviors that are trained on."""
    if not erm.trained:
        return 0.0
    before, after = (sum(one.value for one in row.trained.values()) for row in (erm, best))
    return 1 - after / before


def _nothing_chosen(candidate: WeightRow, erm: WeightRow, spread: Spread | None) -> tuple[Kind, str]:
    if spread is not None and spread.risk >= NOTHING_LEARNED:
        return "cannot tell", (
            "The evidence cannot tell whether the penalty helps: ERM itself predicts no better than the mean of the log, even "
            f"under behaviors that it is trained on (error {spread.risk:.2g}). Train longer, then compare again."
        )
    share = candidate.gain.value / erm.worst.value
    if share >= LEAST_GAIN:
        return "cannot tell", (
            f"The evidence cannot tell whether the penalty helps: at {_named(candidate)} the worst left-out error is "
            f"{_percent(share)} smaller, within chance; the chosen model is plain ERM."
        )
    if candidate.gain.high < -LEAST_GAIN * erm.worst.value:
        return "hurts", (
            f"The penalty hurts: even at {_named(candidate)}, the best of those compared, the worst left-out error rises by "
            f"{_percent(-share)}, so the chosen model is plain ERM."
        )
    return "buys nothing", (
        "The penalty buys nothing here: no weight lowers the worst left-out error by "
        f"{_percent(LEAST_GAIN)} or more, so the chosen model is plain ERM."
    )


def _named(row: WeightRow) -> str:
    """As a sentence has it: the penalty is named where it is not the usual one."""
    return f"weight {row.weight:g}" if row.penalty == "variance" else f"weight {row.weight:g} of {row.penalty!r}"


def _left_out_evidence(selection: Selection) -> list[str]:
    erm, best = selection.erm.worst, selection.best
    lines = [
        f"Left out, {erm.behavior!r} is predicted worst by ERM: error {erm.value:.3g} [{erm.low:.3g}, {erm.high:.3g}]."
    ]
    if best is not None:
        worst, gain, compared = best.worst, best.gain, len(selection.weights) - 1
        at_once = f", an interval that holds for all {compared} comparisons at once" if compared > 1 else ""
        lines.append(
            f"At {_named(best)} the worst left-out error is {worst.value:.3g} [{worst.low:.3g}, {worst.high:.3g}] "
            f"({worst.behavior!r}); the gain over ERM is {gain.value:.2g} [{gain.low:.2g}, {gain.high:.2g}]{at_once}."
        )
    if (pairs := selection.pairs) is not None:
        gain = pairs.gain
        lines.append(
            f"With two behaviors left out together ({len(pairs.pairs)} pairs), the worst error goes from {pairs.erm.value:.3g} "
            f"({pairs.erm.behavior!r}) to {pairs.candidate.value:.3g} ({pairs.candidate.behavior!r}); gain {gain.value:.2g} "
            f"[{gain.low:.2g}, {gain.high:.2g}]."
        )
    return lines


def _conditions(selection: Selection) -> list[str]:
    """What must be so for the verdict to hold beyond this log; what can be checked, with what was found."""
    lines = [
        "The new policy sees and does what the log has records of: elsewhere, every model guesses.",
        "The system is the same for all behaviors, and what they saw and the log did not acts on it in the same way.",
    ]
    spread = selection.spread
    equal = "The outcomes are as noisy under each behavior as under the others"
    if spread is None:
        return [*lines, f"{equal}."]
    at = (
        f"the risks of the behaviors trained on differ by {_beyond_chance(spread.erm)} of their mean under ERM, and by "
    )
    at += f"{_beyond_chance(spread.least)} at weight {spread.weight:g}"
    if spread.unequal:
        return [
            *lines,
            f"{equal}. This may not be so here: {at}; no weight evens them out, as where some behaviors work in rougher "
            "conditions. The penalty takes such noise for misfit. If you know each behavior's noise floor, give it with "
            "--baselines: what is above it is then compared.",
        ]
    return [*lines, f"{equal}. Nothing speaks against it, since a large weight evens them out: {at}."]


def _beyond_chance(share: Estimate) -> str:
    return _percent(share.value) if share.value > 0 else f"no more than chance (0 to {_percent(share.high)})"


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
