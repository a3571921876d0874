import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from worldrex.evaluation import ERM, Choice, CrossvalTable, LeftOut, Selection, Trained, WeightRow, select, verdict
from worldrex.evaluation.selection import compare_pairs, drawn_risks

# What was measured before the design: left-out risk by weight (rows) and fold (columns).
WEIGHTS = [0.0, 1.0, 10.0, 30.0, 100.0]
CHOICES = [ERM, *(Choice("variance", weight) for weight in WEIGHTS[1:])]
ONE, TWO = [ERM], [ERM, Choice("variance", 10.0)]
FOLDS = ("kappa 0", "kappa 0.5", "kappa 1", "kappa 1.5")
EVIDENCE = np.array(
    [[1.59, 0.68, 0.28, 0.39], [1.58, 0.76, 0.38, 0.66], [1.57, 0.95, 0.87, 0.77], [1.48, 0.96, 0.95, 0.95],
     [1.30, 1.03, 1.02, 1.06]]
)  # fmt: skip
EPISODES, RECORDS = 40, 20


def left_out(
    risks: np.ndarray, *, names: Sequence[str] = FOLDS, spread: float = 0.1, seeds: Sequence[float] = (0.99, 1.0, 1.01)
) -> list[LeftOut]:
    """Folds of 40 episodes with these mean risks `[weight, fold]`; hard episodes are hard for every weight."""
    rng = np.random.default_rng(0)
    folds = []
    for name, risk in zip(names, np.asarray(risks).T, strict=True):
        hardness = np.exp(spread * rng.normal(size=EPISODES))
        sums = RECORDS * risk[:, None, None] * np.array(seeds)[:, None] * hardness / hardness.mean()
        folds.append(LeftOut(name, sums, np.full(EPISODES, float(RECORDS))))
    return folds


def chosen_of_two(erm: float, penalized: float, **more: Any) -> Selection:
    """Choice between weight 0 and 10, the others of three folds being easy."""
    return select(TWO, left_out(np.array([[erm, 0.1, 0.1], [penalized, 0.1, 0.1]]), names="abc", **more), [])


def test_the_worst_fold_chooses_where_the_mean_would_choose_erm():
    selection = select(CHOICES, left_out(EVIDENCE), [])
    assert [row.weight for row in selection.weights] == WEIGHTS
    means = [row.mean.value for row in selection.weights]
    np.testing.assert_allclose(means, EVIDENCE.mean(1), rtol=1e-6)
    assert WEIGHTS[int(np.argmin(means))] == 0
    np.testing.assert_allclose([row.worst.value for row in selection.weights], EVIDENCE.max(1), rtol=1e-6)
    assert {row.worst.behavior for row in selection.weights} == {"kappa 0"}
    np.testing.assert_allclose([row.gain.value for row in selection.weights], 1.59 - EVIDENCE.max(1), atol=1e-9)
    assert selection.chosen == selection.candidate == 100
    for row, risks in zip(selection.weights, EVIDENCE, strict=True):
        np.testing.assert_allclose([row.folds[name].value for name in FOLDS], risks, rtol=1e-6)
        for estimate in (row.worst, row.mean, row.gain, *row.folds.values()):
            assert estimate.low <= estimate.value <= estimate.high
        assert row.worst.high - row.worst.low > 0.02


def test_the_worst_may_be_another_behavior_at_another_weight():
    selection = select(TWO, left_out(np.array([[2.0, 1.0], [1.0, 1.5]]), names="ab"), [])
    assert [row.worst.behavior for row in selection.weights] == ["a", "b"]
    np.testing.assert_allclose(selection.weights[1].gain.value, 0.5)
    assert selection.chosen == 10


