from dataclasses import replace
from typing import Any

import pytest

from worldrex.evaluation import Estimate, Pairs, Selection, Spread, Verdict, WeightRow, Worst, verdict

Interval = tuple[float, float, float]


def around(value: float) -> Interval:
    return value, 0.9 * value, 1.1 * value


def row(weight: float, worst: Interval, gain: Interval, behavior: str = "bold") -> WeightRow:
    penalty = "variance" if weight else "none"
    return WeightRow(penalty, weight, Worst(*worst, behavior=behavior), Estimate(*worst), {}, {}, Estimate(*gain))


def selection(chosen: float, gain: Interval = (0.6, 0.5, 0.7)) -> Selection:
    """ERM's worst error is 2; weight 100, the candidate, gains that much, and weight 10 half of it."""
    half = gain[0] / 2, gain[1] / 2, gain[2] / 2
    rows = [
        row(0.0, around(2.0), (0.0, 0.0, 0.0)),
        row(10.0, around(2 - half[0]), half),
        row(100.0, around(2 - gain[0]), gain, "calm"),
    ]
    return Selection("the rule", rows, "variance", chosen, 100.0)


def entry(erm: Interval, penalized: Interval, floor: float | None, *, model: str = "chosen") -> dict[str, Any]:
    other = "penalized" if model == "chosen" else "chosen"
    return {
        "erm": erm[0], model: penalized[0], other: erm[0] if other == "chosen" else penalized[0], "noise_floor": floor,
        "intervals": {"erm": list(erm[1:]), model: list(penalized[1:]), other: list(erm[1:])},
    }  # fmt: skip


LEFT_OUT = [
    "Left out, 'bold' is predicted worst by ERM: error 2 [1.8, 2.2].",
    "At weight 100 the worst left-out error is 1.4 [1.26, 1.54] ('calm'); the gain over ERM is 0.6 [0.5, 0.7], "
    "an interval that holds for all 2 comparisons at once.",
]
CONDITIONS = [
    "The new policy sees and does what the log has records of: elsewhere, every model guesses.",
    "The system is the same for all behaviors, and what they saw and the log did not acts on it in the same way.",
    "The outcomes are as noisy under each behavior as under the others.",
]


def test_the_penalty_helps_where_nothing_unlogged_is_known():
    assert verdict(selection(100.0), {}) == Verdict(
        "helps", "The penalty helps: at weight 100 the worst left-out error falls by 30 %.", LEFT_OUT, CONDITIONS
    )


def trained_on(before: Selection, erm: float, penalized: float) -> Selection:
    """With these errors under two behaviors that are trained on."""
    rows = [
        replace(row, trained={"bold": Estimate(*around(level)), "calm": Estimate(*around(1.0))})
        for row, level in zip(before.weights, (erm, erm, penalized), strict=True)
    ]
    return replace(before, weights=rows)


def test_where_erm_overfits_a_penalty_is_not_praised_for_holding_it_back():
    told = verdict(trained_on(selection(100.0), 1.2, 1.0), {})
    assert told.kind == "cannot tell"
    assert told.sentence == (
        "The evidence cannot tell whether it is the penalty that helps: the worst left-out error falls by 30 % at weight 100, "
        "but ERM overfits: the error on held-out episodes of the behaviors that are trained on falls, too (by 9 %), so anything "
        "that holds ERM back may do the same. Give more records, or compare with --keep best, or fewer --steps."
    )
    # It costs something there, or nothing that chance would not explain.
    for penalized in (1.3, 1.19):
        assert verdict(trained_on(selection(100.0), 1.2, penalized), {}).kind == "helps"
    # What nobody logged shows it by itself.
    unlogged = {"random": entry(around(3.0), around(1.1), 1.0)}
    assert verdict(trained_on(selection(100.0), 1.2, 1.0), unlogged).kind == "helps"


def test_the_penalty_helps_under_unlogged_policies():
    unlogged = {
        "random": entry(around(1.0), around(1.1), 1.0),
        "reversed": entry(around(1.5), around(0.55), 0.5),
    }
    assert verdict(selection(100.0), unlogged) == Verdict(
        "helps",
        "The penalty helps: the worst error under a policy that nobody logged goes from 3.00 times the noise floor to "
        "1.10 times the noise floor.",
        [
            *LEFT_OUT,
            "Under 'random', ERM's error is 1 and the chosen model's 1.1 times the noise floor.",
            "Under 'reversed', ERM's error is 3 and the chosen model's 1.1 times the noise floor.",
        ],
        CONDITIONS,
    )


