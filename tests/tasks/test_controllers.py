import numpy as np
import pytest
from safetensors.numpy import load_file

from worldrex.tasks import task
from worldrex.tasks.behaviors import HALFCHEETAH_LOGGED, HALFCHEETAH_UNLOGGED, HOPPER_LOGGED, HOPPER_UNLOGGED
from worldrex.tasks.controllers import WEIGHTS, Idle, Learned, Reach
from worldrex.tasks.gusty_mujoco import gusty_reacher

LEARNED = sorted({b.controller for b in (*HOPPER_LOGGED, *HALFCHEETAH_LOGGED)}, key=lambda law: law.name)


def test_reaching_pulls_the_tip_by_its_jacobian():
    env, rng = gusty_reacher(strength=0.0), np.random.default_rng(0)
    obs, _ = env.reset(seed=0)
    for _ in range(20):
        first, second, *target = rng.uniform(-2, 2, 2).tolist() + rng.uniform(-0.15, 0.15, 2).tolist()
        speed = rng.normal(size=2)

        def tip(first, second):
            return 0.1 * np.array([np.cos(first), np.sin(first)]) + 0.11 * np.array(
                [np.cos(first + second), np.sin(first + second)]
            )

        offset = tip(first, second) - target
        obs = np.concatenate([np.cos([first, second]), np.sin([first, second]), target, speed, offset])
        step = 1e-6
        jacobian = np.stack(
            [
                (tip(first + step, second) - tip(first, second)) / step,
                (tip(first, second + step) - tip(first, second)) / step,
            ],
            axis=1,
        )
        found = Reach(kp=2.0, kd=0.3)(obs[None])[0]
        np.testing.assert_allclose(found, -2.0 * jacobian.T @ offset - 0.3 * speed, atol=1e-5)
        assert env.observation_space.shape == obs.shape


def test_reaching_reaches():
    env = gusty_reacher(strength=0.0)
    law, ends = Reach(kp=8.0, kd=0.05), []
    for seed in range(10):
        obs, _ = env.reset(seed=seed)
        for _ in range(200):
            obs, *_ = env.step(law(obs[None])[0].astype(np.float32))
        ends.append(np.linalg.norm(obs[8:]))
    assert np.median(ends) < 0.03, "from 0.2 m away"


def test_idle_does_nothing():
    np.testing.assert_array_equal(Idle(3)(np.ones((5, 11))), np.zeros((5, 3)))


@pytest.mark.parametrize("law", LEARNED, ids=lambda law: law.name)
def test_a_learned_controller_is_its_weights_network_within_its_range(law):
    arrays = load_file(WEIGHTS / f"{law.name}.safetensors")
    obs = np.random.default_rng(0).normal(size=(50, arrays["0.weight"].shape[0])).astype(np.float32)
    hidden = np.maximum(obs @ arrays["0.weight"] + arrays["0.bias"], 0)
    hidden = np.maximum(hidden @ arrays["1.weight"] + arrays["1.bias"], 0)
    expected = 0.7 * np.tanh(hidden @ arrays["2.weight"] + arrays["2.bias"])
    found = law(obs)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.dtype == np.float64
    assert found.std() > 0.1


def test_the_skills_are_learned_ones_and_not_the_same():
    for logged, unlogged in ((HOPPER_LOGGED, HOPPER_UNLOGGED), (HALFCHEETAH_LOGGED, HALFCHEETAH_UNLOGGED)):
        skills = [b.controller for b in logged]
        # Each skill both with little and with much compensation.
        assert skills[0] == skills[2] != skills[1] == skills[3]
        assert all(isinstance(b.controller, Learned) for b in logged)
        assert unlogged[0].controller == unlogged[2].controller == logged[3].controller


def test_the_weights_are_all_used_and_small():
    files = list(WEIGHTS.glob("*.safetensors"))
    assert {file.stem for file in files} == {law.name for law in LEARNED}
    assert sum(file.stat().st_size for file in files) < 1e6


@pytest.mark.parametrize("name", ["hopper", "halfcheetah"])
def test_the_best_skill_gets_ahead_of_doing_nothing(name):
    returns = []
    env = task(f"plain-{name}").make_gusty()
    for law in (task(f"plain-{name}").logged[3].controller, Idle(env.mujoco.model.nu)):
        obs, _ = env.reset(seed=0)
        total = 0.0
        for _ in range(200):
            obs, reward, terminated, *_ = env.step(law(obs[None])[0].astype(np.float32))
            total += reward
            if terminated:
                break
        returns.append(total)
    assert returns[0] > returns[1] + 150
