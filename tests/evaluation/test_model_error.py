import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.dynamics.gust import SLOPE, gust_log, true_outputs
from tests.dynamics.made_up import TRUTH, linear_model, made_up_model
from worldrex.data import Transitions
from worldrex.dynamics import ModelError
from worldrex.evaluation import action_slope, model_error, output_scale, score, squared_errors
from worldrex.runs import plain

WRONG = TRUTH + np.array([[0.0, 0, 0], [0, 0, 0], [0, -0.3, 0]])


@pytest.fixture(scope="module")
def floor(log: Transitions) -> np.ndarray:
    """Squared error of the true model: the gust's share."""
    return np.square(model_error.outputs_of(log) - true_outputs(log)).astype(np.float64)


def test_outputs_are_the_changes_and_the_reward(log: Transitions):
    outputs = model_error.outputs_of(log)
    np.testing.assert_array_equal(outputs[:, :2], log.next_obs - log.obs)
    np.testing.assert_array_equal(outputs[:, 2], log.reward)


def test_the_scale_is_the_deviation_of_each_output(log: Transitions):
    changed = replace(log, reward=np.full(len(log), 0.1, np.float32))
    expected = [*(log.next_obs - log.obs).std(0, dtype=np.float64), 1.0]
    np.testing.assert_allclose(output_scale(changed), expected, rtol=1e-6)


def test_a_perfect_models_error_is_the_noise_floor(log: Transitions, floor: np.ndarray):
    scale = output_scale(log)
    model = linear_model(TRUTH)
    np.testing.assert_allclose(squared_errors(model, log, scale), floor / scale**2, atol=1e-5)
    table = score({"perfect": model}, log, scale, floor=floor)
    assert list(table) == list(log.behavior_names)
    for number, entry in enumerate(table.values()):
        own = (floor / scale**2)[log.behavior == number]
        np.testing.assert_allclose(entry["noise_floor"], own.mean(), rtol=1e-6)
        np.testing.assert_allclose(entry["perfect"], own.mean(), rtol=1e-4)
        np.testing.assert_allclose(entry["outputs"]["perfect"], own.mean(0), rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(entry["outputs"]["noise_floor"], own.mean(0), rtol=1e-6)
        low, high = entry["intervals"]["perfect"]
        assert 0.7 * entry["perfect"] < low < entry["perfect"] < high < 1.4 * entry["perfect"]


def test_likelihood_and_coverage_are_those_of_the_gaussian(log: Transitions):
    scale = output_scale(log)
    model = linear_model(TRUTH, std=0.5)
    gap = model_error.outputs_of(log) - true_outputs(log)
    density = 0.5 * (gap / 0.5) ** 2 + np.log(0.5 / scale) + 0.5 * math.log(2 * math.pi)
    for number, entry in enumerate(score({"m": model}, log, scale).values()):
        own = log.behavior == number
        np.testing.assert_allclose(entry["nll"]["m"], density[own].mean(), rtol=1e-4)
        np.testing.assert_allclose(entry["coverage"]["m"], (np.abs(gap[own]) <= 1.96 * 0.5).mean(), atol=1e-3)
        assert entry["noise_floor"] is None
        assert "noise_floor" not in entry["outputs"]


def test_models_are_told_apart_on_the_same_episodes(log: Transitions, floor: np.ndarray):
    scale = output_scale(log)
    table = score({"erm": linear_model(WRONG), "chosen": linear_model(TRUTH), "again": linear_model(TRUTH)}, log, scale)
    for number, entry in enumerate(table.values()):
        assert entry["intervals"]["chosen"] == entry["intervals"]["again"]
        gap = (model_error.outputs_of(log) - true_outputs(log) + [0, 0.3, 0] * log.action)[log.behavior == number]
        np.testing.assert_allclose(entry["erm"], np.square(gap / scale).mean(), rtol=1e-4)
    json.dumps(plain(table), allow_nan=False)


def test_behaviors_without_records_are_passed_over(log: Transitions, floor: np.ndarray):
    kept = log.behavior != 1
    table = score({"m": linear_model(TRUTH)}, log.rows(kept), np.ones(3), floor=floor[kept])
    assert list(table) == ["operator 0", "operator 2", "operator 3"]
    np.testing.assert_allclose(table["operator 2"]["noise_floor"], floor[log.behavior == 2].mean(), rtol=1e-6)


def test_blocks_change_nothing(log: Transitions, monkeypatch: pytest.MonkeyPatch):
    model = linear_model(TRUTH, WRONG)
    whole = model_error.predict_outputs(model, log)
    direct = model.predict(log.obs, log.action)
    np.testing.assert_allclose(whole[0][:, :2], direct.next_obs - log.obs, atol=1e-5)
    np.testing.assert_allclose(whole[0][:, 2], direct.reward, atol=1e-5)
    np.testing.assert_allclose(whole[1][:, :2], direct.next_obs_std, rtol=1e-5)
    np.testing.assert_allclose(whole[1][:, 2], direct.reward_std, rtol=1e-5)
    monkeypatch.setattr(model_error, "BLOCK", 700)  # of 1,600 records: the last block is short
    for blocks, at_once in zip(model_error.predict_outputs(model, log), whole, strict=True):
        np.testing.assert_allclose(blocks, at_once, rtol=1e-5, atol=1e-5)
    slope = action_slope(model, log)[:, 0]
    np.testing.assert_allclose(slope, SLOPE - [0, 0.15, 0], atol=1e-5)


def test_the_slope_of_a_linear_model_is_its_weight():
    log = gust_log(2)
    np.testing.assert_allclose(action_slope(linear_model(TRUTH), log)[:, 0], SLOPE, atol=1e-5)
    both = action_slope(linear_model(TRUTH, WRONG), log)[:, 0]
    np.testing.assert_allclose(both, SLOPE - [0, 0.15, 0], atol=1e-5)


def test_the_slope_is_that_of_finite_differences_in_each_action():
    model = made_up_model()
    rng = np.random.default_rng(0)
    obs, action = (rng.normal(size=(50, width)).astype(np.float32) for width in (1, 2))
    data = replace(gust_log(1).rows(np.arange(50)), obs=obs, action=action, next_obs=obs)

    def outputs(action: np.ndarray) -> np.ndarray:
        prediction = model.predict(obs, action)
        return np.column_stack([prediction.next_obs, prediction.reward])

    slope = action_slope(model, data)
    assert slope.shape == (2, 2)
    for place in range(2):
        step = 0.01 * np.eye(2)[place]
        difference = (outputs(action + step) - outputs(action - step)).mean(0) / 0.02
        np.testing.assert_allclose(slope[:, place], difference, rtol=0.01, atol=1e-3)


def test_a_slope_needs_a_record():
    with pytest.raises(ModelError, match="at least one record"):
        action_slope(linear_model(TRUTH), gust_log(1).rows(slice(0, 0)))