def test_the_penalty_hurts():
    found = verdict(selection(100.0), {"random": entry(around(1.0), around(2.0), 0.5)})
    assert found.kind == "hurts"
    assert found.sentence == (
        "The penalty hurts: though the worst left-out error falls by 30 %, the worst error under a policy that nobody "
        "logged goes from 2.00 times the noise floor to 4.00 times the noise floor. Use the model without it (models/erm)."
    )


@pytest.mark.parametrize("chosen", [0.95, 1.05])
def test_overlapping_intervals_leave_the_evidence_divided(chosen: float):
    found = verdict(selection(100.0), {"random": entry(around(1.0), around(chosen), None)})
    assert found.kind == "cannot tell"
    assert found.sentence == (
        "The evidence is divided: though the worst left-out error falls by 30 %, the worst error under a policy that "
        f"nobody logged goes from 1 to {chosen:g}, within chance."
    )
    assert found.evidence[-1] == f"Under 'random', ERM's error is 1 and the chosen model's {chosen:g}."


@pytest.mark.parametrize(("chosen", "kind"), [((0.6, 0.5, 0.89), "helps"), ((0.6, 0.5, 0.91), "cannot tell")])
def test_help_is_beyond_the_interval_of_erm(chosen: Interval, kind: str):
    assert verdict(selection(100.0), {"random": entry((1.0, 0.9, 1.1), chosen, None)}).kind == kind


@pytest.mark.parametrize(("chosen", "kind"), [((1.4, 1.11, 1.6), "hurts"), ((1.4, 1.09, 1.6), "cannot tell")])
def test_harm_is_beyond_the_interval_of_erm(chosen: Interval, kind: str):
    assert verdict(selection(100.0), {"random": entry((1.0, 0.9, 1.1), chosen, None)}).kind == kind


def test_the_worst_is_that_of_each_model_over_all_policies():
    unlogged = {"easy": entry(around(1.0), around(3.0), None), "hard": entry(around(9.0), around(1.0), None)}
    found = verdict(selection(100.0), unlogged)
    assert found.kind == "helps"
    assert "goes from 9 to 3." in found.sentence


def test_errors_are_weighed_by_their_floors():
    unlogged = {"calm": entry(around(0.4), around(0.11), 0.1), "windy": entry(around(1.1), around(1.1), 1.0)}
    assert (
        "from 4.00 times the noise floor to 1.10 times the noise floor" in verdict(selection(100.0), unlogged).sentence
    )


@pytest.mark.parametrize("floor", [None, 0.0, 1e-7])
def test_without_a_floor_worth_the_name_errors_stand_alone(floor: float | None):
    unlogged = {"calm": entry(around(0.4), around(0.11), floor), "windy": entry(around(1.2), around(0.3), 1.0)}
    found = verdict(selection(100.0), unlogged)
    assert "goes from 1.2 to 0.3." in found.sentence
    assert found.evidence[2:] == [
        "Under 'calm', ERM's error is 0.4 and the chosen model's 0.11.",
        "Under 'windy', ERM's error is 1.2 and the chosen model's 0.3 times the noise floor.",
    ]


@pytest.mark.parametrize("gain", [(0.03, 0.02, 0.04), (-0.5, -0.96, -0.03), (-0.03, -0.035, -0.025)])
def test_the_penalty_buys_nothing(gain: Interval):
    unlogged = {"random": entry(around(1.0), around(1.3), 0.5, model="penalized")}
    found = verdict(selection(0.0, gain), unlogged)
    assert found.kind == "buys nothing"
    assert found.sentence == (
        "The penalty buys nothing here: no weight lowers the worst left-out error by 2 % or more, so the chosen model is "
        "plain ERM."
    )
    assert found.evidence[-1] == (
        "Under 'random', ERM's error is 2 and the penalized model's 2.6 times the noise floor."
    )


def test_a_gain_within_chance_cannot_tell():
    found = verdict(selection(0.0, (0.3, -0.1, 0.7)), {})
    assert found.kind == "cannot tell"
    assert found.sentence == (
        "The evidence cannot tell whether the penalty helps: at weight 100 the worst left-out error is 15 % smaller, within "
        "chance; the chosen model is plain ERM."
    )
    assert "the gain over ERM is 0.3 [-0.1, 0.7], an interval" in found.evidence[1]


