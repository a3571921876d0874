"""Warnings about logs that can be used, each on a log that has it and on logs that have not."""

import dataclasses

import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data import CollectConfig, collect
from worldrex.data.findings import Finding
from worldrex.data.transitions import Transitions, concatenate
from worldrex.data.validate import require_valid, validate


def only_finding(data: Transitions) -> Finding:
    require_valid(data)
    (found,) = validate(data)
    assert found.severity == "warning"
    assert found.first_row is not None
    return found


@pytest.fixture(scope="module")
def gusty() -> Transitions:
    return collect(CollectConfig(steps_per_behavior=2048))


def test_the_built_in_task_has_no_findings(gusty):
    assert validate(gusty) == []
    assert validate(collect(CollectConfig(task="plain-pendulum", steps_per_behavior=2048))) == []


# Episodes that were logged twice.


def twice(data: Transitions, episode: int, to: int) -> None:
    for values in (data.obs, data.action, data.reward, data.next_obs):
        values[data.episode == to] = values[data.episode == episode]


def test_episodes_with_the_same_records_are_counted():
    data = make_log(behaviors=3, episodes=3, steps=20)
    twice(data, 2, 4)
    twice(data, 2, 7)
    found = only_finding(data)
    assert (found.column, found.count, found.first_row) == ("episode", 2, 80)
    assert (
        "2 episodes of 9 with the same records as another one (first episode 4 at row 80, as episode 2)"
        in found.message
    )


@pytest.mark.parametrize("column", ["obs", "action", "reward", "next_obs"])
def test_episodes_that_differ_in_one_number_in_the_middle_are_two(column):
    data = make_log(behaviors=3, episodes=3, steps=20)
    twice(data, 2, 4)
    if column in ("obs", "next_obs"):
        data.obs[90, 1] += 1
        data.next_obs[89, 1] += 1
    else:
        getattr(data, column)[90] += 1
    assert validate(data) == []


def test_the_same_log_under_two_names_is_found():
    data = make_log(behaviors=3, episodes=3, steps=20)
    copy = dataclasses.replace(data, behavior_names=("x", "y", "z"))
    found = [finding for finding in validate(concatenate([data, copy])) if finding.column == "episode"]
    assert [(finding.count, finding.first_row) for finding in found] == [(9, 180)]


# Actions that were clipped.


def test_an_action_that_piles_up_at_an_extreme_value_was_clipped():
    data = make_log(behaviors=3, episodes=3, steps=100)
    np.clip(data.action[:, 1], -np.inf, np.float32(1), out=data.action[:, 1])
    share = (data.action[:, 1] == 1).sum()
    found = only_finding(data)
    assert (found.column, found.count) == ("action", share)
    assert found.first_row == np.argmax(data.action[:, 1] == 1)
    assert f"action[:, 1] is 1 in {100 * share / 900:.0f} % of the records" in found.message
    low = dataclasses.replace(data, action=-data.action)
    assert "action[:, 1] is -1 in" in only_finding(low).message


def test_a_choice_among_a_few_actions_was_not_clipped():
    data = make_log(behaviors=3, episodes=3, steps=100)
    data.action[:] = np.sign(data.action)
    assert validate(data) == []


def test_an_action_that_is_often_zero_was_not_clipped():
    data = make_log(behaviors=3, episodes=3, steps=100)
    data.action[::2] = 0
    assert validate(data) == []


# Whole numbers that are categories.


@pytest.mark.parametrize("within", [False, True])
def test_a_few_whole_numbers_that_jump_or_stay_look_like_categories(within):
    data = make_log(behaviors=3, episodes=10, steps=50)
    rng = np.random.default_rng(0)
    gear = rng.integers(0, 4, 1501) * 2.0
    data.obs[:, 1] = gear[:-1] if within else (data.episode % 4) * 2
    data.next_obs[:, 1] = gear[1:] if within else data.obs[:, 1]
    found = only_finding(data)
    assert (found.column, found.count) == ("obs", 1)
    assert found.message.startswith("obs[:, 1] (4 values) has few values")
    assert "one-hot" in found.message


