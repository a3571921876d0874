import dataclasses
import inspect
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import COMPANY, SMALL, TARGET, Company, Stepper, arrays, one_by_one, optimized, same_bits
from worldrex.data import Transitions, holdout
from worldrex.dynamics import (
    Progress,
    Run,
    Sweep,
    TrainConfig,
    TrainingError,
    fit_runs,
    layout,
    require_trainable,
    sweep,
    train,
)
from worldrex.dynamics.features import Features
from worldrex.dynamics.normalizer import Normalizer, fit_normalizer, moments_of_behaviors
from worldrex.dynamics.processes import whole_of_one

NONE, ERM, HEAVY, TARGETED, PLAIN = range(len(COMPANY))


def retrained(data: Transitions, runs: Sequence[Run] = COMPANY, **more: Any) -> Sweep:
    """The company's program, which is compiled already, on other records or runs."""
    with optimized(True):
        return train(data, runs, SMALL, **more)


def distorted(data: Transitions, rows: np.ndarray) -> Transitions:
    """The log with huge values in these rows."""

    def distort(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[rows] = 1e4 * (x[rows] + 7)
        return x

    columns = ("obs", "action", "reward", "next_obs")
    return dataclasses.replace(data, **{name: distort(getattr(data, name)) for name in columns})


def test_a_run_is_the_same_alone_on_two_devices_as_in_company_on_one(company: Company):
    _, message = company.alone.communicate()
    assert company.alone.returncode == 0, message
    with np.load(company.file) as alone:
        assert same_bits(list(alone.values()), arrays(company.sweep, TARGETED))


def test_a_run_does_not_depend_on_what_or_where_the_others_are(log: Transitions, company: Company):
    # As many penalties and folds as before, so that the program is compiled already.
    others = [
        COMPANY[NONE],
        Run("variance", 1.0, True, (0,), 9),
        COMPANY[PLAIN],
        Run("none", 0.0, True, (0,), 7),
        TARGET,
    ]
    again = retrained(log, others)
    assert same_bits(arrays(again, 0), arrays(company.sweep, NONE))
    assert same_bits(arrays(again, 2), arrays(company.sweep, PLAIN))
    assert same_bits(arrays(again, 4), arrays(company.sweep, TARGETED))


def test_weight_0_is_no_penalty(company: Company):
    assert same_bits(arrays(company.sweep, ERM), arrays(company.sweep, NONE))


def test_weights_part_only_after_the_first_phase(company: Company):
    first, last = company.reports
    assert (first.step, last.step, last.total) == (20, 60, 60)
    assert first.train_risk[HEAVY] == first.train_risk[ERM]
    assert same_bits(first.holdout_risk[HEAVY], first.holdout_risk[ERM])
    assert last.train_risk[HEAVY] != last.train_risk[ERM]
    assert not np.isclose(last.holdout_risk[HEAVY], last.holdout_risk[ERM], rtol=1e-4).any()


def test_seeds_and_members_differ(log: Transitions, company: Company):
    runs = list(COMPANY)
    runs[HEAVY] = dataclasses.replace(COMPANY[ERM], seed=1)
    reseeded = retrained(log, runs)
    for x, y in zip(
        jax.tree.leaves(reseeded.networks.trunk), jax.tree.leaves(company.sweep.networks.trunk), strict=True
    ):
        assert (x[HEAVY] != x[ERM]).mean() > 0.9  # steps of Adam may add up to the same float
        assert (y[ERM, 0] != y[ERM, 1]).mean() > 0.9
        assert (y[ERM, 1] != y[ERM, 2]).mean() > 0.9


def test_the_left_out_behavior_touches_nothing(log: Transitions, company: Company):
    distant = retrained(distorted(log, np.isin(log.behavior, TARGET.left_out)))
    assert same_bits(arrays(distant, TARGETED), arrays(company.sweep, TARGETED))
    assert not same_bits(arrays(distant, ERM), arrays(company.sweep, ERM))
    np.testing.assert_array_equal(
        np.isnan(distant.holdout_risk[TARGETED]), np.tile(np.isin(np.arange(4), TARGET.left_out), (SMALL.members, 1))
    )
    assert np.isfinite(distant.holdout_risk[ERM]).all()


def test_held_out_episodes_touch_no_training(log: Transitions, company: Company):
    _, held_out = holdout(log, SMALL.holdout, seed=SMALL.seed)
    distant = retrained(distorted(log, held_out))
    trained = distant.networks, distant.normalizers
    assert same_bits(trained, (company.sweep.networks, company.sweep.normalizers))
    assert (distant.holdout_risk[ERM] > 100 * company.sweep.holdout_risk[ERM]).all()


def test_whole_behaviors_that_are_held_out_touch_no_training_and_choose_the_elites(log: Transitions):
    config = dataclasses.replace(SMALL, held_out_behaviors=("operator 1", "operator 3"), keep="last")
    held_out = np.isin(log.behavior, (1, 3))
    models, plain = fit_runs(log, [COMPANY[HEAVY], TARGET], config)
    next_obs = np.where(held_out[:, None], log.next_obs * 1e3 - 7, log.next_obs)
    distant = train(dataclasses.replace(log, next_obs=next_obs), [COMPANY[HEAVY], TARGET], config)
    assert same_bits((distant.networks, distant.normalizers), (plain.networks, plain.normalizers))
    judged = np.array([False, True, False, True])
    for trained in (plain, distant):
        np.testing.assert_array_equal(~np.isnan(trained.holdout_risk), np.broadcast_to(judged, (2, 3, 4)))
        assert np.isfinite(trained.holdout_objective).all()
    assert (distant.holdout_risk[..., judged] > 1e3 * plain.holdout_risk[..., judged]).all()
    # The risks of each member under all records of these behaviors, in units of what was trained on.
    for run, model in enumerate(models):
        told = model._replace(elites=np.arange(3)).predict(log.obs, log.action)
        means = np.concatenate([told.member_next_obs, np.asarray(told.member_reward)[..., None]], -1)
        gaps = (means - np.column_stack([log.next_obs, log.reward])) / model.normalizer.output_std
        for behavior in (1, 3):
            risks = np.square(gaps).mean(-1)[:, log.behavior == behavior].mean(1)
            np.testing.assert_allclose(plain.holdout_risk[run, :, behavior], risks, rtol=1e-4)
        np.testing.assert_array_equal(model.elites, np.sort(np.argsort(plain.holdout_objective[run])[:2]))


def test_each_run_has_the_normalizer_of_its_own_training_records(log: Transitions, company: Company):
    rows, _ = holdout(log, SMALL.holdout, seed=SMALL.seed)
    moments = moments_of_behaviors(log, whole_of_one(log), one_by_one(log, rows), Features())
    for number, run in enumerate(COMPANY):
        own = rows[~np.isin(log.behavior[rows], run.left_out)]
        inputs = np.column_stack([log.obs, log.action])[own].astype(np.float64)
        outputs = np.column_stack([log.next_obs - log.obs, log.reward])[own].astype(np.float64)
        trained = jax.tree.map(lambda x, n=number: x[n], company.sweep.normalizers)
        assert same_bits(trained, fit_normalizer(moments, leaving_out=run.left_out))
        expected = Normalizer(inputs.mean(0), inputs.std(0), outputs.mean(0), outputs.std(0))
        for got, want in zip(trained, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


def test_held_out_risks_and_objectives_are_those_of_the_members(log: Transitions, company: Company):
    _, held_out = holdout(log, SMALL.holdout, seed=SMALL.seed)
    inputs = np.column_stack([log.obs, log.action])[held_out]
    outputs = np.column_stack([log.next_obs - log.obs, log.reward])[held_out]
    normalizer = jax.tree.map(lambda x: x[HEAVY], company.sweep.normalizers)
    hidden = (inputs - normalizer.input_mean) / normalizer.input_std
    ((weight, bias),), (last, offset) = company.sweep.networks.trunk, company.sweep.networks.mean
    hidden = hidden @ weight[HEAVY, 1] + bias[HEAVY, 1]
    predicted = hidden / (1 + np.exp(-hidden)) @ last[HEAVY, 1] + offset[HEAVY, 1]
    losses = np.square(predicted - (outputs - normalizer.output_mean) / normalizer.output_std).mean(1)
    by_behavior = [losses[log.behavior[held_out] == behavior] for behavior in range(4)]
    risks = np.array([x.mean() for x in by_behavior])
    np.testing.assert_allclose(company.sweep.holdout_risk[HEAVY, 1], risks, rtol=1e-4)
    debiased = risks.var() - 3 / 16 * sum(x.var(ddof=1) / len(x) for x in by_behavior)
    objective = company.sweep.holdout_objective[HEAVY, 1]
    np.testing.assert_allclose(objective, (risks.mean() + 30 * debiased) / 30, rtol=1e-4)
    of_members = company.sweep.holdout_objective[HEAVY].mean() * 30 - company.sweep.holdout_risk[HEAVY].mean()
    np.testing.assert_allclose(company.reports[-1].holdout_penalty[HEAVY], of_members / 30, rtol=1e-3)
    np.testing.assert_allclose(
        company.reports[-1].holdout_risk, company.sweep.holdout_risk.mean(1), rtol=1e-6, equal_nan=True
    )


def test_reports_and_ticks_change_nothing(log: Transitions, company: Company, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep, "REPORT_STEPS", 25)
    monkeypatch.setattr(sweep, "STRETCH", 10)
    reports: list[Progress] = []
    ticks = []
    often = retrained(log, report=reports.append, tick=lambda done, total: ticks.append((done, total)))
    assert [report.step for report in reports] == [20, 25, 50, 60]
    assert ticks == [(done, 60) for done in (10, 20, 25, 30, 40, 50, 60)]
    assert same_bits(arrays(often), arrays(company.sweep))
    assert same_bits(reports[0].holdout_risk, company.reports[0].holdout_risk)


def test_the_loop_is_init_and_step_with_a_fresh_optimizer_at_the_switch(stepper: Stepper, company: Company):
    state = stepper.init(stepper.assignment)
    fresh = state.optimizer
    for number in range(60):
        if number == 20:
            state = state._replace(optimizer=fresh)
        state, _ = stepper.step(state, stepper.assignment, number)
    trained = jax.tree.map(lambda x: x[HEAVY, 1], company.sweep.networks)
    for ours, theirs in zip(jax.tree.leaves(state.network), jax.tree.leaves(trained), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_changes_beyond_float32_are_refused(log: Transitions):
    obs, next_obs = log.obs.copy(), log.next_obs.copy()
    obs[7:], next_obs[7:] = -3e38, 3e38
    with pytest.raises(
        TrainingError, match="next_obs - obs, action or reward is not finite in float32, first at row 7"
    ):
        train(dataclasses.replace(log, obs=obs, next_obs=next_obs), COMPANY, SMALL)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"members": 0}, "members is 0; training needs 1 or more"),
        ({"elites": 0}, "elites is 0; training needs 1 or more"),
        ({"elites": 4}, "elites is 4 of 3 members"),
        ({"batch": 1}, "batch is 1; training needs 2 or more"),
        ({"warmup_steps": -1}, "warmup_steps is -1"),
        ({"steps": 0}, "steps is 0; training needs 1 or more"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**31}, "seed is 2147483648; training takes 2,147,483,647 at most"),
        ({"batch": 10**11}, "batch is 100000000000; training takes"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; training needs a positive"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"weight_decay": (-1e-4,)}, r"weight_decay is \(-0.0001,\)"),
        ({"weight_decay": ()}, r"weight_decay is \(\)"),
        ({"patience": 0}, "patience is 0; stopping early needs 1"),
        ({"tracking": 1.0}, "tracking is 1.0; give 0 \\(the batch alone\\) to below 1"),
        ({"tracking": -0.1}, "tracking is -0.1"),
        ({"sampler": "weighted", "behavior_weights": (1.0, -1.0)}, "behavior_weights is .*0 or more"),
        ({"behavior_weights": (1.0,) * 4}, "behavior_weights is given, and the sampler 'natural' does not use it"),
        ({"sampler": "weighted"}, "behavior_weights has 0 of the 4 numbers"),
        ({"sampler": "weighted", "behavior_weights": (0.0,) * 4}, "behavior_weights are all 0"),
        ({"baselines": (1.0, 2.0)}, "baselines has 2 of the 4 numbers"),
        ({"deterministic": True, "loss": "nll"}, "loss is 'nll', a likelihood, and a deterministic"),
        ({"hidden": (16, 0)}, "hidden is \\(16, 0\\); a layer needs a width"),
        ({"holdout": 0.0}, "holdout is 0.0; it is a share between 0 and 1"),
        ({"holdout": 1.0}, "holdout is 1.0; it is a share between 0 and 1"),
        ({"features": Features(history=0)}, "history is 0; a network needs 1 step"),
        (
            {"features": Features(absolute=(-1,))},
            r"absolute is \(-1,\); give different dimensions of obs, counted from 0",
        ),
        ({"features": Features(angles=(1, 1))}, r"angles is \(1, 1\); give different dimensions"),
        ({"features": Features(masked=(0, -2))}, r"masked is \(0, -2\); give different dimensions"),
        ({"features": Features(absolute=(0, 1), angles=(1,))}, "dimension 1 of obs is in both absolute and angles"),
        ({"features": Features(absolute=(2,))}, "absolute names dimension 2 of obs, and this log's are 0 to 1"),
        ({"features": Features(angles=(0, 7))}, "angles names dimension 7 of obs, and this log's are 0 to 1"),
        ({"features": Features(masked=(2,))}, "masked names dimension 2 of obs, and this log's are 0 to 1"),
        ({"termination": "hoper"}, "termination is 'hoper'; choose learned, none, a rule"),
        (
            {"held_out_behaviors": ("operator 9",)},
            "held_out_behaviors has 'operator 9', and the log has 'operator 0', ",
        ),
        ({"held_out_behaviors": tuple(f"operator {n}" for n in range(4))}, "held_out_behaviors are all behaviors"),
        (
            {"held_out_behaviors": ("operator 0", "operator 1", "operator 3")},
            "no records are left when 'operator 2' is",
        ),
    ],
)
def test_a_configuration_that_cannot_train_is_refused(log: Transitions, setting: dict[str, Any], message: str):
    with pytest.raises(TrainingError, match=message):
        train(log, [TARGET], dataclasses.replace(SMALL, **setting))


