import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.continuous_mountain_car import Continuous_MountainCarEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv, angle_normalize
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env

from worldrex.tasks import Gusty, TaskError
from worldrex.tasks.gusty import PENDULUM_EPISODE_STEPS, PENDULUM_ID, START_SPEED, gusty_pendulum


def torque(value):
    return np.array([value], np.float32)


@pytest.mark.parametrize(("strength", "correlation"), [(2.0, 0.0), (1.0, 0.9), (0.0, 0.0)])
def test_gymnasium_finds_nothing_wrong(strength, correlation):
    env = gymnasium.make(PENDULUM_ID, strength=strength, correlation=correlation)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version.*")
        warnings.filterwarnings("ignore", message=".*symmetric and normalized space.*")
        check_env(env, skip_render_check=True)


def start_states(env, *, resets=2000, options=None):
    """Angles and speeds that episodes start with."""
    env.reset(seed=0)
    obs = np.array([env.reset(options=options)[0] for _ in range(resets)])
    return np.arctan2(obs[:, 1], obs[:, 0]), obs[:, 2]


def assert_fills(values, bound):
    """All within [-bound, bound], and each twentieth of it has its share of them within 5 standard errors."""
    bound *= 1 + 1e-6  # the float32 observation may round up
    assert np.abs(values).max() <= bound
    counts, _ = np.histogram(values, bins=20, range=(-bound, bound))
    share = len(values) / 20
    assert np.abs(counts - share).max() < 5 * np.sqrt(share)


def test_an_episode_starts_at_any_angle_with_any_speed_up_to_seven_and_lasts_40_steps():
    env = gymnasium.make(PENDULUM_ID)
    angle, speed = start_states(env)
    assert_fills(angle, np.pi)
    assert_fills(speed, 7.0)
    assert abs(np.corrcoef(angle, speed)[0, 1]) < 0.1
    assert [env.step(torque(0))[3] for _ in range(40)] == [False] * 39 + [True]
    assert (START_SPEED, PENDULUM_EPISODE_STEPS) == (7.0, 40)


def test_start_speed_is_a_setting():
    angle, speed = start_states(gymnasium.make(PENDULUM_ID, start_speed=0.5))
    assert_fills(angle, np.pi)
    assert_fills(speed, 0.5)


@pytest.mark.parametrize(
    ("options", "angles", "speeds"),
    [
        ({"x_init": 0.3}, 0.3, 7.0),
        ({"y_init": 2.0}, np.pi, 2.0),
        ({"x_init": 0.3, "y_init": 2.0}, 0.3, 2.0),
        ({}, np.pi, 7.0),
    ],
)
def test_reset_options_override_the_start_states(options, angles, speeds):
    given = dict(options)
    angle, speed = start_states(gusty_pendulum(), options=options)
    assert_fills(angle, angles)
    assert_fills(speed, speeds)
    assert options == given, "the caller's options are left as they were"


def test_the_announced_gust_is_the_one_applied():
    env = gusty_pendulum()
    alone = PendulumEnv(g=3.0)
    alone.max_torque = np.inf
    _, info = env.reset(seed=1)
    rng = np.random.default_rng(0)
    gusts = []
    for _ in range(100):
        angle, speed = alone.state = env.pendulum.state
        gust, action = info["gust"], torque(rng.uniform(-3, 3))
        expected, _, *_ = alone.step(np.array([float(action[0]) + gust]))
        obs, reward, _, _, info = env.step(action)
        np.testing.assert_allclose(obs, expected, atol=1e-6)
        paid = angle_normalize(angle) ** 2 + 0.1 * speed**2 + 0.001 * float(action[0]) ** 2
        assert reward == pytest.approx(-paid, abs=1e-12)
        gusts.append(gust)
    assert np.std(gusts) == pytest.approx(2.0, rel=0.25)
    assert len(set(gusts)) == 100


def test_acceleration_is_that_of_the_evidence():
    env = gusty_pendulum()
    _, info = env.reset(seed=0)
    env.pendulum.state = np.array([0.7, -0.4])
    obs, *_ = env.step(torque(1.5))
    assert (obs[2] + 0.4) / 0.05 == pytest.approx(4.5 * np.sin(0.7) + 3 * 1.5 + 3 * info["gust"], abs=1e-4)


