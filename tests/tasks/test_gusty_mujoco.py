import subprocess
import sys
import warnings

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from worldrex import tasks
from worldrex.tasks.gusty_mujoco import gusty_halfcheetah, gusty_hopper, gusty_reacher

MAKERS = {"Reacher": gusty_reacher, "Hopper": gusty_hopper, "HalfCheetah": gusty_halfcheetah}
BODIES = {"Reacher": "fingertip", "Hopper": "torso", "HalfCheetah": "torso"}
every = pytest.mark.parametrize("name", MAKERS)


def actions(env, steps, *, size=0.6):
    rng = np.random.default_rng(3)
    return rng.uniform(-size, size, (steps, *env.action_space.shape)).astype(np.float32)


def seen(inner, name):
    """What the inner environment would show if it did not clip."""
    return inner._get_obs() if name == "Reacher" else np.concatenate([inner.data.qpos[1:], inner.data.qvel])


@every
def test_gymnasium_finds_nothing_wrong(name):
    env = gymnasium.make(f"worldrex/Gusty{name}-v0", strength=0.2, correlation=0.5)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version.*")
        warnings.filterwarnings("ignore", message=".*Box observation space m.*imum value is.*infinity.*")
        check_env(env, skip_render_check=True)


@every
def test_the_announced_gust_is_what_gymnasiums_environment_feels_for_one_action(name):
    env, alone = MAKERS[name](strength=0.3), gymnasium.make(f"{name}-v5").unwrapped
    _, info = env.reset(seed=1)
    alone.reset(seed=1)
    body = alone.model.body(BODIES[name]).id
    gusts = []
    for action in actions(env, 30):
        alone.data.xfrc_applied[body] = info["gust"] * env.wrench
        alone.data.qacc_warmstart[:] = 0
        _, expected, ended, *_ = alone.step(action.astype(np.float64))
        gusts.append(info["gust"])
        obs, reward, terminated, _, info = env.step(action)
        np.testing.assert_array_equal(obs, seen(alone, name))
        assert (reward, terminated) == (expected, ended)
        assert not env.mujoco.data.xfrc_applied.any()
        if terminated:
            break
    assert len(gusts) > 5
    assert np.std(gusts) == pytest.approx(0.3, rel=0.6)


@every
def test_no_strength_is_gymnasiums_environment(name):
    env, alone = MAKERS[name](strength=0.0), gymnasium.make(f"{name}-v5").unwrapped
    obs, info = env.reset(seed=5)
    np.testing.assert_array_equal(obs, alone.reset(seed=5)[0])
    for action in actions(env, 12):
        obs, reward, _, _, info = env.step(action)
        _, expected, *_ = alone.step(action.astype(np.float64))
        np.testing.assert_allclose(obs, seen(alone, name), atol=1e-6)
        assert reward == pytest.approx(expected, abs=1e-6)
        assert info["gust"] == 0.0


@every
def test_the_observation_tells_nothing_of_the_coming_gust(name):
    calm, windy = MAKERS[name](strength=0.01), MAKERS[name](strength=1.0)
    (still, a), (windswept, b) = calm.reset(seed=2), windy.reset(seed=2)
    np.testing.assert_array_equal(still, windswept)
    assert a["gust"] == pytest.approx(b["gust"] / 100)


def test_a_gust_on_the_reacher_acts_as_an_action_does():
    env = gusty_reacher()
    obs, _ = env.reset(seed=0)
    along = np.full(2, 0.5**0.5)
    for gust in (-0.4, 0.1, 0.7):
        pushed, driven = (
            env.step_from(obs[None], action[None], np.array([force]))[0]
            for action, force in ((np.array([0.1, -0.2]), gust), (np.array([0.1, -0.2]) + gust * along, 0.0))
        )
        np.testing.assert_allclose(pushed, driven, atol=1e-12)
        assert not np.allclose(pushed, env.step_from(obs[None], np.array([[0.1, -0.2]]), np.zeros(1))[0], atol=1e-3)


@pytest.mark.parametrize(("name", "newtons"), [("Hopper", 400), ("HalfCheetah", 700)])
def test_a_gust_on_a_walker_pushes_it_forward(name, newtons):
    env = MAKERS[name]()
    obs, _ = env.reset(seed=0)
    speed = len(env.mujoco.data.qpos) - 1
    still, pushed = (env.step_from(obs[None], np.zeros((1, env.mujoco.model.nu)), np.array([g]))[0] for g in (0.0, 0.1))
    gained = (pushed - still)[0, speed]
    # Not more than the torso alone would gain, which the legs hold back.
    assert 0.2 < gained / (0.1 * newtons * env.mujoco.dt / env.mujoco.model.body_mass[env.body]) < 1


def test_the_hoppers_velocities_are_seen_as_they_are():
    env = gusty_hopper()
    env.reset(seed=0)
    env.mujoco.data.qvel[3:] = (40, -30, 20)
    obs, *_ = env.step(np.zeros(3, np.float32))
    assert np.abs(obs[5:]).max() > 10
    np.testing.assert_array_equal(obs[5:], env.mujoco.data.qvel)


def test_an_episode_of_the_hopper_ends_when_it_falls():
    env = gymnasium.make("worldrex/GustyHopper-v0", strength=1.0)
    env.reset(seed=0)
    ends = [env.step(np.zeros(3, np.float32))[2:4] for _ in range(60)]
    assert any(terminated for terminated, _ in ends)
    assert not any(truncated for _, truncated in ends)


@every
def test_a_picture_shows_the_recalled_state(name):
    env = MAKERS[name]()
    obs, _ = env.reset(seed=0)
    tip = "fingertip" if name == "Reacher" else "torso"
    before = env.mujoco.data.body(tip).xpos.copy()
    moved = obs.copy()
    moved[[0, 2] if name == "Reacher" else 0] = (0.0, 1.0) if name == "Reacher" else 2.0
    env.recall(moved)
    env.mujoco.render = lambda: env.mujoco.data.body(tip).xpos.copy()
    assert np.abs(env.render() - before).max() > 0.05


def test_making_the_half_cheetah_is_silent_and_leaves_other_warnings_alone(capfd):
    heard = []
    mujoco.set_mju_user_warning(heard.append)
    try:
        gusty_halfcheetah()
        assert heard == []
        mujoco.mj_checkPos(*broken_state())
        assert len(heard) == 1, "the callback that was there is there again"
    finally:
        mujoco.set_mju_user_warning(None)
    gusty_halfcheetah()
    assert mujoco.get_mju_user_warning() is None
    assert capfd.readouterr().err == ""


def broken_state():
    model = gymnasium.make("Hopper-v5").unwrapped.model
    data = mujoco.MjData(model)
    data.qpos[0] = np.nan
    return model, data


def test_mujoco_is_imported_when_it_is_needed_and_not_before():
    code = "import sys, worldrex, worldrex.cli; print('mujoco' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_an_observation_that_does_not_tell_the_state_is_said_so():
    class Blind(tasks.Gusty):
        def disturbed_step(self, action, gust):
            return self.env.step(action)

    env = gymnasium.make("MountainCarContinuous-v0")
    blind = Blind(env, action_space=env.action_space, strength=0.0)
    with pytest.raises(tasks.TaskError, match="Blind does not tell the state"):
        blind.step_from(np.zeros((1, 2)), np.zeros((1, 1)), np.zeros(1))
