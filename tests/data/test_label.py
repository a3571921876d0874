from dataclasses import replace

import numpy as np
import pytest

from tests.data.logs import make_log
from tests.data.readers.test_npz import THIRD_PARTY, needs_third_party
from worldrex.data import CollectConfig, LabelConfig, Transitions, agreement, collect, label, load
from worldrex.data.action_models import episode_bounds, find_own_actions, sum_episodes, view
from worldrex.data.autocorrelation import steps_per_independent_one
from worldrex.data.mixture import each_alone, fit_mixture, joint_log_likelihoods
from worldrex.data.transitions import DataError

GAINS = np.array([[1.0, 0.0, 0.5], [-1.0, 0.5, 0.0], [0.0, -1.0, 1.0]])


def controlled(gains=GAINS, *, episodes=20, steps=30, noise=0.3, offsets=(0.0, 0.0, 0.0), correlation=0.0, seed=0):
    """Episodes in a shuffled order by linear controllers that visit the same states; `behavior` is the truth."""
    rng = np.random.default_rng(seed)
    kinds = len(gains)
    log = make_log(behaviors=1, episodes=kinds * episodes, steps=steps, act=1, seed=seed)
    who = rng.permutation(np.repeat(np.arange(kinds), episodes))
    of_record = np.repeat(who, steps)
    error = rng.normal(size=(len(who), steps))
    for step in range(1, steps):
        error[:, step] = correlation * error[:, step - 1] + np.sqrt(1 - correlation**2) * error[:, step]
    action = (log.obs * gains[of_record]).sum(1) + np.array(offsets)[of_record] + noise * error.reshape(-1)
    names = tuple(f"true {kind}" for kind in range(kinds))
    return replace(
        log, action=action[:, None].astype(np.float32), behavior=of_record.astype(np.int32), behavior_names=names
    )


def truth(data: Transitions):
    return data.behavior[episode_bounds(data)[1][:-1]].astype(np.int64)


def test_three_controllers_in_the_same_states_are_told_apart():
    data = controlled()
    found = label(data)
    assert found.num_behaviors == 3
    assert found.several
    assert agreement(found.behavior, truth(data)) == 1
    assert found.sure.all()
    np.testing.assert_allclose(found.posterior.sum(1), 1)
    assert found.behavior[0] == 0, "numbered in the order in which they appear"
    one = next(candidate for candidate in found.candidates if candidate.behaviors == 1)
    assert one.behind > 3 * one.behind_error


def test_labels_are_put_into_the_log_and_nothing_else():
    data = controlled(episodes=4)
    found = label(data, LabelConfig(num_behaviors=3))
    labeled = found.labeled(data)
    assert labeled.behavior_names == ("behavior 0", "behavior 1", "behavior 2")
    np.testing.assert_array_equal(labeled.behavior, np.repeat(found.behavior, 30))
    np.testing.assert_array_equal(labeled.action, data.action)
    with pytest.raises(DataError, match="labels are those of 12 episodes"):
        found.labeled(data.rows(slice(30, None)))


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_one_controller_is_one_behavior_however_its_noise_lasts(correlation):
    found = label(controlled(GAINS[:1].repeat(3, 0), correlation=correlation))
    assert (found.num_behaviors, found.several) == (1, False)
    assert (found.posterior == 1).all()


def test_noise_that_lasts_counts_less():
    def tau(correlation):
        data = controlled(correlation=correlation, episodes=10, steps=200)
        return label(data, LabelConfig(behaviors_max=3)).steps_per_independent

    assert tau(0.0) < 1.3
    assert 7 < tau(0.8) < 12, "(1 + 0.8) / (1 - 0.8) = 9"


def test_an_autocorrelation_time_by_hand():
    assert steps_per_independent_one([np.ones((50, 1))]) == pytest.approx(50, rel=0.02)
    assert steps_per_independent_one([np.zeros((5, 2)), np.ones((1, 2))]) == 1
    alternating = np.resize([1.0, -1.0], 40)[:, None]
    assert steps_per_independent_one([alternating]) == 1


def test_constant_actions_neither_swallow_the_others_nor_fall_together():
    data = controlled(np.array([[0, 0, 0], [0, 0, 0], [0.2, 0.1, 0]]), offsets=(0.5, 0.4, 0.0), noise=0.0)
    noise = np.random.default_rng(3).normal(size=len(data)) * (data.behavior == 2) * 0.2
    data = replace(data, action=(data.action[:, 0] + noise)[:, None].astype(np.float32))
    found = label(data)
    assert np.isfinite(found.log_likelihood).all()
    assert agreement(found.behavior, truth(data)) == 1


def test_noise_has_a_floor_of_a_hundredth_of_the_spread():
    data = controlled(GAINS[:1], noise=0.0)
    sums = sum_episodes(data, episode_bounds(data)[1], view(data, "linear"))
    alone = each_alone(sums)
    mixture = fit_mixture(sums, 1, np.ones(len(sums.steps)), alone, np.random.default_rng(0))
    np.testing.assert_allclose(np.sqrt(mixture.covariance), 0.01, rtol=1e-3)
    np.testing.assert_allclose(np.sqrt(alone.covariance), 0.01, rtol=1e-3)


def test_a_log_in_which_nobody_moves():
    data = controlled(GAINS[:1])
    found = label(replace(data, action=np.full_like(data.action, 0.7)))
    assert (found.num_behaviors, found.several) == (1, False)
    # The density of each effective step is the greatest of a normal distribution as wide as the floor.
    of_step = -np.log(0.01 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found.log_likelihood, 30 * of_step / found.steps_per_independent, rtol=1e-6)


