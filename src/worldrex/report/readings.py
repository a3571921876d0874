"""What this run shows, in a sentence or two for each part of the evidence."""

from collections.abc import Mapping, Sequence

from worldrex.report.alternatives import names_in_words
from worldrex.report.diagnoses import compared_models, diagnosed, number, values_of
from worldrex.report.folder import Record
from worldrex.report.numerals import number as said
from worldrex.report.numerals import weight as said_weight
from worldrex.report.tables import Estimate, estimate, models
from worldrex.report.weights import compared_rows, weight_rows

# The 90 % intervals that still count as right, in percent.
_SURE, _CAUTIOUS = 85.0, 95.0


def left_out(summary: Record) -> str:
    """Whether the penalty pays where it should: on the behaviors that are hard for ERM."""
    pair = compared_rows(summary)
    if pair is None:
        return ""
    changes = {
        behavior: (part, other)
        for behavior in pair[0].get("folds") or {}
        if (part := estimate(pair[0]["folds"][behavior]).value) is not None
        and (other := estimate((pair[1].get("folds") or {}).get(behavior)).value) is not None
    }
    if not changes:
        return ""
    hardest = max(changes, key=lambda behavior: changes[behavior][0])
    erm, other = changes[hardest]
    better = sum(after < before for before, after in changes.values())
    to_rest = {entry["name"]: entry.get("to_rest") for entry in (summary["shift"] or {}).get("behaviors", ())}
    known = {name: distance for name in changes if (distance := to_rest.get(name)) is not None}
    far = ""
    if len(known) == len(changes) > 1:
        farthest = max(known, key=lambda name: known[name])
        far = (
            " It is also the one that lies farthest from the rest."
            if farthest == hardest
            else f" The one that lies farthest from the rest is “{farthest}”."
        )
    return (
        f"The hardest for ERM is “{hardest}”: {said(erm)}, and {said(other)} at weight {said_weight(pair[1]['weight'])}. The "
        f"penalized model is better on {better} of {len(changes)}.{far}"
    )


def spread(summary: Record) -> str:
    """How far apart the risks stay that a large weight should make even; the verdict's conditions tell what follows."""
    part = summary["selection"].get("spread")
    if not part:
        return ""
    shares = [estimate(part.get(name)).value for name in ("erm", "least")]
    if None in shares:
        return ""
    erm, least = (said(100 * share, digits=2) for share in shares if share is not None)
    at = said_weight(part.get("weight"))
    return f"Beyond chance, they spread by {erm} % of their mean without the penalty, and by {least} % at weight {at}."


def pairs(summary: Record) -> str:
    """What leaving two behaviors out at once says of the candidate."""
    part = summary["selection"].get("pairs")
    if not part:
        return ""
    erm, candidate, gain = (part.get(name) or {} for name in ("erm", "candidate", "gain"))
    return (
        f"With two behaviors left out at once ({len(part.get('pairs') or ())} pairs), the worst risk is "
        f"{_with_interval(erm)} without the penalty and {_with_interval(candidate)} with it: a gain of {_with_interval(gain)}."
    )


def _with_interval(part: Record) -> str:
    found: Estimate = estimate(part)
    reach = "" if found.low is None or found.high is None else f" ({said(found.low)} to {said(found.high)})"
    return said(found.value) + reach


def calibration(summary: Record) -> str:
    """How often each model's 90 % intervals hold the truth, under unlogged against logged behaviors."""
    sentences = []
    for model in compared_models(summary):
        reaches, judgments = [], []
        for logged in (False, True):
            covered = [
                100 * value
                for one in diagnosed(summary)
                if one.model.key == model.key and one.logged == logged
                if (value := number(one.told, "coverage", "90", "value")) is not None
            ]
            if covered:
                where = "logged behaviors" if logged else "unlogged behaviors"
                truths = "" if reaches else " of the truths"
                least, most = (f"{end(covered):.0f}" for end in (min, max))
                reaches.append(f"{least if least == most else f'{least} to {most}'} %{truths} under {where}")
                off = [(_SURE - min(covered), "too sure of itself"), (max(covered) - _CAUTIOUS, "too cautious")]
                judgments += [(how_far, f"{what} under {where}") for how_far, what in off if how_far > 0]
        if reaches:
            judged = max(judgments, default=(0, "well calibrated"))[1]
            sentences.append(f"The 90 % intervals of {model.name} hold {' and '.join(reaches)}: {judged}.")
    return " ".join(sentences)


def open_loop(summary: Record) -> str:
    """Where the errors end under the behavior that is worst, beside the prediction that nothing changes."""
    unlogged = [one for one in diagnosed(summary) if not one.logged] or diagnosed(summary)
    last = {
        (one.behavior, one.model.name): tuple(
            (values_of(one.told, "open_loop", part, "value") or [None])[-1] for part in ("squared_error", "persistence")
        )
        for one in unlogged
    }
    known = {place: (error, same) for place, (error, same) in last.items() if error is not None and same is not None}
    if not known:
        return ""
    behavior = max(known, key=lambda place: known[place][0])[0]
    of_it = {model: ends for (name, model), ends in known.items() if name == behavior}
    errors = names_in_words([f"{said(error)} for {model}" for model, (error, _) in of_it.items()])
    steps = max(len(values_of(one.told, "open_loop", "steps")) for one in unlogged if one.behavior == behavior)
    lost = [model for model, (error, same) in of_it.items() if error > same]
    note = f": {names_in_words(lost)} would do better to say nothing" if lost else ""
    return (
        f"The largest error after {steps} steps is under “{behavior}”: {errors}, where the prediction that nothing changes has "
        f"{said(next(same for _, same in of_it.values()))}{note}."
    )


