from dataclasses import replace

import numpy as np
import pytest

from tests.dynamics.gust import MEMORY, PUSH, gust_log
from tests.dynamics.made_up import TRUTH, linear_model, model_that_sees
from worldrex.data import Transitions
from worldrex.dynamics import Features, ModelError, WorldModel, first_of_episode
from worldrex.evaluation import open_loop
from worldrex.evaluation.open_loop import starting_rows

OTHER = TRUTH + np.array([[0.1, 0, 0], [0, -0.2, 0], [0, 0.2, 0]])
SCALE = np.array([0.5, 2.0, 1.0])


@pytest.fixture(scope="module")
def one() -> Transitions:
    """100 episodes of 20 steps of one operator."""
    return gust_log(100, operators=((1.0, 0.0),))


def goes_on(weight: np.ndarray, data: Transitions, rows: np.ndarray, steps: int) -> np.ndarray:
    """Where obs goes from these rows without noise, `[step, start, obs]`."""
    obs, found = data.obs[rows].astype(float), []
    for step in range(steps):
        obs = obs + (np.column_stack([obs, data.action[rows + step]]) @ weight)[:, :-1]
        found.append(obs)
    return np.stack(found)


def as_the_model(one: Transitions, std: float) -> Transitions:
    """The log as if (obs, action) TRUTH with that noise were the world."""
    rng = np.random.default_rng(1)
    obs, next_obs = one.obs.copy(), one.next_obs.copy()
    for row in range(len(one)):
        if row and one.episode[row] == one.episode[row - 1]:
            obs[row] = next_obs[row - 1]
        next_obs[row] = obs[row] @ MEMORY.T + one.action[row] * PUSH + std * rng.normal(size=2)
    return replace(one, obs=obs, next_obs=next_obs)


def test_the_error_is_that_of_the_known_system(one: Transitions):
    rolled = open_loop(linear_model(OTHER, std=1e-6), one, SCALE, horizon=12)
    assert rolled.squared.shape == (12, 100, 2)
    truth = np.stack([one.next_obs[rolled.rows + step] for step in range(12)])
    gap = (goes_on(OTHER, one, rolled.rows, 12) - truth) / SCALE[:2]
    np.testing.assert_allclose(rolled.squared, gap**2, rtol=1e-3, atol=1e-5)
    still = (one.obs[rolled.rows] - truth) / SCALE[:2]
    np.testing.assert_allclose(rolled.persistence, still**2, rtol=1e-4, atol=1e-6)
    assert not rolled.covered.any()


def test_the_noise_adds_up_and_the_truth_is_covered(one: Transitions):
    data = as_the_model(one, 0.3)
    rolled = open_loop(linear_model(TRUTH, std=0.3), data, np.ones(3), horizon=12, starts=900)
    covariance, expected = np.zeros((2, 2)), []
    for _ in range(12):
        covariance = MEMORY @ covariance @ MEMORY.T + 0.09 * np.eye(2)
        expected.append(np.diag(covariance))
    np.testing.assert_allclose(rolled.variance.mean(1), expected, rtol=0.03)
    # The mean of 39 samples is itself uncertain.
    np.testing.assert_allclose(rolled.squared.mean((1, 2)), np.mean(expected, 1) * 40 / 39, rtol=0.15)
    for level, covered in zip((0.5, 0.9, 0.95), rolled.covered, strict=True):
        np.testing.assert_allclose(covered.mean((1, 2)), level, atol=0.06)
    wide = open_loop(linear_model(TRUTH, std=0.6), data, np.ones(3), horizon=12, starts=900)
    assert (wide.covered[0].mean((1, 2)) > 0.7).all()


def test_a_trajectory_keeps_its_elite(one: Transitions):
    rolled = open_loop(linear_model(TRUTH, OTHER, std=1e-5), one, np.ones(3), horizon=8)
    apart = np.square(goes_on(TRUTH, one, rolled.rows, 8) - goes_on(OTHER, one, rolled.rows, 8))
    # With a share p of the 39 samples, the variance is p (1 - p) 39/38 of what lies between the two: the same at each step.
    share = np.where(apart > 1e-3, rolled.variance / apart, np.nan)
    assert np.nanmax(np.nanmax(share, (0, 2)) / np.nanmin(share, (0, 2))) < 1.02
    assert 0.2 < np.nanmean(share) < 0.26
    assert np.unique(np.nanmean(share, (0, 2)).round(3)).size > 5