def test_a_penalty_that_raises_the_worst_error_at_its_best_hurts():
    found = verdict(selection(0.0, (-0.5, -0.6, -0.4)), {})
    assert found.kind == "hurts"
    assert found.sentence == (
        "The penalty hurts: even at weight 100, the best of those compared, the worst left-out error rises by 25 %, so the "
        "chosen model is plain ERM."
    )


def in_pairs(gain: Interval) -> Pairs:
    """As ERM and the candidate fare with two behaviors left out."""
    erm, candidate = Worst(*around(2.5), behavior="bold"), Worst(*around(2.5 - gain[0]), behavior="calm")
    return Pairs([["bold", "calm"], ["bold", "dull"]], erm, candidate, Estimate(*gain))


@pytest.mark.parametrize(
    ("gain", "kind"), [((0.5, 0.3, 0.7), "helps"), ((-0.5, -1.1, 0.1), "helps"), ((-0.5, -0.9, -0.1), "cannot tell")]
)
def test_two_behaviors_left_out_together_may_gainsay_the_gain(gain: Interval, kind: str):
    found = verdict(replace(selection(100.0), pairs=in_pairs(gain)), {})
    assert found.kind == kind
    assert found.evidence[-1].startswith(
        "With two behaviors left out together (2 pairs), the worst error goes from 2.5 "
    )
    if kind == "cannot tell":
        assert found.sentence == (
            "The evidence is divided: though the worst left-out error falls by 30 % at weight 100, with two behaviors left out "
            "together it rises from 2.5 to 3."
        )


@pytest.mark.parametrize(("least", "suspected"), [((0.1, 0.05, 0.15), False), ((0.4, 0.3, 0.5), True)])
def test_risks_that_stay_apart_put_the_verdict_under_a_condition(least: Interval, suspected: bool):
    spread = Spread(Estimate(0.8, 0.7, 0.9), Estimate(*least), 300.0, least[0] / 0.8, 0.5)
    *_, last = verdict(replace(selection(100.0), spread=spread), {}).conditions
    assert f"differ by 80 % of their mean under ERM, and by {100 * least[0]:.0f} % at weight 300" in last
    assert ("give it with --baselines" in last) is suspected
    assert ("Nothing speaks against it" in last) is not suspected


def test_another_penalty_than_the_usual_one_is_named():
    rows = [replace(one, penalty="mad") if one.weight else one for one in selection(100.0).weights]
    found = verdict(replace(selection(100.0), weights=rows, penalty="mad"), {})
    assert found.sentence == "The penalty helps: at weight 100 of 'mad' the worst left-out error falls by 30 %."
    assert found.evidence[1].startswith("At weight 100 of 'mad' the worst")


def test_two_behaviors_cannot_tell():
    alone = Selection("the rule", selection(0.0).weights[:1], "none", 0.0, None)
    found = verdict(alone, {"random": entry(around(1.0), around(0.5), None, model="penalized")})
    assert found.kind == "cannot tell"
    assert found.sentence == (
        "Two behaviors cannot tell whether the penalty helps: leaving one out leaves nothing to compare it with, so the "
        "chosen model is plain ERM."
    )
    assert found.evidence == [LEFT_OUT[0], "Under 'random', ERM's error is 1 and the penalized model's 0.5."]


def test_a_table_without_the_penalized_model_gives_no_line():
    unlogged = {"random": {"erm": 1.0, "noise_floor": None, "intervals": {"erm": [0.9, 1.1]}}}
    assert verdict(selection(0.0, (0.0, 0.0, 0.0)), unlogged).evidence[2:] == []


def test_a_spread_that_chance_explains_is_told_as_such():
    spread = Spread(Estimate(0.0, 0.0, 0.18), Estimate(0.0, 0.0, 0.1), 300.0, 1.0, 0.5)
    *_, last = verdict(replace(selection(100.0), spread=spread), {}).conditions
    assert "differ by no more than chance (0 to 18 %) of their mean under ERM" in last


@pytest.mark.parametrize(("risk", "kind"), [(1.1, "cannot tell"), (0.5, "buys nothing")])
def test_models_that_learned_nothing_tell_nothing(risk: float, kind: str):
    spread = Spread(Estimate(0.1, 0.0, 0.2), Estimate(0.1, 0.0, 0.2), 300.0, 1.0, risk)
    found = verdict(replace(selection(0.0, (0.0, 0.0, 0.0)), spread=spread), {})
    assert found.kind == kind
    assert ("no better than the mean of the log" in found.sentence) is (kind == "cannot tell")