@pytest.mark.parametrize(("gain", "chosen"), [(0.015, 0.0), (0.025, 10.0)])
def test_a_gain_below_2_percent_is_none(gain: float, chosen: float):
    selection = chosen_of_two(1.0, 1.0 - gain, seeds=(1.0, 1.0))
    assert selection.weights[1].gain.low > 0
    assert (selection.chosen, selection.candidate) == (chosen, 10.0)


def test_a_loss_chooses_erm_and_names_the_best_penalty_all_the_same():
    risks = np.array([[1.0, 0.1], [1.1, 0.1], [1.2, 0.1]])
    selection = select(CHOICES[:3], left_out(risks, names="ab"), [])
    assert (selection.chosen, selection.candidate) == (0.0, 1.0)


def test_a_gain_on_a_single_episode_may_be_chance():
    folds = left_out(np.array([[1.0, 0.1], [1.0, 0.1]]), names="ab")
    folds[0].sums[0, :, 3] *= 6
    selection = select(TWO, folds, [])
    gain = selection.weights[1].gain
    assert gain.value > 0.1
    assert gain.low <= 0
    assert selection.chosen == 0


def test_a_gain_on_which_the_seeds_disagree_may_be_chance():
    folds = left_out(np.array([[1.0, 0.1], [1.0, 0.1]]), names="ab", seeds=(1, 1, 1))
    folds[0].sums[1] *= np.array([0.4, 1.05, 1.05])[:, None]
    selection = select(TWO, folds, [])
    assert selection.weights[1].gain.value > 0.1
    assert selection.weights[1].gain.low <= 0
    assert selection.chosen == 0


def test_gains_are_paired_over_the_same_episodes():
    selection = chosen_of_two(1.0, 0.93, spread=1.0, seeds=(1.0, 1.0))
    erm, penalized = selection.weights
    assert (
        erm.worst.low < penalized.worst.value < penalized.worst.high > erm.worst.value
    )  # far from apart by themselves
    np.testing.assert_allclose([penalized.gain.low / 0.07, penalized.gain.high / 0.07], 1, atol=0.6)
    assert selection.chosen == 10


def test_episodes_count_by_their_records():
    sums = np.array([[[10.0, 900.0]]])
    selection = select(ONE, [LeftOut("a", sums, np.array([10.0, 90.0]))], [])
    np.testing.assert_allclose(selection.weights[0].worst.value, 910 / 100)


def test_erm_alone_leaves_no_candidate():
    selection = select(ONE, left_out(EVIDENCE[:1, :2], names=FOLDS[:2]), [])
    assert (selection.chosen, selection.candidate) == (0.0, None)
    assert selection.weights[0].gain.value == selection.weights[0].gain.high == 0


def test_curves_of_the_trained_behaviors_span_their_runs():
    risks = np.array([[0.2, 0.4], [0.5, 0.9]])
    trained = [Trained("kappa 0", np.stack([10 * risks, 30 * risks], -1), np.array([10.0, 30.0]))]
    rows = select(TWO, left_out(EVIDENCE[:2]), trained).weights
    curves = [row.trained["kappa 0"] for row in rows]
    np.testing.assert_allclose([(c.value, c.low, c.high) for c in curves], [(0.3, 0.2, 0.4), (0.7, 0.5, 0.9)])


def test_the_same_seed_gives_the_same_intervals():
    folds = left_out(EVIDENCE)
    assert select(CHOICES, folds, [], seed=3) == select(CHOICES, folds, [], seed=3)
    assert select(CHOICES, folds, [], seed=3) != select(CHOICES, folds, [], seed=4)


@pytest.mark.parametrize(("behind", "candidate"), [(0.002, 10.0), (0.1, 100.0)])
def test_the_smallest_weight_within_one_standard_error_of_the_best(behind: float, candidate: float):
    """Weights 10 and 100 differ by `behind`, and by 0.04 up or down from episode to episode."""
    risks = np.array([[1.0, 0.1], [0.8, 0.1], [0.5 + behind, 0.1], [0.5, 0.1]])
    folds = left_out(risks, names="ab", spread=0.0)
    folds[0].sums[2] += RECORDS * np.where(np.arange(EPISODES) % 2, 0.04, -0.04)
    selection = select([*CHOICES[:3], CHOICES[-1]], folds, [])
    assert (selection.candidate, selection.chosen) == (candidate, candidate)
    assert [row.worst.value for row in selection.weights].index(min(row.worst.value for row in selection.weights)) == 3