def test_the_actuator_is_limited_and_the_gust_is_not():
    env = gusty_pendulum(strength=20.0)
    outcomes = []
    for action in (3.0, 50.0):
        _, info = env.reset(seed=3)
        env.pendulum.state = np.array([0.0, 0.0])
        obs, reward, *_ = env.step(torque(action))
        outcomes.append((obs[2], reward))
    assert outcomes[0] == outcomes[1]
    assert abs(info["gust"]) > 6
    assert outcomes[0][0] == pytest.approx(0.15 * (3 + info["gust"]), abs=1e-5)
    assert outcomes[0][1] == pytest.approx(-0.001 * 9, abs=1e-12)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_gusts_are_stationary_with_the_correlation_asked_for(correlation):
    env = gusty_pendulum(strength=2.0, correlation=correlation)
    _, info = env.reset(seed=0)
    gusts = [info["gust"]] + [env.step(torque(0))[-1]["gust"] for _ in range(8000)]
    assert np.std(gusts) == pytest.approx(2.0, rel=0.06)
    assert np.corrcoef(gusts[1:], gusts[:-1])[0, 1] == pytest.approx(correlation, abs=0.04)
    assert np.corrcoef(gusts[2:], gusts[:-2])[0, 1] == pytest.approx(correlation**2, abs=0.05)


def test_the_first_gust_of_an_episode_has_full_strength_and_forgets_the_last_episode():
    env = gusty_pendulum(strength=2.0, correlation=0.9)
    env.reset(seed=0)
    last, first = [], []
    for _ in range(2000):
        last.append(env.step(torque(0))[-1]["gust"])
        first.append(env.reset()[1]["gust"])
    assert np.std(first) == pytest.approx(2.0, rel=0.06)
    assert abs(np.corrcoef(last, first)[0, 1]) < 0.06


def test_reset_seeds_the_gusts():
    def episode(seed):
        env = gymnasium.make(PENDULUM_ID)
        obs, info = env.reset(seed=seed)
        steps = [(*obs, info["gust"])]
        for _ in range(5):
            obs, _, _, _, info = env.step(torque(0.5))
            steps.append((*obs, info["gust"]))
        obs, info = env.reset()
        return np.array([*steps, (*obs, info["gust"])])

    np.testing.assert_array_equal(episode(7), episode(7))
    assert not np.isclose(episode(7), episode(8)).any()
    assert not np.isclose(episode(7)[0], episode(7)[-1]).any()


def test_no_strength_is_gymnasiums_pendulum():
    env, alone = gusty_pendulum(strength=0.0), PendulumEnv(g=3.0)
    obs, info = env.reset(seed=5)
    np.testing.assert_array_equal(obs, alone.reset(seed=5, options={"y_init": START_SPEED})[0])
    for action in np.linspace(-2, 2, 50, dtype=np.float32):
        obs, reward, _, _, info = env.step(torque(action))
        expected, expected_reward, *_ = alone.step(torque(action))
        np.testing.assert_allclose(obs, expected, atol=1e-6)
        assert reward == pytest.approx(expected_reward, abs=1e-6)
        assert info["gust"] == 0.0


def test_remaking_from_the_spec_adds_no_second_gust():
    spec = gymnasium.make(PENDULUM_ID, strength=1.5, correlation=0.5).spec
    assert spec is not None
    assert spec.additional_wrappers == ()
    env = gymnasium.make(spec)
    gusty = []
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, Gusty):
            gusty.append((env.strength, env.correlation))
        env = env.env
    assert gusty == [(1.5, 0.5)]


@pytest.mark.parametrize("setting", [{"strength": -1.0}, {"strength": np.inf}, {"correlation": 1.0}])
def test_settings_without_a_meaning_are_refused(setting):
    with pytest.raises(TaskError, match=r"(strength|correlation) is .*needs"):
        gusty_pendulum(**setting)


def test_another_environment_is_one_small_class():
    class GustyCar(Gusty):
        """A gust that pushes the car; the inner environment clips the sum."""

        def __init__(self, strength):
            space = Box(-0.5, 0.5, (1,), np.float32)
            super().__init__(Continuous_MountainCarEnv(), action_space=space, strength=strength)

        def disturbed_step(self, action, gust):
            self.applied = action, gust
            return self.env.step(action + gust)

    env = GustyCar(strength=0.1)
    _, announced = env.reset(seed=0)
    for action, clipped in ((0.2, 0.2), (-0.9, -0.5)):
        _, _, _, _, info = env.step(torque(action))
        assert env.applied == (pytest.approx(clipped), announced["gust"])
        announced = info
