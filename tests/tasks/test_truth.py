from dataclasses import replace

import numpy as np
import pytest
from gymnasium.envs.classic_control.pendulum import PendulumEnv

from worldrex import tasks
from worldrex.tasks.gusty import gusty_pendulum

GUSTY = tasks.task("gusty-pendulum")
PLAIN = tasks.task("plain-pendulum")
MUJOCO = ("reacher", "hopper", "halfcheetah")


def records(count, *, max_speed=8.0, seed=0):
    """States all around the circle, the seam at ±π and the speed limit included, actions and gusts."""
    rng = np.random.default_rng(seed)
    angle = np.concatenate([rng.uniform(-np.pi, np.pi, count - 20), np.pi + np.linspace(-0.01, 0.01, 20)])
    speed = rng.uniform(-max_speed, max_speed, count)
    obs = np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)
    return angle, obs, rng.uniform(-3, 3, (count, 1)).astype(np.float32), 2 * rng.standard_normal(count)


def test_true_step_is_gymnasiums_own():
    angle, obs, action, gust = records(400)
    next_obs, reward = tasks.true_step(GUSTY, obs, action, gust)
    env = PendulumEnv(g=3.0)
    env.max_torque = np.inf
    for row in range(len(obs)):
        # Whole turns, as the environment accumulates them, must not matter.
        env.reset(seed=0)
        env.state = np.array([angle[row] + 2 * np.pi * (row % 3 - 1), obs[row, 2]])
        torque = float(action[row, 0])
        expected, with_gust, *_ = env.step(np.array([torque + gust[row]]))
        np.testing.assert_allclose(next_obs[row], expected, atol=1e-5)
        assert reward[row] == pytest.approx(with_gust + 0.001 * ((torque + gust[row]) ** 2 - torque**2), abs=1e-5)
    assert (np.abs(next_obs[:, 2]) == 8).sum() >= 5


def test_true_step_is_the_gusty_environments_own():
    env = gusty_pendulum()
    obs, info = env.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(200):
        action, gust = rng.uniform(-4, 4, (1, 1)).astype(np.float32), np.array([info["gust"]])
        next_obs, reward = tasks.true_step(GUSTY, obs[None], action, gust)
        obs, true_reward, _, _, info = env.step(action[0])
        np.testing.assert_allclose(next_obs[0], obs, atol=1e-5)
        assert reward[0] == pytest.approx(true_reward, abs=1e-5)


def test_noise_floor_is_the_error_of_the_mean_under_fresh_gusts():
    _, obs, action, gust = records(100)
    obs[:10, 2] = 7.9
    next_obs, reward = tasks.true_step(GUSTY, obs, action, gust)
    fresh = 2 * np.random.default_rng(9).standard_normal(4000 * len(obs))
    fresh_next_obs, _ = tasks.true_step(GUSTY, np.tile(obs, (4000, 1)), np.tile(action, (4000, 1)), fresh)
    mean = fresh_next_obs.reshape(4000, *obs.shape).mean(axis=0)
    floor = tasks.noise_floor(GUSTY, obs, action, next_obs, reward)
    np.testing.assert_allclose(np.sqrt(floor[:, 2]), np.abs(next_obs - mean)[:, 2], atol=0.02)
    np.testing.assert_allclose(np.sqrt(floor[:, :2]), np.abs(next_obs - mean)[:, :2], atol=0.001)
    # The reward of a step is settled before the gust acts.
    assert floor[:, 3].max() < 1e-10


def test_noise_floor_of_the_speed_is_the_gusts_own_push():
    _, obs, action, gust = records(300, max_speed=4.0)
    next_obs, reward = tasks.true_step(GUSTY, obs, action, gust)
    floor = tasks.noise_floor(GUSTY, obs, action, next_obs, reward)
    np.testing.assert_allclose(floor[:, 2], (0.15 * gust) ** 2, atol=1e-6)
    other = tasks.noise_floor(GUSTY, obs, action, next_obs, reward, draws=16, seed=5)
    np.testing.assert_allclose(floor, other, atol=1e-5)


def test_without_a_gust_there_is_no_noise_floor():
    _, obs, action, _ = records(300)
    next_obs, reward = tasks.true_step(PLAIN, obs, action, np.zeros(300))
    floor = tasks.noise_floor(PLAIN, obs, action, next_obs.astype(np.float32), reward.astype(np.float32))
    assert floor.max() < 1e-11


def test_slope_away_from_the_limits():
    _, obs, action, _ = records(300, max_speed=3.0)
    action[:3, 0] = (-3.0, 3.0, 5.0)
    slope = tasks.true_slope(GUSTY, obs, action)
    assert slope.shape == (300, 4, 1)
    np.testing.assert_allclose(slope[:, 2, 0], 0.15, atol=1e-9)
    np.testing.assert_allclose(slope[:, 3, 0], -0.002 * np.clip(action[:, 0], -3, 3), atol=2e-6)
    cosine, sine, _ = tasks.true_step(PLAIN, obs, action, np.zeros(300))[0].T
    flat = tasks.true_slope(PLAIN, obs, action)
    inside = slice(3, None)
    np.testing.assert_allclose(flat[inside, 0, 0], -sine[inside] * 0.05 * 0.15, atol=1e-7)
    np.testing.assert_allclose(flat[inside, 1, 0], cosine[inside] * 0.05 * 0.15, atol=1e-7)


