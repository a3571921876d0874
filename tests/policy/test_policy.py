import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from worldrex.policy import Policy, PolicyError, Scales, load_policy
from worldrex.policy.networks import init_actor
from worldrex.runs import RunError

LOW, HIGH = np.array([-3.0, 0.0], np.float32), np.array([3.0, 0.5], np.float32)
OBS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


@pytest.fixture
def policy() -> Policy:
    scales = Scales(np.array([1.0, 0, -1], np.float32), np.array([2.0, 1, 0.5], np.float32), LOW, HIGH)
    return Policy(init_actor(3, 2, (8, 8), key=jax.random.key(0)), scales, {"algorithm": "none"})


def test_actions_are_within_their_bounds_whatever_the_observation(policy: Policy):
    for key in (None, jax.random.key(1)):
        action = np.asarray(policy.act(1e6 * OBS, key=key))
        assert (action >= LOW).all()
        assert (action <= HIGH).all()


def test_the_middle_without_a_key_and_draws_with_one(policy: Policy):
    hidden = (OBS - [1, 0, -1]) / [2, 1, 0.5]
    for weight, bias in policy.actor.trunk:
        hidden = np.maximum(hidden @ np.asarray(weight) + np.asarray(bias), 0)
    middle = np.tanh(hidden @ np.asarray(policy.actor.mean[0]) + np.asarray(policy.actor.mean[1]))
    np.testing.assert_allclose(policy.act(OBS), LOW + (middle + 1) / 2 * (HIGH - LOW), atol=1e-5)
    one, same, other = (policy.act(OBS, key=jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (np.asarray(one) != np.asarray(other)).all()


def test_one_observation_or_any_number_of_axes(policy: Policy):
    together = policy.act(OBS)
    np.testing.assert_allclose(policy.act(OBS[0]), together[0], atol=1e-6)
    np.testing.assert_allclose(policy.act(OBS.reshape(5, 10, 3)), together.reshape(5, 10, 2), atol=1e-6)
    assert policy.act(OBS[0].astype(np.float64)).shape == (2,)


def test_observations_of_another_width_are_refused(policy: Policy):
    with pytest.raises(PolicyError, match=r"obs has shape \(50, 2\); this policy sees observations of width 3"):
        policy.act(OBS[:, :2])


def test_a_saved_policy_does_the_same_to_the_bit(policy: Policy, tmp_path: Path):
    policy.save(tmp_path / "run" / "policy")
    for folder in (tmp_path / "run", tmp_path / "run" / "policy"):
        loaded = load_policy(folder)
        np.testing.assert_array_equal(loaded.act(OBS), policy.act(OBS))
        assert loaded.trained == policy.trained
    assert json.loads((tmp_path / "run" / "policy" / "policy.json").read_text())["format"] == 1


def test_a_folder_without_a_policy_a_damaged_one_or_another_format_is_refused(policy: Policy, tmp_path: Path):
    with pytest.raises(PolicyError, match="holds no policy that can be read"):
        load_policy(tmp_path)
    policy.save(tmp_path)
    description = json.loads((tmp_path / "policy.json").read_text())
    for change, message in (
        ({"format": 2}, "is not of format 1"),
        ({"sha256": "0"}, "policy.safetensors is not the file"),
        ({"hidden_layers": 1}, "damaged"),
        ({"hidden_layers": 3}, "damaged"),
    ):
        (tmp_path / "policy.json").write_text(json.dumps(description | change))
        with pytest.raises(PolicyError, match=message):
            load_policy(tmp_path)
    with pytest.raises(RunError, match="cannot make the folder"):
        policy.save(tmp_path / "policy.json" / "inside")


def test_bounds_that_are_not_in_order_are_damage(policy: Policy, tmp_path: Path):
    policy._replace(scales=policy.scales._replace(low=HIGH, high=LOW)).save(tmp_path)
    with pytest.raises(PolicyError, match="actions of 2 components between"):
        load_policy(tmp_path)


def test_scales_there_and_back(policy: Policy):
    action = np.array([[-3.0, 0.5], [1.0, 0.2]], np.float32)
    unit = policy.scales.to_unit(action)
    np.testing.assert_allclose(unit[0], [-1, 1])
    np.testing.assert_allclose(policy.scales.from_unit(unit), action, rtol=1e-6)
    assert jnp.allclose(policy.scales.standardized(policy.scales.obs_mean[None]), 0)