def test_very_many_episodes_are_all_labeled_by_what_500_of_them_tell():
    data = controlled(episodes=260, steps=8)
    # The third controller has the last 80 of 600 episodes: the first 500 would not show it.
    data = data.rows(np.argsort(data.behavior, kind="stable")[: 600 * 8])
    found = label(data, LabelConfig(num_behaviors=3))
    assert (found.episodes_fitted, len(found.behavior), len(found.posterior)) == (500, 600, 600)
    np.testing.assert_array_equal(found.episodes, data.episode[::8])
    assert agreement(found.behavior, truth(data)) > 0.98
    assert agreement(found.behavior[520:], np.zeros(80, np.int64)) > 0.95


def test_choices_among_a_few_values_are_told_apart_by_their_odds():
    data = controlled(episodes=15, steps=80)
    odds = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    draw = np.random.default_rng(0).random(len(data))
    choice = (draw[:, None] > odds[data.behavior].cumsum(1)).sum(1)
    data = replace(data, action=choice[:, None].astype(np.float32))
    assert len(view(data, "linear").categories[0]) == 2
    assert agreement(label(data, LabelConfig(num_behaviors=3)).behavior, truth(data)) > 0.95


def test_obs_that_repeat_earlier_actions_are_left_out():
    data = controlled(episodes=4)
    ends = data.truncated
    memory = np.zeros((len(data), 2), np.float32)
    for row in range(1, len(data)):
        if not ends[row - 1]:
            memory[row] = data.action[row - 1, 0], memory[row - 1, 0]
    after = np.column_stack([data.action[:, 0], memory[:, 0]])
    seen = replace(data, obs=np.hstack([data.obs, memory]), next_obs=np.hstack([data.next_obs, after]))
    assert find_own_actions(seen).tolist() == [3, 4]
    assert label(seen).own_actions.tolist() == [3, 4]
    assert find_own_actions(data).tolist() == []


def test_wild_and_collinear_obs_and_more_obs_than_steps():
    data = controlled(steps=12)
    rng = np.random.default_rng(0)
    many = np.hstack([data.obs, data.obs @ rng.normal(size=(3, 40)).astype(np.float32)])
    wild = many.copy()
    wild[5, 4] = 1e30
    wild = replace(data, obs=wild, next_obs=np.roll(wild, -1, 0))
    wild = replace(wild, episode=np.arange(len(data), dtype=np.int32) // 12)
    assert agreement(label(wild, LabelConfig(num_behaviors=3)).behavior, truth(data)) > 0.95


def test_the_same_seed_gives_the_same_labels():
    data = controlled(episodes=6, noise=1.5)
    first, again = label(data, LabelConfig(seed=3)), label(data, LabelConfig(seed=3))
    np.testing.assert_array_equal(first.posterior, again.posterior)
    assert first.candidates == again.candidates


def test_an_episode_of_one_step_and_a_log_of_one_episode():
    short = controlled(steps=1, episodes=40)
    assert label(short).posterior.shape[0] == 120
    lone = controlled(GAINS[:1], episodes=1)
    found = label(lone)
    assert (found.num_behaviors, found.candidates, found.several) == (1, (), False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_behaviors": 7}, "num_behaviors is 7, and the data have 6 episodes"),
        ({"num_behaviors": 0}, "num_behaviors is 0"),
        ({"behaviors_min": 3, "behaviors_max": 2}, "behaviors_min is 3 and behaviors_max 2"),
        ({"behaviors_min": 4, "behaviors_max": 5}, "worldrex needs two for each"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(DataError, match=message):
        label(controlled(episodes=2), LabelConfig(**settings))


def test_agreement_is_of_the_best_matching():
    assert agreement(np.array([2, 2, 0, 0, 1]), np.array([0, 0, 1, 1, 1])) == 0.8
    assert agreement(np.array([0, 0, 1]), np.array([1, 1, 0])) == 1


def test_the_likelihood_is_that_of_a_normal_distribution():
    from scipy.stats import multivariate_normal

    data = make_log(behaviors=1, episodes=4, steps=15)
    bounds = episode_bounds(data)[1]
    seen = view(data, "squares")
    sums = sum_episodes(data, bounds, seen)
    models = each_alone(sums)
    joint = joint_log_likelihoods(sums, models, np.full(4, 0.5))
    rows = slice(15, 30)
    residual = seen.actions(data, rows) - seen.features(data, rows) @ models.coefficients[2]
    expected = multivariate_normal([0, 0], models.covariance[2]).logpdf(residual).sum()
    assert joint[1, 2] == pytest.approx(0.5 * expected, rel=1e-6)


def test_the_gusty_operators_without_their_labels():
    data = collect(CollectConfig(steps_per_behavior=4000))
    found = label(replace(data, behavior=np.zeros_like(data.behavior), behavior_names=("log",)))
    assert found.num_behaviors == 4
    assert agreement(found.behavior, truth(data)) > 0.9


@needs_third_party
def test_pipeline():
    data = load(THIRD_PARTY / "Pipeline-high-100000-train.npz")
    found = label(data)
    assert found.own_actions.tolist() == list(range(27, 52))
    assert agreement(found.behavior, np.arange(100) % 3) >= 0.95