def test_a_smaller_weight_that_does_not_pay_is_no_candidate():
    """Weight 10 is within one standard error of 100, since one seed of 100 failed; but it is worse than ERM."""
    risks = np.array([[1.0, 0.1], [1.02, 0.1], [0.95, 0.1]])
    folds = left_out(risks, names="ab", spread=0.0, seeds=(1, 1, 1))
    folds[0].sums[2] *= np.array([0.85, 1.0, 1.15])[:, None]
    selection = select([ERM, Choice("variance", 10.0), Choice("variance", 100.0)], folds, [])
    assert (selection.candidate, selection.chosen) == (100.0, 0.0)
    assert verdict(selection, {}).kind == "cannot tell"


def test_a_smaller_weight_that_pays_is_chosen_where_the_best_may_be_chance():
    risks = np.array([[1.0, 0.1], [0.9, 0.1], [0.89, 0.1]])
    folds = left_out(risks, names="ab", spread=0.0, seeds=(1, 1, 1))
    folds[0].sums[2] *= np.array([0.6, 1.0, 1.4])[:, None]
    selection = select([ERM, Choice("variance", 10.0), Choice("variance", 100.0)], folds, [])
    assert selection.weights[2].gain.low < 0
    assert (selection.candidate, selection.chosen) == (10.0, 10.0)


def test_one_standard_error_is_that_of_the_paired_difference():
    """Episodes differ a lot, but alike under all weights: weight 10 is surely worse than 100, and not taken for it."""
    risks = np.array([[1.0, 0.1], [0.51, 0.1], [0.5, 0.1]])
    selection = select([ERM, *CHOICES[3:]], left_out(risks, names="ab", spread=1.0, seeds=(1.0, 1.0)), [])
    best = selection.weights[2].worst
    assert best.low < 0.48
    assert best.high > 0.52
    assert selection.candidate == 100


def test_the_best_of_several_penalties_is_chosen():
    choices = [ERM, Choice("variance", 1.0), Choice("variance", 10.0), Choice("mad", 1.0), Choice("mad", 10.0)]
    risks = np.array([[1.0, 0.1], [0.5, 0.1], [0.6, 0.1], [0.9, 0.1], [0.499, 0.2]])
    selection = select(choices, left_out(risks, names="ab", spread=0.0, seeds=(0.98, 1.0, 1.02)), [])
    assert (selection.penalty, selection.candidate, selection.chosen) == ("mad", 10.0, 10.0)
    assert isinstance(selection.best, WeightRow)
    assert selection.best.choice == choices[4]
    assert selection.erm.choice == ERM
    assert "for all 4 comparisons at once" in selection.rule
    assert "the least mean" in selection.rule
    assert "mean" not in select(CHOICES, left_out(EVIDENCE), []).rule


@pytest.mark.parametrize(("apart", "chosen"), [(0.04, ("variance", 10.0)), (0.0, ("mad", 10.0))])
def test_of_penalties_that_tie_the_one_with_the_least_mean_is_chosen(apart: float, chosen: tuple[str, float]):
    """The worst risks differ by 0.002 at most: within one standard error if by `apart` up or down in an episode."""
    choices = [ERM, Choice("variance", 10.0), Choice("variance", 100.0), Choice("mad", 10.0)]
    risks = np.array([[1.0, 0.1, 0.1], [0.502, 0.2, 0.2], [0.501, 0.1, 0.1], [0.5, 0.3, 0.2]])
    folds = left_out(risks, names="abc", spread=0.0)
    folds[0].sums[3] += RECORDS * np.where(np.arange(EPISODES) % 2, apart, -apart)
    selection = select(choices, folds, [])
    assert [row.worst.value for row in selection.weights].index(min(row.worst.value for row in selection.weights)) == 3
    assert (selection.penalty, selection.chosen) == chosen