def test_an_unknown_loss_is_refused(log: Transitions):
    config = dataclasses.replace(SMALL)
    object.__setattr__(config, "loss", "huber")  # past the types that these tests check
    with pytest.raises(TrainingError, match="loss is 'huber'; choose one of squared, nll, beta_nll"):
        train(log, [TARGET], config)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", 1e3, "steps is 1000.0; training needs a whole number"),
        ("hidden", 64, r"hidden is 64; give the width of each layer"),
        ("hidden", ("64",), r"hidden is \('64',\); give the width"),
        ("learning_rate", "0.1", "learning_rate is '0.1'; training needs a number"),
    ],
)
def test_what_is_no_number_is_refused(log: Transitions, name: str, value: Any, message: str):
    config = dataclasses.replace(SMALL)
    object.__setattr__(config, name, value)  # as a program without type checks has it
    with pytest.raises(TrainingError, match=message):
        train(log, [TARGET], config)
    with pytest.raises(TrainingError, match="weight is '10'; a penalty needs a weight of 0"):
        inspect.unwrap(require_trainable)(SMALL, ["10"])


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), 1e39])
def test_a_weight_that_is_no_weight_is_refused(log: Transitions, weight: float):
    with pytest.raises(TrainingError, match=re.escape(f"weight is {weight!r}; a penalty needs a weight of 0")):
        train(log, [TARGET, Run(weight=weight)], SMALL)


