import dataclasses

import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data.transitions import DataError, Transitions
from worldrex.data.validate import require_valid, validate


def error_of(data: Transitions) -> str:
    with pytest.raises(DataError) as caught:
        require_valid(data, source="'log'")
    return str(caught.value)


def warning_of(data: Transitions, column: str) -> str:
    require_valid(data)
    findings = [finding for finding in validate(data) if finding.column == column]
    assert [finding.severity for finding in findings] == ["warning"]
    return findings[0].message


def test_a_good_log_has_no_findings():
    assert validate(make_log(behaviors=3)) == []


def test_values_that_are_not_finite_are_counted_for_each_component():
    data = make_log(behaviors=3, steps=20)
    data.obs[[5, 17], 2] = np.nan
    data.obs[41, 2] = np.inf
    data.reward[3] = -np.inf
    message = error_of(data)
    assert message.startswith("'log' cannot be used (rows count from 0):")
    assert "obs[:, 2] has 2 NaN and 1 infinite values (first at row 5 of 180)" in message
    assert "reward has 1 infinite value (first at row 3 of 180)" in message
    assert "drop or repair these records" in message
    assert [(f.column, f.count, f.first_row) for f in validate(data)] == [("obs[:, 2]", 3, 5), ("reward", 1, 3)]


def test_many_errors_make_a_message_of_bounded_length():
    data = make_log(obs=100, act=10)
    data.obs[2:] = data.action[:] = np.nan
    findings = validate(data)
    assert [finding.column for finding in findings] == [
        *[f"obs[:, {i}]" for i in range(4)], "obs", *[f"action[:, {i}]" for i in range(4)], "action"
    ]  # fmt: skip
    assert (findings[4].count, findings[4].first_row) == (96, 2)
    message = error_of(data)
    assert "NaN or infinite values in 96 more components of its 100" in message
    assert "and 2 more problems" in message
    assert message.count("\n") == 9


def test_a_next_obs_that_does_not_continue_is_placed():
    data = make_log(behaviors=3, episodes=2, steps=10)
    data.next_obs[[34, 35, 52], 1] += 5
    message = error_of(data)
    assert "at row 34 of episode 3, next_obs[34, 1] is " in message
    assert "(3 of 54 steps within episodes, in 2 episodes)" in message
    assert "start a new episode" in message


def test_next_obs_at_the_end_of_an_episode_is_free_and_rounding_is_allowed():
    data = make_log(behaviors=3, steps=10)
    data.next_obs[9::10] = 1e6
    data.next_obs[:9] *= np.float32(1 + 1e-7)
    require_valid(data)


def test_next_obs_shifted_by_one_row_does_not_continue():
    data = make_log(behaviors=3)
    assert "does not continue" in error_of(dataclasses.replace(data, next_obs=data.obs.copy()))


def test_tolerance_follows_the_scale_of_the_component():
    data = make_log(behaviors=3)
    small = dataclasses.replace(data, obs=data.obs * np.float32(1e-6), next_obs=data.next_obs * np.float32(1e-6))
    require_valid(small)
    small.next_obs[4, 0] += 1e-7
    assert "next_obs[4, 0]" in error_of(small)


def test_a_unit_in_the_last_place_of_a_large_offset_is_rounding():
    data = make_log(behaviors=3)
    shifted = dataclasses.replace(data, obs=data.obs + np.float32(1e6), next_obs=data.next_obs + np.float32(1e6))
    shifted.next_obs[4] = np.nextafter(shifted.next_obs[4], np.float32(np.inf))
    require_valid(shifted)