@pytest.mark.parametrize("kind", ["counter", "flag", "halves", "many"])
def test_numbers_that_are_no_categories(kind):
    data = make_log(behaviors=3, episodes=10, steps=50)
    step = np.arange(1500) % 50
    values = {
        "counter": (step // 10, (step + 1) // 10),
        "flag": (data.episode % 2, data.episode % 2),
        "halves": (data.episode % 4 / 2, data.episode % 4 / 2),
        "many": (step * 7, (step + 1) * 7),
    }
    data.obs[:, 1], data.next_obs[:, 1] = values[kind]
    assert validate(data) == []


# Rewards far from all others.


def test_a_few_rewards_far_from_the_others_are_counted():
    data = make_log(behaviors=3, episodes=10, steps=100)
    data.reward[[412, 1700]] = [-9e4, 7e4]
    found = only_finding(data)
    assert (found.column, found.count, found.first_row) == ("reward", 2, 412)
    assert "2 rewards of 3,000" in found.message
    assert "the farthest is -9e+04" in found.message


def test_rewards_at_a_terminal_and_frequent_ones_and_sparse_ones_are_the_task():
    data = make_log(behaviors=3, episodes=10, steps=100)
    data.reward[[99, 1099]] = 500
    data.terminated[[99, 1099]] = True
    assert validate(data) == []
    data = make_log(behaviors=3, episodes=10, steps=100)
    data.reward[::20] = 500
    assert validate(data) == []
    data.reward[:] = 0
    data.reward[5] = 100
    assert validate(data) == []


# Behaviors that have nothing in common.


def shifted(data: Transitions, behavior: int, by: float) -> Transitions:
    obs, next_obs = data.obs.copy(), data.next_obs.copy()
    own = data.behavior == behavior
    obs[own, 2] += by * data.obs[:, 2].std()
    next_obs[own, 2] += by * data.obs[:, 2].std()
    return dataclasses.replace(data, obs=obs, next_obs=next_obs)


def test_behaviors_without_anything_in_common_are_named(gusty):
    found = only_finding(shifted(gusty, 1, 20))
    assert (found.column, found.count, found.first_row) == ("behavior", 3, 2048)
    assert "3 pairs of behaviors, of 6, with no (obs, action) in common: 'ignores the gust' and" in found.message
    assert "No penalty can compare them" in found.message
    assert validate(shifted(gusty, 1, 1)) == []


def test_what_an_obs_component_that_names_the_behavior_does_is_said():
    data = make_log(behaviors=3, episodes=10)
    data.obs[:, 0] = data.next_obs[:, 0] = data.behavior / 7
    assert "3 pairs of behaviors, of 3" in only_finding(data).message


def test_a_ring_around_the_others_has_nothing_in_common_with_them():
    data = make_log(behaviors=3, episodes=20, steps=100)
    rng = np.random.default_rng(0)
    data.action[:] = rng.normal(size=data.action.shape) * 0.3
    ring = data.behavior == 2
    angle = rng.uniform(0, 2 * np.pi, ring.sum())
    data.action[ring] = 5 * np.column_stack([np.cos(angle), np.sin(angle)])
    assert only_finding(data).count == 2


def test_policies_that_cross_have_something_in_common():
    data = make_log(behaviors=3, episodes=20, steps=100)
    gain = np.array([1.0, -1.0, 0.5])[data.behavior]
    data.action[:, 0] = gain * data.obs[:, 0] / data.obs[:, 0].std()
    assert validate(data) == []


def test_fifty_wide_behaviors_are_compared():
    data = make_log(behaviors=50, episodes=2, steps=60, obs=300)
    noise = np.random.default_rng(0).normal(size=(6001, 300))
    data.obs[:], data.next_obs[:] = noise[:-1], noise[1:]
    assert validate(data) == []
