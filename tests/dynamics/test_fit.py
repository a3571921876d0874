from dataclasses import asdict, replace
from importlib import import_module
from typing import Any

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import COMPANY, SMALL, Company, same_bits
from tests.dynamics.gust import SLOPE, gust_log
from worldrex.data import DataError, Transitions
from worldrex.dynamics import FitConfig, Run, Sweep, TrainConfig, fit, fit_runs, model_of_run
from worldrex.evaluation import action_slope

HEAVY = 2
SEEDS = 3
SCIENCE = TrainConfig(
    members=1, elites=1, hidden=(16,), batch=32, warmup_steps=200, steps=2500, learning_rate=3e-3, per_dimension=True
)
ERM, PLAIN, DEBIASED = (0.0, True), (30.0, False), (30.0, True)
SCIENCE_RUNS = [Run("variance", *kind, (), seed) for kind in (ERM, PLAIN, DEBIASED) for seed in range(SEEDS)]


def test_fit_is_the_model_of_its_run(log: Transitions, company: Company, monkeypatch: pytest.MonkeyPatch):
    config = FitConfig(**vars(replace(SMALL, seed=3)), penalty="std", weight=30.0, debiased=False)
    asked: list[Any] = []

    def trained(*arguments: Any, **hooks: Any) -> Sweep:
        asked.extend([arguments, hooks])
        own = jax.tree.map(
            lambda x: x[HEAVY : HEAVY + 1], company.sweep._replace(compile_seconds=np.zeros(9), behavior_names=())
        )
        return own._replace(behavior_names=company.sweep.behavior_names)

    monkeypatch.setattr(import_module("worldrex.dynamics.fit"), "train", trained)
    hooks = {"report": lambda progress: None, "tick": lambda done, total: None}
    model = fit(log, config, **hooks)
    run = Run("std", 30.0, False, (), 3)
    assert asked == [(log, [run], config), hooks]
    assert same_bits(model[:4], model_of_run(company.sweep, HEAVY, run, log, config)[:4])
    assert model.behavior_names == log.behavior_names
    assert model.trained == {**asdict(config), "left_out": ()}


def test_elites_are_the_members_with_the_lowest_objective(log: Transitions, company: Company):
    objective = np.array([[9.0, 9, 9], [2, 3, 1], [1, 1, 1]], np.float32)
    sweep: Sweep = company.sweep._replace(holdout_objective=objective)
    run = COMPANY[1]
    for number, expected in ((1, [0, 2]), (2, [0, 1])):
        model = model_of_run(sweep, number, run, log, SMALL)
        np.testing.assert_array_equal(model.elites, expected)
        own = jax.tree.map(lambda x, n=number: x[n], (sweep.networks, sweep.normalizers))
        assert same_bits((model.networks, model.normalizer), own)


def test_data_that_are_not_usable_are_refused(log: Transitions):
    reward = log.reward.copy()
    reward[5] = np.nan
    with pytest.raises(DataError, match=r"reward has 1 NaN value \(first at row 5"):
        fit(replace(log, reward=reward), FitConfig(**vars(SMALL)))


def test_without_a_configuration_the_penalty_is_on():
    config = FitConfig()
    assert (config.penalty, config.weight, config.debiased) == ("variance", 100.0, True)


def test_the_debiased_penalty_finds_the_effect_of_the_action():
    """The gust confounds the pooled log; the plain penalty stops half way, held by the noise of small batches."""
    log = gust_log(100)
    models, _ = fit_runs(log, SCIENCE_RUNS, SCIENCE)
    slopes = np.array([action_slope(model, log)[:, 0] for model in models]).reshape(3, SEEDS, -1)
    erm, plain, debiased = np.abs(slopes[..., 1] / SLOPE[1] - 1)
    assert (erm > 0.6).all()
    assert (plain > 0.15).all()
    assert (debiased < 0.12).all()
    assert (debiased < plain / 2).all()
    # What no gust confounds stays as it is.
    np.testing.assert_allclose(slopes[..., 2], SLOPE[2], rtol=0.05)


def test_the_predicted_deviation_is_that_of_the_noise():
    """Of squared loss, whose variance head learns apart; the same program as above."""
    calm = tuple((feedback, 0.0) for feedback in (1.0, 1.2, 0.8, 1.4))
    models, _ = fit_runs(gust_log(100, operators=calm), SCIENCE_RUNS, SCIENCE)
    fresh = gust_log(20, operators=calm, seed=1)
    for model in (models[0], models[-1]):
        std = model.predict(fresh.obs, fresh.action).next_obs_std
        np.testing.assert_allclose(np.mean(std[:, 1]), 0.5, rtol=0.15)
        assert np.mean(np.abs(std[:, 1] / 0.5 - 1) < 0.25) > 0.9
