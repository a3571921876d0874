from dataclasses import replace

import numpy as np
import pytest

from tests.policy.made_up import log_of, untrained
from worldrex.dynamics import Features
from worldrex.policy import MOPOConfig, PolicyError, require_learnable, setting_of

CONFIG = MOPOConfig(hidden=(8,))


def test_the_log_as_the_networks_see_it():
    data = log_of()
    data = replace(data, terminated=np.arange(len(data)) % 12 == 11, truncated=np.arange(len(data)) % 12 == 5)
    setting = setting_of([untrained()], data, CONFIG)
    np.testing.assert_allclose(np.mean(setting.log.obs, 0), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(setting.log.obs, 0), 1, rtol=1e-5)
    np.testing.assert_allclose(
        setting.log.next_obs, (data.next_obs - data.obs.mean(0)) / data.obs.std(0), rtol=1e-4, atol=1e-5
    )
    assert (setting.log.action.min(), setting.log.action.max()) == (-1, 1)
    np.testing.assert_array_equal(setting.log.reward, data.reward)
    # The log ended at a truncation, and not the future.
    np.testing.assert_array_equal(setting.log.terminated, data.terminated)
    np.testing.assert_array_equal(setting.starts, data.obs)
    np.testing.assert_array_equal(setting.first, data.obs[::6])


def test_a_constant_observation_is_not_divided_by_zero():
    data = log_of()
    for column in (data.obs, data.next_obs):
        column[:, 1] = 3
    setting = setting_of([untrained()], data, CONFIG)
    np.testing.assert_array_equal(setting.log.obs[:, 1], 0)


def test_models_that_differ_in_more_than_their_numbers_are_refused():
    for other in (untrained(members=5), untrained(termination="0:-1:1"), untrained(features=Features(absolute=(0,)))):
        with pytest.raises(PolicyError, match="learn in each by itself"):
            setting_of([untrained(), other], log_of(), CONFIG)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps is 0; learning needs 1 or more"),
        ({"horizon": 0}, "horizon is 0"),
        ({"hidden": ()}, "actor and critics need a layer or more"),
        ({"real_ratio": 1.5}, "real_ratio is 1.5; it is a share from 0 to 1"),
        ({"pessimism": -1.0}, "pessimism is -1.0; give a finite number of 0"),
        ({"pessimism": float("nan")}, "pessimism is nan"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"uncertainty": "entropy"}, "choose one of aleatoric, disagreement, pairwise, behavior_spread, bellman"),
        ({"target_entropy": float("inf")}, "target_entropy is inf"),
        ({"conservatism": -1.0}, "conservatism is -1.0; give a finite number of 0"),
        ({"conservatism": 1.0, "real_ratio": 0.0}, "of a batch of 256 0 records come from the log at real_ratio 0"),
        ({"conservatism": 1.0, "real_ratio": 1.0}, "of a batch of 256 256 records come from the log"),
        ({"imitation": -1.0}, "imitation is -1.0; give a finite number of 0"),
        ({"imitation": 1.0, "real_ratio": 0.001}, "no record comes from the log at real_ratio 0.001: give a larger"),
        ({"absorb_reward": -1.0}, "absorb_reward is -1.0, and no step leads to an absorbing state: give absorb_beyond"),
        ({"absorb_beyond": 1.5}, "absorb_beyond is 1.5; it is a quantile from 0 to 1"),
        ({"absorb_beyond": 0.9, "uncertainty": "bellman"}, "bellman changes with the critics"),
        ({"absorb_beyond": 0.9, "discount": 1.0}, "discount is 1; an absorbing state needs one below 1"),
        ({"absorb_beyond": 0.9, "absorb_reward": float("nan")}, "absorb_reward is nan"),
    ],
)
def test_settings_that_nothing_is_learned_with_are_refused(wrong: dict, message: str):
    config = replace(CONFIG)
    require_learnable(config)
    vars(config).update(wrong)  # not through __init__, whose types the tests check
    with pytest.raises(PolicyError, match=message):
        require_learnable(config)