def test_gains_hold_for_all_weights_at_once():
    """Of 40 weights that gain nothing, by chance one gains beyond its own interval, but not beyond that of all."""
    chances = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        sums = RECORDS * (1 + 0.3 * rng.normal(size=(41, 1, EPISODES)))
        sums[0] = RECORDS
        folds = [LeftOut("a", sums, np.full(EPISODES, float(RECORDS)))]
        choices = [ERM, *(Choice("variance", float(weight)) for weight in range(1, 41))]
        gains = [row.gain for row in select(choices, folds, [], seed=seed).weights[1:]]
        best = max(gains, key=lambda gain: gain.value)
        alone = select(TWO, [folds[0]._replace(sums=sums[[0, 1 + gains.index(best)]])], []).weights[1].gain
        chances.append((alone.low > 0, best.low > 0))
    by_itself, at_once = np.sum(chances, axis=0)
    assert by_itself >= 4
    assert at_once <= 1


def test_seeds_vary_as_much_as_they_do():
    """The interval of a mean over three seeds: 1.96 standard errors with n - 1 in the denominator."""
    seeds = np.array([0.8, 1.0, 1.2])
    folds = [LeftOut("a", np.tile(RECORDS * seeds[:, None], (1, 1, 1)).repeat(EPISODES, 2), np.full(EPISODES, 20.0))]
    draws = drawn_risks(folds).draws[:, 0, 0]
    np.testing.assert_allclose(draws.std(), seeds.std(ddof=1) / np.sqrt(3), rtol=0.1)


def test_pairs_compare_the_worst_of_all_left_out_behaviors():
    risks = np.array([[1.0, 0.6, 0.9, 0.2], [0.7, 0.65, 0.5, 0.3]])
    folds = left_out(risks, names=["a", "b", "b", "c"])
    pairs = compare_pairs([("a", "b"), ("b", "c")], folds)
    assert pairs.pairs == [["a", "b"], ["b", "c"]]
    assert (pairs.erm.behavior, pairs.candidate.behavior) == ("a", "a")
    np.testing.assert_allclose([pairs.erm.value, pairs.candidate.value, pairs.gain.value], [1.0, 0.7, 0.3])
    assert 0 < pairs.gain.low < 0.3 < pairs.gain.high


def test_the_same_episodes_are_drawn_of_a_behavior_in_two_folds():
    (fold,) = left_out(np.array([[1.0]]), names=["a"], spread=1.0)
    draws = drawn_risks([fold, fold]).draws
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    other = drawn_risks([fold, fold._replace(behavior="b")]).draws
    assert (other[:, 0] != other[:, 1]).any()


def test_json_keeps_all():
    trained = [Trained(name, np.ones((5, 3, 4)) * size, np.ones(4)) for name, size in (("kappa 0", 1), ("kappa 1", 3))]
    folds = left_out(EVIDENCE)
    selection = replace(select(CHOICES, folds, trained), pairs=compare_pairs([FOLDS[:2]], folds[:2]))
    assert selection.spread is not None
    assert Selection.from_json(json.loads(json.dumps(asdict(selection)))) == selection
    rows = [{"penalty": "variance", "weight": 1.0, "behavior": "kappa 0", "seed": 0, "risk": 0.1}]
    table = CrossvalTable(rows, selection, 1.5, {"kappa 0": 0.5})
    told = json.loads(json.dumps(table.to_json()))
    assert told.keys() == {"crossval", "selection", "compile_seconds", "distance"}
    assert CrossvalTable.from_json(told) == table
