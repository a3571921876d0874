"""What of the plain penalty is the chance of sampling."""

import numpy as np
import pytest

from worldrex import risk
from worldrex.evaluation import penalty_noise

RISKS = np.array([1.0, 1.2, 1.6, 0.8])
EPISODES, STEPS = 100, 50


def made_up(risks: np.ndarray, *, alike: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses with these risks and a deviation of 1; `alike` is the deviation that an episode's records share."""
    rng = np.random.default_rng(seed)
    shape = (len(risks), EPISODES, STEPS)
    shared = alike * rng.normal(size=(*shape[:2], 1))
    losses = risks[:, None, None] + shared + np.sqrt(1 - alike**2) * rng.normal(size=shape)
    behavior = np.repeat(np.arange(len(risks)), EPISODES * STEPS)
    return losses.reshape(-1), behavior, np.arange(losses.size) // STEPS


def test_it_is_what_mini_batches_show():
    losses, behavior, episode = made_up(RISKS)
    found = penalty_noise(losses, behavior, episode, 64)
    rng = np.random.default_rng(1)
    rows = rng.integers(len(losses), size=(20_000, 64))
    moments = risk.group_moments(losses[rows], behavior[rows], 4)
    plain = float(risk.variance(moments, debiased=False).mean())
    assert found.variance == pytest.approx(RISKS.var(), rel=0.1)
    assert found.low < RISKS.var() < found.high
    # Batches vary in how many records of a behavior they hold: a little more than by the formula.
    assert found.variance + found.noise == pytest.approx(plain, rel=0.06)
    assert found.noise == pytest.approx(3 / 16 * 4 / (64 / 4), rel=0.05)
    assert found.share == pytest.approx(found.noise / (found.noise + found.variance))
    assert found.batch_enough is not None
    enough = penalty_noise(losses, behavior, episode, found.batch_enough)
    assert enough.noise == pytest.approx(0.1 * found.variance, rel=0.01)


def test_where_the_risks_do_not_differ_all_is_noise_and_no_batch_is_enough():
    found = [penalty_noise(*made_up(np.ones(4), alike=0.7, seed=seed), 256, seed=seed) for seed in range(20)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) >= 0.8
    assert sum(one.batch_enough is None for one in found) >= 18
    assert np.median([one.share for one in found]) > 0.5
    assert abs(np.mean([one.variance for one in found])) < 1e-3  # 4e-3 if records counted as independent


def test_the_interval_lies_around_the_variance():
    risks = 1 + 0.1 * np.random.default_rng(2).normal(size=30)
    found = [penalty_noise(*made_up(risks, alike=0.7, seed=seed), 256, seed=seed) for seed in range(10)]
    assert sum(one.low < risks.var() < one.high for one in found) >= 8
    assert np.mean([one.high + one.low for one in found]) / 2 == pytest.approx(risks.var(), rel=0.1)


def test_a_behavior_without_records_and_single_episodes_are_no_trouble():
    losses, behavior, _ = made_up(RISKS[:2])
    found = penalty_noise(losses, 3 * behavior, behavior, 256)
    assert np.isfinite([found.variance, found.noise, found.low, found.high]).all()


def test_a_single_behavior_has_no_variance():
    with pytest.raises(ValueError, match="1 behaviors"):
        penalty_noise(np.ones(4), np.zeros(4, int), np.arange(4), 256)
