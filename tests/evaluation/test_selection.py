import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from worldrex.evaluation import CrossvalTable, LeftOut, Selection, select

# What was measured before the design: left-out risk by weight (rows) and fold (columns).
WEIGHTS = [0.0, 1.0, 10.0, 30.0, 100.0]
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
    return select([0.0, 10.0], left_out(np.array([[erm, 0.1, 0.1], [penalized, 0.1, 0.1]]), names="abc", **more), {})


def test_the_worst_fold_chooses_where_the_mean_would_choose_erm():
    selection = select(WEIGHTS, left_out(EVIDENCE), {})
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
    selection = select([0.0, 1.0], left_out(np.array([[2.0, 1.0], [1.0, 1.5]]), names="ab"), {})
    assert [row.worst.behavior for row in selection.weights] == ["a", "b"]
    np.testing.assert_allclose(selection.weights[1].gain.value, 0.5)
    assert selection.chosen == 1


@pytest.mark.parametrize(("gain", "chosen"), [(0.015, 0.0), (0.025, 10.0)])
def test_a_gain_below_2_percent_is_none(gain: float, chosen: float):
    selection = chosen_of_two(1.0, 1.0 - gain, seeds=(1.0, 1.0))
    assert selection.weights[1].gain.low > 0
    assert (selection.chosen, selection.candidate) == (chosen, 10.0)


def test_a_loss_chooses_erm_and_names_the_best_penalty_all_the_same():
    risks = np.array([[1.0, 0.1], [1.1, 0.1], [1.2, 0.1]])
    selection = select([0.0, 1.0, 10.0], left_out(risks, names="ab"), {})
    assert (selection.chosen, selection.candidate) == (0.0, 1.0)


def test_a_gain_on_a_single_episode_may_be_chance():
    folds = left_out(np.array([[1.0, 0.1], [1.0, 0.1]]), names="ab")
    folds[0].sums[0, :, 3] *= 6
    selection = select([0.0, 10.0], folds, {})
    gain = selection.weights[1].gain
    assert gain.value > 0.1
    assert gain.low <= 0
    assert selection.chosen == 0


def test_a_gain_on_which_the_seeds_disagree_may_be_chance():
    folds = left_out(np.array([[1.0, 0.1], [1.0, 0.1]]), names="ab", seeds=(1, 1, 1))
    folds[0].sums[1] *= np.array([0.4, 1.05, 1.05])[:, None]
    selection = select([0.0, 10.0], folds, {})
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
    selection = select([0.0], [LeftOut("a", sums, np.array([10.0, 90.0]))], {})
    np.testing.assert_allclose(selection.weights[0].worst.value, 910 / 100)


def test_erm_alone_leaves_no_candidate():
    selection = select([0.0], left_out(EVIDENCE[:1, :2], names=FOLDS[:2]), {})
    assert (selection.chosen, selection.candidate) == (0.0, None)
    assert selection.weights[0].gain.value == selection.weights[0].gain.high == 0


def test_curves_of_the_trained_behaviors_span_their_runs():
    trained = {"kappa 0": np.array([[0.2, 0.4], [0.5, 0.9]])}
    rows = select([0.0, 1.0], left_out(EVIDENCE[:2]), trained).weights
    curves = [row.trained["kappa 0"] for row in rows]
    np.testing.assert_allclose([(c.value, c.low, c.high) for c in curves], [(0.3, 0.2, 0.4), (0.7, 0.5, 0.9)])


def test_the_same_seed_gives_the_same_intervals():
    folds = left_out(EVIDENCE)
    assert select(WEIGHTS, folds, {}, seed=3) == select(WEIGHTS, folds, {}, seed=3)
    assert select(WEIGHTS, folds, {}, seed=3) != select(WEIGHTS, folds, {}, seed=4)


def test_json_keeps_all():
    selection = select(WEIGHTS, left_out(EVIDENCE), {"kappa 0": np.ones((5, 3))})
    assert Selection.from_json(json.loads(json.dumps(asdict(selection)))) == selection
    rows = [{"penalty": "variance", "weight": 1.0, "behavior": "kappa 0", "seed": 0, "risk": 0.1}]
    table = CrossvalTable(rows, selection, 1.5)
    told = json.loads(json.dumps(table.to_json()))
    assert told.keys() == {"crossval", "selection", "compile_seconds"}
    assert CrossvalTable.from_json(told) == table