@pytest.mark.parametrize(
    "features",
    [Features(history=3), Features(angles=(0,)), Features(history=2, angles=(0,), absolute=(1,), masked=(2,))],
    ids=["history", "angle", "all"],
)
def test_it_goes_as_single_predictions_go(features: Features):
    log = gust_log(3)
    rng = np.random.default_rng(0)
    obs = rng.uniform(-3, 3, (len(log) + 1, 3)).astype(np.float32)
    data = replace(log, obs=obs[:-1], next_obs=obs[1:])
    model = model_that_sees(features, 3, 1, members=1)
    quiet = {name: np.full((1, 4), value, np.float32) for name, value in (("min_log_var", -40), ("max_log_var", -39))}
    model = model._replace(networks=model.networks._replace(**quiet))
    rolled = open_loop(model, data, np.ones(4), horizon=6, starts=10)
    expected = gaps_one_by_one(model, data, rolled.rows, 6)
    np.testing.assert_allclose(rolled.squared, np.square(expected), rtol=2e-3, atol=1e-3)


def gaps_one_by_one(model: WorldModel, data: Transitions, rows: np.ndarray, steps: int) -> np.ndarray:
    """Prediction minus log, each step a prediction from those before it; angles the short way round."""
    found = []
    for row in rows:
        first = first_of_episode(data.episode)
        obs, action = (x[0] for x in Features(history=9).past(data, np.array([row]), first))
        gaps = []
        for step in range(steps):
            seen = (slice(-model.features.history, None) if model.features.history > 1 else -1,)
            after = np.asarray(model.predict(obs[seen][None], action[seen][None]).next_obs)
            gaps.append((after - data.next_obs[row + step])[0])
            obs, action = np.concatenate([obs, after]), np.concatenate([action, data.action[row + step + 1][None]])
        found.append(gaps)
    gap = np.moveaxis(np.array(found), 1, 0)
    for angle in model.features.angles or ():
        gap[..., angle] = (gap[..., angle] + np.pi) % (2 * np.pi) - np.pi
    return gap


def test_an_angle_goes_on_beyond_a_turn_and_is_compared_the_short_way(one: Transitions):
    # The angle grows by 0.8 each step, the log has it within a turn.
    angle = 0.8 * (np.arange(len(one)) % 20)[:, None] + 1.0
    wrapped = ((np.hstack([angle, angle + 0.8]) + np.pi) % (2 * np.pi) - np.pi).astype(np.float32)
    data = replace(one, obs=wrapped[:, :1], next_obs=wrapped[:, 1:])
    weight = np.zeros((3, 2))  # of sine, cosine and action
    model = linear_model(weight, std=1e-6)._replace(features=Features(angles=(0,)))
    model = model._replace(
        networks=model.networks._replace(mean=(model.networks.mean[0], np.array([[0.8, 0]], np.float32)))
    )
    rolled = open_loop(model, data, np.ones(2), horizon=15)
    np.testing.assert_allclose(rolled.squared, 0, atol=1e-6)
    assert rolled.persistence.max() < np.pi**2 + 1e-3
    np.testing.assert_allclose(rolled.persistence[0], 0.64, rtol=1e-3)


def test_starts_have_all_steps_before_them():
    log = gust_log(25, operators=((1.0, 0.0),))  # 25 episodes of 20 steps
    rng = np.random.default_rng(0)
    # 25 (21 - k) records have k steps before them: 100 have 17.
    rows, steps = starting_rows(log, 50, 100, rng=rng)
    assert (len(rows), steps) == (100, 17)
    assert (rows % 20).max() == 3
    rows, steps = starting_rows(log, 10, 100, rng=rng)
    assert (len(np.unique(rows)), steps) == (100, 10)
    assert (rows % 20).max() <= 10
    assert np.unique(rows // 20).size > 20
    # A single short episode: half of its records.
    rows, steps = starting_rows(log.rows(slice(0, 7)), 50, 100, rng=rng)
    assert (list(rows), steps) == ([0, 1, 2, 3], 4)
    rows, steps = starting_rows(log.rows(slice(0, 1)), 50, 100, rng=rng)
    assert (list(rows), steps) == ([0], 1)


def test_a_seed_gives_the_same_again(one: Transitions):
    first, again, other = (open_loop(linear_model(TRUTH), one, SCALE, horizon=12, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.squared, again.squared)
    assert not np.array_equal(first.rows, other.rows)


def test_what_cannot_be_rolled_is_refused(one: Transitions):
    with pytest.raises(ModelError, match="at least one record"):
        open_loop(linear_model(TRUTH), one.rows(slice(0, 0)), SCALE)
    with pytest.raises(ModelError, match="one less than a multiple of 40"):
        open_loop(linear_model(TRUTH), one, SCALE, samples=20)