def uncertainty(summary: Record) -> str:
    """Which kind of uncertainty finds the errors best, and how well."""
    unlogged = [one for one in diagnosed(summary) if not one.logged] or diagnosed(summary)
    sentences = []
    for model in compared_models(summary):
        areas = {
            kind: [number(one.told, "uncertainty", kind, "area") for one in unlogged if one.model.key == model.key]
            for kind in ("total", "epistemic", "aleatoric")
        }
        known = {kind: sum(filter(None, of)) / len(of) for kind, of in areas.items() if of and None not in of}
        chance = [number(one.told, "uncertainty", "random_area") for one in unlogged if one.model.key == model.key]
        if known and None not in chance:
            best = min(known, key=lambda kind: known[kind])
            by_chance = sum(filter(None, chance)) / len(chance)
            sentences.append(
                f"For {model.name} the {best} uncertainty finds the errors best: the area between its order and the best one is "
                f"{said(known[best], digits=2)}, by chance {said(by_chance, digits=2)}."
            )
    return " ".join(sentences)


def shift(part: Record) -> str:
    """Whether a model is asked for what the log has not seen."""
    known = [(entry["to_rest"], entry) for entry in part["behaviors"] if entry.get("to_rest") is not None]
    logged = [distance for distance, entry in known if entry["logged"]]
    others = [(distance, entry["name"]) for distance, entry in known if not entry["logged"]]
    share = [value for value in part.get("share") or () if value is not None]
    shown = f"The two axes show {said(100 * sum(share), digits=2)} % of the variance of the log." if share else ""
    if not others or not logged:
        return shown
    distance, name = max(others)
    ratio = distance / max(logged) if max(logged) else 0.0
    judged = (
        "no farther than the logged ones from each other: the model is asked for states and actions that it has seen"
        if ratio <= 1
        else f"{said(ratio, digits=2)} times the largest distance of a logged one: part of what it does was not seen"
        if ratio <= 2.5
        else f"{said(ratio, digits=2)} times the largest distance of a logged one: the model is asked for what it has not seen"
    )
    return f"The unlogged behavior farthest from the log is “{name}”, at {said(distance, digits=2)}, {judged}. {shown}"


def apart(part: Record) -> str:
    """Whether the logged behaviors differ by more than chance, and still have something in common."""
    logged = [place for place, entry in enumerate(part["behaviors"]) if entry["logged"]]
    distances = [number(part, "distance", a, b) for a in logged for b in logged if a < b]
    by_chance = [value for a in logged if (value := number(part, "distance", a, a)) is not None]
    areas = [value for a in logged for b in logged if a < b and (value := number(part, "area", a, b)) is not None]
    known = [value for value in distances if value is not None]
    if not known:
        return ""
    text = f"The logged behaviors lie {_between([min(known), max(known)], digits=2)} apart"
    if by_chance:
        text += f"; chance makes {_between([min(by_chance), max(by_chance)], digits=2)}"
    if areas:
        text += (
            f", and a classifier tells two of them apart with an area of {_between([min(areas), max(areas)], digits=2)}"
        )
    if by_chance and max(known) < 1.5 * max(by_chance):
        return f"{text}: they are hardly different, so that a penalty has little to compare."
    if areas and min(areas) > 0.99:
        return f"{text}: they have next to nothing in common, so that a penalty cannot compare them."
    return f"{text}: different, and comparable."


def noise(summary: Record) -> str:
    """How much of the plain penalty is noise at this batch, and whether more weight could do more."""
    told, sentences = summary["penalty_noise"] or {}, []
    for model in models(summary):
        share = number(told, model.key, "share")
        if share is None:
            continue
        enough = number(told, model.key, "batch_enough")
        batch = said(int(told[model.key]["batch"]))
        sentences.append(
            f"Under {model.name}, {said(100 * share, digits=2)} % of the plain penalty of a batch of {batch} is noise; "
            + (
                f"a batch of {said(int(enough))} makes it a tenth of the rest."
                if enough is not None
                else "no batch would be enough, since the risks may not differ at all."
            )
        )
    return " ".join([*sentences, useful_end(summary)]).strip()


def useful_end(summary: Record) -> str:
    """Whether the weight is past its useful end: no difference is left, or the left-out risk rises again."""
    rows, candidate = weight_rows(summary), summary["candidate"].get("weight")
    if not candidate:
        return ""
    second = next((model.key for model in models(summary) if model.key in ("chosen", "penalized")), "")
    left = number(summary["penalty_noise"] or {}, second, "low")
    worst: Mapping[float | int, float | int] = {
        row["weight"]: value for row in rows if (value := estimate(row.get("worst")).value) is not None
    }
    above = [weight for weight in worst if weight > candidate]
    at = f"Weight {said_weight(candidate)}"
    if above and candidate in worst and worst[max(above)] > worst[candidate]:
        tail = f"beyond it the worst left-out risk rises, to {said(worst[max(above)])} at {said_weight(max(above))}."
        return f"{at} is at its useful end: {tail}"
    if left is None:
        return ""
    if left > 0:
        return f"{at} is not past its useful end: the risks still differ by more than chance, and a larger one may be tried."
    return (
        f"{at} has done what it can: what is left of the risks’ differences is within chance, and more weight would press on "
        "noise."
    )


def _between(values: Sequence[float | int], *, digits: int) -> str:
    low, high = said(values[0], digits=digits), said(values[1], digits=digits)
    return low if low == high else f"{low} to {high}"
