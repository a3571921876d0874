from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import TRUTH, linear_model, model_that_sees
from worldrex.data import Transitions
from worldrex.dynamics import Features, WorldModel, first_of_episode
from worldrex.evaluation import record_scores, score_records
from worldrex.evaluation.calibration import calibration_error, joint_pit

OTHER = TRUTH + np.array([[0.4, 0, 0], [0, 0.2, 0], [0, -0.3, 0.1]])


def drawn_from(model: WorldModel, records: Transitions, seed: int = 0) -> Transitions:
    """The same records as if the model were the world: each goes on by an elite and its noise."""
    rng = np.random.default_rng(seed)
    told = model.predict(records.obs, records.action)
    elite = rng.integers(len(model.elites), size=len(records))
    at = elite, np.arange(len(records))
    mean = np.column_stack([np.asarray(told.member_next_obs)[at], np.asarray(told.member_reward)[at]])
    std = np.column_stack([np.asarray(told.member_next_obs_std)[at], np.asarray(told.member_reward_std)[at]])
    drawn = (mean + std * rng.normal(size=mean.shape)).astype(np.float32)
    return replace(records, next_obs=drawn[:, :-1], reward=drawn[:, -1])


@pytest.fixture(scope="module")
def many() -> Transitions:
    """8,000 records."""
    return gust_log(100)


@pytest.mark.parametrize("weights", [(TRUTH,), (TRUTH, OTHER, 2 * OTHER)])
def test_a_right_model_is_calibrated(many: Transitions, weights: tuple[np.ndarray, ...]):
    model = linear_model(*weights)
    scores = score_records(model, drawn_from(model, many), np.array([1.0, 2.0, 0.5]))
    for level, covered in zip((0.5, 0.9, 0.95), scores.outputs.covered, strict=True):
        np.testing.assert_allclose(covered, level, atol=0.02)
    np.testing.assert_allclose(scores.outputs.pit.sum(0), 1, rtol=1e-6)
    np.testing.assert_allclose(scores.outputs.pit, 0.05, atol=0.012)
    assert calibration_error(scores.outputs.pit.T).max() < 0.01
    if len(weights) == 1:
        joint = joint_pit(scores.distance, 3)
        for level in (0.5, 0.9, 0.95):
            np.testing.assert_allclose((joint <= level).mean(), level, atol=0.02)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_model_with_another_noise_is_not(many: Transitions, factor: float):
    data = drawn_from(linear_model(TRUTH), many)
    right, wrong = (score_records(linear_model(TRUTH, std=std), data, np.ones(3)) for std in (0.5, 0.5 * factor))
    expected = [2 * norm.cdf(factor * norm.isf((1 - level) / 2)) - 1 for level in (0.5, 0.9, 0.95)]
    np.testing.assert_allclose(wrong.outputs.covered, np.tile(np.array(expected)[:, None], 3), atol=0.02)
    assert calibration_error(wrong.outputs.pit.T).min() > 0.05
    np.testing.assert_allclose(wrong.outputs.sharpness, 0.5 * factor, rtol=1e-5)
    for name in ("nll", "crps", "joint_nll"):
        assert getattr(wrong, name).mean() > getattr(right, name).mean() + 0.01


@pytest.mark.parametrize(
    "features", [Features(), Features(history=3, angles=(0,), absolute=(1,), masked=(2,))], ids=["plain", "all"]
)
def test_each_number_is_that_of_the_predictions(features: Features, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    log = gust_log(5)  # 400 records
    wide = rng.normal(size=(2, len(log), 3)).astype(np.float32)
    wide[..., 0] = rng.uniform(-np.pi, np.pi, (2, len(log)))
    data = replace(log, obs=wide[0], next_obs=wide[1])
    model, scale = model_that_sees(features, 3, 1), rng.uniform(0.5, 2, 4)
    monkeypatch.setattr(record_scores, "BLOCK", 150)  # the last block is short
    scores = score_records(model, data, scale)

    told = model.predict(*features.past(data, np.arange(len(data)), first_of_episode(data.episode)))
    mean = np.concatenate([told.member_next_obs, np.asarray(told.member_reward)[..., None]], -1)
    std = np.concatenate([told.member_next_obs_std, np.asarray(told.member_reward_std)[..., None]], -1) / scale
    gap = mean - np.column_stack([data.next_obs, data.reward])
    if features.angles:
        # The change is taken the short way round; what the model tells of it is not.
        change = (data.next_obs - data.obs)[:, 0]
        gap[..., 0] = mean[..., 0] - data.obs[:, 0] - ((change + np.pi) % (2 * np.pi) - np.pi)
    gap = gap / scale
    nll = -np.log(norm.pdf(gap, 0, std).mean(0))
    pit = norm.cdf(-gap / std).mean(0)
    epistemic, aleatoric = gap.var(0), np.square(std).mean(0)
    close = {"rtol": 2e-3, "atol": 1e-4}
    np.testing.assert_allclose(scores.squared, np.square(gap.mean(0)).mean(1), **close)
    np.testing.assert_allclose(scores.outputs.squared, np.square(gap.mean(0)).mean(0), **close)
    np.testing.assert_allclose(scores.nll, nll.mean(1), **close)
    np.testing.assert_allclose(scores.outputs.nll, nll.mean(0), **close)
    np.testing.assert_allclose(scores.joint_nll, -np.log(norm.pdf(gap, 0, std).prod(-1).mean(0)), **close)
    np.testing.assert_allclose(scores.crps.mean(), scores.outputs.crps.mean(), **close)
    np.testing.assert_allclose(scores.epistemic, np.sqrt(epistemic.mean(1)), **close)
    np.testing.assert_allclose(scores.aleatoric, np.sqrt(aleatoric.mean(1)), **close)
    np.testing.assert_allclose(scores.total, np.sqrt((epistemic + aleatoric).mean(1)), **close)
    np.testing.assert_allclose(scores.distance, (gap.mean(0) ** 2 / (epistemic + aleatoric)).sum(1), **close)
    np.testing.assert_allclose(scores.outputs.sharpness, np.sqrt(epistemic + aleatoric).mean(0), **close)
    within = [(np.abs(pit - 0.5) <= level / 2) for level in (0.5, 0.9, 0.95)]
    np.testing.assert_allclose(scores.outputs.covered, [x.mean(0) for x in within], atol=0.003)
    np.testing.assert_allclose(scores.covered.mean(0), [x.mean() for x in within], atol=0.003)
    shares = [np.histogram(column, 20, (0, 1))[0] / len(data) for column in pit.T]
    np.testing.assert_allclose(scores.outputs.pit, np.transpose(shares), atol=0.006)