def test_a_fold_without_records_is_refused(log: Transitions):
    with pytest.raises(TrainingError, match="no records are left when 'operator 0' is left out"):
        train(log.rows(log.behavior == 0), [Run(left_out=(0,))], SMALL)


def test_networks_of_one_run_have_their_own_keys():
    config = TrainConfig(members=2, elites=1)
    assignments = layout.assignments_of(
        [Run(seed=0), Run(seed=0, weight=1.0), Run(seed=1)], [()], [("variance", True)], config, 4
    )
    keys = np.asarray(jax.random.key_data(assignments.key))
    assert len(keys) == 8  # as many for each of four devices
    keys, weights = keys[layout.slots_of(8, 4)], np.asarray(assignments.weight)[layout.slots_of(8, 4)]
    assert same_bits(keys[:2], keys[2:4])  # another weight: the same first weights and records
    assert len(np.unique(keys[[0, 1, 4, 5]], axis=0)) == 4
    np.testing.assert_array_equal(weights, [100, 100, 1, 1, 100, 100, 100, 100])
    assert same_bits(keys[5:], keys[[5, 5, 5]])  # the last one fills up


def test_a_runs_members_are_dealt_out_to_all_devices():
    slots = layout.slots_of(12, 4)
    assert sorted(slots) == list(range(12))
    device = slots // 3
    np.testing.assert_array_equal(device, np.arange(12) % 4)
    np.testing.assert_array_equal(layout.slots_of(5, 1), np.arange(5))
