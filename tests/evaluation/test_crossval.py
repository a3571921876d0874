import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import TRUTH, linear_model, stacked
from worldrex.data import DataError, Transitions, holdout
from worldrex.dynamics import Progress, Run, Sweep, TrainingError, train
from worldrex.dynamics.normalizer import Normalizer
from worldrex.evaluation import CrossvalConfig, CrossvalTable, crossval, output_scale, require_comparable
from worldrex.evaluation.model_error import outputs_of

TINY = CrossvalConfig(weights=(10.0,), seeds=2, hidden=(16,), batch=32, warmup_steps=20, steps=40, seed=5)
MODULE = import_module("worldrex.evaluation.crossval")  # its name in the package is the function's
FOLDS, WEIGHTS, SEEDS = 4, (0.0, 10.0), (5, 6)


class Done(NamedTuple):
    """A comparison, and what it was made of."""

    table: CrossvalTable
    sweep: Sweep
    runs: list[Run]
    reports: list[tuple[Progress, list[Run]]]
    ticks: list[tuple[int, int]]


@pytest.fixture(scope="module")
def done(log: Transitions) -> Done:
    """Four folds, two weights and two seeds, in earnest."""
    kept: list[Any] = []

    def kept_train(data: Transitions, runs: Sequence[Run], *rest: Any, **more: Any) -> Sweep:
        kept.extend([list(runs), train(data, runs, *rest, **more)])
        return kept[-1]

    reports, ticks = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "train", kept_train)
        table = crossval(
            log,
            TINY,
            report=lambda progress, runs: reports.append((progress, runs)),
            tick=lambda *done: ticks.append(done),
        )
    return Done(table, kept[1], kept[0], reports, ticks)


def test_every_fold_weight_and_seed_has_its_row(done: Done, log: Transitions):
    keys = [(row["behavior"], row["weight"], row["seed"], row["penalty"]) for row in done.table.rows]
    expected = [
        (name, weight, seed, "variance" if weight else "none")
        for name in log.behavior_names
        for weight in WEIGHTS
        for seed in SEEDS
    ]
    assert keys == expected
    assert [row.weight for row in done.table.selection.weights] == list(WEIGHTS)
    assert done.table.compile_seconds == done.sweep.compile_seconds > 0
    assert done.runs == [
        Run("variance", weight, True, (fold,), seed) for fold in range(FOLDS) for weight in WEIGHTS for seed in SEEDS
    ]


def errors_by_hand(done: Done, number: int, part: Transitions, log: Transitions) -> np.ndarray:
    """Squared error of a run's ensemble on each record of `part`, in the whole log's units."""
    own = jax.tree.map(lambda x: x[number], done.sweep.normalizers)
    x = (np.concatenate([part.obs, part.action], 1) - own.input_mean) / own.input_std
    ((weight, bias),), (last, offset) = done.sweep.networks.trunk, done.sweep.networks.mean
    hidden = x[None] @ weight[number] + bias[number][:, None]
    mean = (hidden / (1 + np.exp(-hidden)) @ last[number] + offset[number][:, None]).mean(0)
    error = (mean * own.output_std + own.output_mean - outputs_of(part)) / output_scale(log)
    return np.square(error).mean(1)


def test_a_rows_risk_is_that_of_the_behavior_which_its_run_left_out(done: Done, log: Transitions):
    for number, (run, row) in enumerate(zip(done.runs, done.table.rows, strict=True)):
        part = log.rows(log.behavior == run.left_out[0])
        np.testing.assert_allclose(row["risk"], errors_by_hand(done, number, part, log).mean(), rtol=1e-4)


def test_the_selection_is_of_these_risks(done: Done, log: Transitions):
    risks = np.array([row["risk"] for row in done.table.rows]).reshape(FOLDS, len(WEIGHTS), len(SEEDS)).mean(2)
    for place, row in enumerate(done.table.selection.weights):
        np.testing.assert_allclose([estimate.value for estimate in row.folds.values()], risks[:, place], rtol=1e-6)
        assert row.worst.behavior == log.behavior_names[int(risks[:, place].argmax())]