def test_slope_at_the_speed_limit_is_the_share_of_gusts_that_stay_below():
    obs = np.array([[1, 0, 8], [1, 0, 7.7], [1, 0, -8]], np.float32)
    action = np.array([[0], [0], [-2]], np.float32)
    slope = tasks.true_slope(GUSTY, obs, action, draws=512)[:, 2, 0]
    # Below the limit where the gust is under 0, under one strength, or over 2 N m = one strength.
    np.testing.assert_allclose(slope / 0.15, [0.5, 0.841, 0.159], atol=0.01)
    assert tasks.true_slope(PLAIN, obs[:1], action[:1] + 1)[0, 2, 0] == 0


def test_strength_is_the_tasks_own():
    _, obs, action, _ = records(50)
    calm = replace(GUSTY, strength=0.0)
    at_limit = np.abs(obs[:, 2]) > 7.7
    assert at_limit.any()
    difference = tasks.true_slope(GUSTY, obs, action)[at_limit, 2] - tasks.true_slope(calm, obs, action)[at_limit, 2]
    assert np.abs(difference).max() > 0.01


def test_wrong_requests_are_answered():
    _, obs, action, gust = records(30)
    with pytest.raises(tasks.TaskError, match=r"\(2, 1\) columns; gusty-pendulum has \(3, 1\)"):
        tasks.true_step(GUSTY, obs[:, :2], action, gust)
    for draws in (0, 7):
        with pytest.raises(tasks.TaskError, match=f"draws is {draws};.*even"):
            tasks.true_slope(GUSTY, obs, action, draws=draws)


def episodes(task, behavior, *, count=4, seed=0):
    """Records of whole episodes, as a log holds them (float32), the gusts that no log holds, and what the true ends were."""
    env, rng = task.make_gusty(), np.random.default_rng(seed)
    rows = []
    for number in range(count):
        obs, info = env.reset(seed=seed + number)
        for _ in range(task.episode_steps):
            action = behavior.act(obs[None], np.array([info["gust"]]), space=env.action_space, rng=rng)[0]
            gust = info["gust"]
            next_obs, reward, terminated, _, info = env.step(action)
            rows.append((obs.astype(np.float32), action, gust, next_obs, reward))
            obs = next_obs
            if terminated:
                break
    return [np.array(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("kind", MUJOCO)
def test_replaying_a_logged_record_under_its_gust_gives_what_was_logged(kind):
    task = tasks.task(f"gusty-{kind}")
    obs, action, gust, next_obs, reward = episodes(task, task.logged[2])
    found, paid = tasks.true_step(task, obs, action, gust)
    off = np.abs(found - next_obs).max(1)
    assert np.median(off) < 2e-6
    assert np.quantile(off, 0.99) < 1e-3
    assert np.quantile(np.abs(paid - reward), 0.99) < 1e-3
    # Without its gust it would not be.
    assert np.median(np.abs(tasks.true_step(task, obs, action, 0 * gust)[0] - next_obs).max(1)) > 0.05


@pytest.mark.parametrize("kind", MUJOCO)
def test_the_mujoco_tasks_noise_floor_is_the_gusts_own(kind):
    gusty, plain = tasks.task(f"gusty-{kind}"), tasks.task(f"plain-{kind}")
    obs, action, gust, next_obs, reward = (column[::5] for column in episodes(gusty, gusty.logged[0], count=2))
    floor = tasks.noise_floor(gusty, obs, action, next_obs, reward)
    effect = tasks.gust_effect(gusty, obs, action)
    speed = np.abs(effect.mean(0)).argmax()
    ratio = floor[:, speed].mean() / np.mean((effect[:, speed] * gust) ** 2)
    assert ratio == pytest.approx(1, abs=0.3)
    # Few draws for a simulator that takes records one by one.
    np.testing.assert_array_equal(floor, tasks.noise_floor(gusty, obs, action, next_obs, reward, draws=8))
    calm, paid = tasks.true_step(plain, obs, action, 0 * gust)
    assert tasks.noise_floor(plain, obs, action, calm, paid).max() < 1e-12


@pytest.mark.parametrize("kind", MUJOCO)
def test_actions_beyond_the_actuator_are_cut_off(kind):
    task = tasks.task(f"gusty-{kind}")
    obs, action, *_ = (column[:3] for column in episodes(task, task.logged[0], count=1))
    full, beyond = (tasks.true_step(task, obs, np.sign(action) * size, np.zeros(3)) for size in (1.0, 7.0))
    np.testing.assert_array_equal(full[0], beyond[0])
    np.testing.assert_array_equal(full[1], beyond[1])


def test_the_reachers_slope_and_gust_are_the_same_thing():
    task = tasks.task("gusty-reacher")
    obs, action, *_ = (column[:20] for column in episodes(task, task.logged[0], count=1))
    slope = tasks.true_slope(task, obs, action) @ np.array(task.direction)
    np.testing.assert_allclose(slope[:, :-1], tasks.gust_effect(task, obs, action)[:, :-1], atol=5e-3)
    # Of the action alone the reward charges.
    charged = -2 * action @ np.array(task.direction)
    np.testing.assert_allclose(slope[:, -1], charged + tasks.gust_effect(task, obs, action)[:, -1], atol=5e-3)