def test_an_episode_in_two_pieces_and_one_of_two_behaviors():
    data = make_log(behaviors=3, episodes=2, steps=10)
    data.episode[30:40] = 0
    assert "episode 0 goes on at row 30 after other episodes (1 such place)" in error_of(data)
    data = make_log(behaviors=3, episodes=2, steps=10)
    data.behavior[14] = 2
    assert "the behavior changes within episode 1 at row 14 (2 such places)" in error_of(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"behavior": np.full(180, -1, np.int32)}, "behavior has 180 ids below 0"),
        ({"behavior": np.full(180, 3, np.int32)}, "behavior has 180 ids above 2, the last of 3 behavior names"),
        ({"behavior_names": ("a", "b", "a")}, "'a' more than once"),
        ({"reward": np.zeros(179, np.float32)}, "unequal length"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_transitions_built_by_hand_are_checked_too(changes, message):
    data = make_log(behaviors=3, episodes=3, steps=20)
    for column, values in changes.items():
        object.__setattr__(data, column, values)
    assert message in error_of(data)


def test_one_behavior_two_behaviors_and_a_small_one():
    assert "single behavior, so no penalty can compare anything" in warning_of(make_log(behaviors=1), "behavior")
    two = warning_of(make_log(behaviors=2), "behavior")
    assert "the penalty is zero" in two
    assert "can still be fitted on both" in two
    findings = validate(make_log(behaviors=3, episodes=7, steps=7))
    assert [finding.count for finding in findings] == [3]
    assert "3 behaviors with fewer than 50 records: 'behavior 0' (49), 'behavior 1' (49)" in findings[0].message
    assert validate(make_log(behaviors=3, episodes=5, steps=10)) == []


def test_constants_are_named():
    data = make_log(behaviors=3)
    data.obs[:, 1] = data.next_obs[:, 1] = 4
    assert "obs[:, 1] is constant in all 180 records" in warning_of(data, "obs")
    data = make_log(behaviors=3)
    data.action[data.behavior == 1] = 0.5
    assert "'behavior 1' always took the same action" in warning_of(data, "action")
    data.action[:] = 0
    assert "action[:, 0], action[:, 1] are constant" in warning_of(data, "action")


def test_inputs_that_tell_the_future_are_named():
    data = make_log(behaviors=3)
    data.action[:, 1] = data.reward
    assert "reward is a copy of action[:, 1]" in warning_of(data, "reward")
    data = make_log(behaviors=3)
    data.action[:, 0] = data.next_obs[:, 2]
    assert "1 component of 3 copied from an input: next_obs[:, 2] = action[:, 0]" in warning_of(data, "next_obs")


def test_one_record_that_differs_makes_it_no_copy():
    data = make_log(behaviors=3, steps=1000)
    data.action[:, 0] = data.next_obs[:, 2]
    data.action[17, 0] += 1
    assert validate(data) == []


def test_a_set_point_is_no_leak():
    data = make_log(behaviors=3)
    data.obs[:, 0] = data.next_obs[:, 0] = 0.5 * (data.episode % 3)
    assert validate(data) == []


def test_equal_constants_are_no_copies():
    data = make_log(behaviors=3)
    data.obs[:, :2] = data.next_obs[:, :2] = 4
    data.reward[:] = 4
    assert {finding.message.split(" is constant")[0].split(" are constant")[0] for finding in validate(data)} == {
        "obs[:, 0], obs[:, 1]",
        "reward",
    }


def test_ends_of_episodes():
    data = make_log(behaviors=3, episodes=3, steps=20)
    data.truncated[[39, 59]] = False
    assert "2 episodes of 9 without terminated or truncated at the end (first at row 39)" in warning_of(
        data, "truncated"
    )
    data = make_log(behaviors=3, episodes=3, steps=20)
    data.terminated[[7, 19]] = True
    assert "1 record with terminated = 1 before the end of an episode (first at row 7)" in warning_of(
        data, "terminated"
    )


def test_names_of_others_are_quoted_and_bounded():
    data = make_log(behaviors=3, steps=5, names=("a\nb", "x" * 10_000, "[red]x"))
    messages = [finding.message for finding in validate(data)]
    assert "'a\\nb' (" in messages[0]
    assert all(len(message) < 400 for message in messages)


def test_rounding_at_every_step_is_no_break():
    data = make_log(behaviors=4, episodes=5, steps=200, obs=52)
    data.next_obs[:-1][data.episode[1:] == data.episode[:-1]] += np.float32(1e-6)
    assert validate(data) == []