def test_trained_risks_are_of_held_out_episodes_in_the_units_of_the_left_out_ones(done: Done, log: Transitions):
    _, held_out = holdout(log, TINY.holdout, seed=TINY.seed)
    for behavior, name in enumerate(log.behavior_names):
        part = log.rows(held_out[log.behavior[held_out] == behavior])
        for row in done.table.selection.weights:
            own = [
                errors_by_hand(done, number, part, log).mean()
                for number, run in enumerate(done.runs)
                if run.weight == row.weight and run.left_out != (behavior,)
            ]
            assert len(own) == (FOLDS - 1) * len(SEEDS)
            np.testing.assert_allclose(row.trained[name].value, np.mean(own), rtol=1e-4)
            np.testing.assert_allclose([row.trained[name].low, row.trained[name].high], [min(own), max(own)], rtol=1e-4)


def test_progress_is_told_with_its_runs(done: Done):
    assert [progress.step for progress, _ in done.reports] == [20, 60]
    assert all(runs == done.runs for _, runs in done.reports)
    assert done.ticks[-1] == (60, 60)


@pytest.fixture
def fake_train(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Instead of training: linear models of the truth; the runs that were asked for."""
    asked: list[Run] = []

    def pretend(data: Transitions, runs: Sequence[Run], config: CrossvalConfig, **_: Any) -> Sweep:
        asked.extend(runs)
        ensemble = linear_model(*[TRUTH] * config.members)
        risks = np.full((len(runs), config.members, data.num_behaviors), 0.5, np.float32)
        for number, run in enumerate(runs):
            risks[number][:, list(run.left_out)] = np.nan
        risks[:, :, np.bincount(data.behavior, minlength=data.num_behaviors) == 0] = np.nan
        normalizers = Normalizer(*(np.stack([x] * len(runs)) for x in ensemble.normalizer))
        objective = np.zeros((len(runs), config.members), np.float32)
        none = np.zeros(objective.shape, np.int64)
        return Sweep(
            stacked([ensemble.networks] * len(runs)),
            normalizers,
            risks,
            objective,
            none,
            none,
            0.0,
            data.behavior_names,
        )

    monkeypatch.setattr(MODULE, "train", pretend)
    return asked


def test_two_behaviors_train_erm_alone(fake_train: list[Run]):
    log = gust_log(4, operators=((1.0, 0.0), (1.2, -0.5)))
    table = crossval(log, TINY)
    assert fake_train == [Run("variance", 0.0, True, (fold,), seed) for fold in (0, 1) for seed in SEEDS]
    assert len(table.rows) == 4
    assert (table.selection.chosen, table.selection.candidate) == (0.0, None)
    expected = np.square(outputs_of(log)[log.behavior == 1] / output_scale(log))
    assert table.rows[2]["risk"] < expected.mean()
    assert CrossvalTable.from_json(table.to_json()) == table


def test_a_behavior_without_records_is_no_fold(fake_train: list[Run], log: Transitions):
    table = crossval(log.rows(log.behavior != 1), TINY)
    assert {row["behavior"] for row in table.rows} == {"operator 0", "operator 2", "operator 3"}
    assert {run.left_out for run in fake_train} == {(0,), (2,), (3,)}
    assert table.selection.weights[0].trained.keys() == {"operator 0", "operator 2", "operator 3"}


def test_erm_is_always_compared_and_weights_are_in_order(fake_train: list[Run], log: Transitions):
    table = crossval(log, replace(TINY, weights=(30.0, 1.0, 30.0)))
    assert [row.weight for row in table.selection.weights] == [0.0, 1.0, 30.0]


def test_several_penalties_are_compared_in_one_program(fake_train: list[Run], log: Transitions):
    table = crossval(log, replace(TINY, penalty=("mad", "std", "mad"), weights=(10.0, 1.0), seeds=1))
    choices = [("none", 0.0), ("mad", 1.0), ("mad", 10.0), ("std", 1.0), ("std", 10.0)]
    assert [row.choice for row in table.selection.weights] == choices
    # ERM is trained once, as a penalty of weight 0.
    assert [(run.penalty, run.weight) for run in fake_train] == 4 * [("mad", 0.0), *choices[1:]]
    assert [(row["penalty"], row["weight"]) for row in table.rows] == 4 * choices


def test_the_distance_of_each_behavior_from_the_rest_stands_beside(fake_train: list[Run], log: Transitions):
    distance = crossval(log, TINY).distance
    assert list(distance) == list(log.behavior_names)
    far = crossval(replace(log, action=log.action + 9 * (log.behavior == 1)[:, None].astype(np.float32)), TINY).distance
    assert far["operator 1"] > 1.5 * max(far[name] for name in far if name != "operator 1")


FIVE = (*((1.0, -0.25 * number) for number in range(5)),)


@pytest.mark.parametrize(("pairs", "expected"), [(3, 3), (10, 10), (40, 10), (0, 0)])
def test_of_five_behaviors_pairs_are_left_out_too(fake_train: list[Run], pairs: int, expected: int):
    log = gust_log(4, operators=FIVE)
    ticks: list[tuple[int, int]] = []
    table = crossval(log, replace(TINY, pairs=pairs), tick=lambda *told: ticks.append(told))
    first, again = fake_train[:20], fake_train[20:]
    assert all(len(run.left_out) == 1 for run in first)
    left_out = list(dict.fromkeys(run.left_out for run in again))
    assert len(left_out) == expected
    assert all(one < other for one, other in left_out)
    assert [(run.left_out, run.weight, run.seed) for run in again] == [
        (pair, weight, seed) for pair in left_out for weight in WEIGHTS for seed in SEEDS
    ]
    found = table.selection.pairs
    if not expected:
        assert found is None
        return
    assert found is not None
    assert found.pairs == [[log.behavior_names[behavior] for behavior in pair] for pair in left_out]
    # All models are the same here.
    assert found.erm.value == found.candidate.value == table.selection.erm.worst.value
    assert CrossvalTable.from_json(json.loads(json.dumps(table.to_json()))) == table


def test_four_behaviors_leave_no_pairs_out(fake_train: list[Run], log: Transitions):
    assert crossval(log, TINY).selection.pairs is None
    assert all(len(run.left_out) == 1 for run in fake_train)


def test_pairs_in_earnest_keep_the_metrics_and_go_on_ticking(tmp_path: Path):
    """A run that is interrupted among the pairs goes on from a checkpoint of its own; the progress never falls back."""
    log = gust_log(4, operators=FIVE)
    config = replace(TINY, pairs=2, seeds=1, warmup_steps=2, steps=4)
    begun: list[int] = []
    ticks: list[tuple[int, int]] = []
    table = crossval(log, config, tick=lambda *told: ticks.append(told), begins=begun.append, checkpoint=tmp_path / "a")
    assert begun == [0]
    done = [step for step, _ in ticks]
    assert done == sorted(done)
    assert len({total for _, total in ticks}) == 1
    assert done[-1] == ticks[-1][1]
    assert table.selection.pairs is not None
    assert len(table.selection.pairs.pairs) == 2


def test_one_behavior_is_refused(log: Transitions):
    alone = log.rows(log.behavior == 2)
    with pytest.raises(DataError, match=r"one behavior only, 'operator 2' \(400 records\).*--weight 0"):
        crossval(alone, TINY)


def test_a_behavior_with_few_records_is_refused(log: Transitions):
    kept = (log.behavior != 1) | (np.arange(len(log)) < 400 + 49)
    with pytest.raises(DataError, match=r"1 of 4 behaviors have fewer than 50 records: 'operator 1' \(49\)"):
        crossval(log.rows(kept), TINY)
    require_comparable(log.rows((log.behavior != 1) | (np.arange(len(log)) < 400 + 50)))


def test_values_that_are_not_finite_are_refused(log: Transitions):
    action = log.action.copy()
    action[3] = np.inf
    with pytest.raises(DataError, match="infinite value"):
        crossval(replace(log, action=action), TINY)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"seeds": 0}, "seeds is 0"),
        ({"weights": (1.0, -1.0)}, "weight is -1.0"),
        ({"members": 0}, "members is 0"),
        ({"penalty": ()}, "penalty is ().*name one or more of variance, std"),
        ({"penalty": ("variance", "none")}, "'none'.*ERM, no penalty, is always compared"),
        ({"pairs": -1}, "pairs is -1"),
    ],
)
def test_settings_that_compare_nothing_are_refused(log: Transitions, setting: dict[str, Any], message: str):
    with pytest.raises(TrainingError, match=message):
        crossval(log, replace(TINY, **setting))
