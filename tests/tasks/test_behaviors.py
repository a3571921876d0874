from dataclasses import replace

import numpy as np
import pytest
from gymnasium.spaces import Box

from worldrex.tasks.behaviors import PENDULUM_LOGGED, PENDULUM_UNLOGGED, Behavior
from worldrex.tasks.controllers import Feedback, Idle

TORQUES = Box(-3.0, 3.0, (1,), np.float32)


def pendulum_obs(angle, speed):
    return np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)


@pytest.mark.parametrize("behavior", PENDULUM_LOGGED + PENDULUM_UNLOGGED, ids=lambda behavior: behavior.name)
def test_action_is_the_law_less_the_compensated_gust_plus_noise(behavior):
    rng = np.random.default_rng(0)
    angle, speed, gust = rng.uniform(-np.pi, np.pi, 20_000), rng.normal(size=20_000), rng.normal(size=20_000)
    law = behavior.controller
    assert isinstance(law, Feedback)
    expected = -law.kp * np.sin(angle) - law.kd * speed - behavior.compensation * gust
    action = behavior.act(pendulum_obs(angle, speed), gust, space=Box(-99, 99, (1,)), rng=rng)
    noise = action[:, 0] - expected
    assert np.std(noise) == pytest.approx(behavior.noise, rel=0.03)
    assert abs(np.mean(noise)) < 0.03 * behavior.noise
    for cause in (gust, np.sin(angle), speed):
        assert abs(np.corrcoef(noise, cause)[0, 1]) < 0.03


def test_without_noise_the_action_is_exact_and_clipped():
    behavior = Behavior("one", "for a test", Feedback(kp=2.0, kd=0.6), compensation=0.75, noise=0.0)
    obs = pendulum_obs(np.array([0.5, 0.0, 0.0]), np.array([0.5, 0.0, 0.0]))
    action = behavior.act(obs, np.array([2.0, 9.0, -9.0]), space=TORQUES, rng=np.random.default_rng(0))
    np.testing.assert_allclose(action[:, 0], [-2 * np.sin(0.5) - 0.3 - 1.5, -3, 3], rtol=1e-6)
    assert action.dtype == np.float32
    assert action.shape == (3, 1)


def test_the_operators_are_those_of_the_evidence():
    operators = [(b.compensation, b.controller, b.noise) for b in PENDULUM_LOGGED]
    assert operators == [
        (compensation, Feedback(kp=kp, kd=0.3 * kp), 0.4)
        for compensation, kp in ((0.0, 0.5), (0.25, 1.0), (0.5, 1.5), (0.75, 2.0))
    ]
    assert [b.compensation for b in PENDULUM_UNLOGGED] == [-0.5, 0.0, 1.25]


def test_names_are_different_and_described():
    behaviors = PENDULUM_LOGGED + PENDULUM_UNLOGGED
    assert len({behavior.name for behavior in behaviors}) == 7
    assert all(behavior.description.endswith(".") for behavior in behaviors)


def test_no_two_environments_share_noise():
    behavior = replace(PENDULUM_LOGGED[0], noise=1.0)
    obs = np.zeros((50, 3), np.float32)
    action = behavior.act(obs, np.zeros(50), space=TORQUES, rng=np.random.default_rng(0))
    assert len(np.unique(action[np.abs(action) < 3])) == (np.abs(action) < 3).sum()


def test_the_gust_is_answered_along_the_direction_alone():
    behavior = Behavior("one", "for a test", Idle(3), compensation=0.5, noise=0.0, direction=(0.6, 0.0, -0.8))
    action = behavior.act(
        np.zeros((2, 11)), np.array([1.0, -0.5]), space=Box(-1, 1, (3,)), rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(action, [[-0.3, 0, 0.4], [0.15, 0, -0.2]], rtol=1e-6)
