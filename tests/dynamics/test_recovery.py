"""Steps that are not finite, and the data that bring them about."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL, arrays, same_bits
from tests.dynamics.recorder import Record, one, record_of
from worldrex.data import Transitions
from worldrex.dynamics import Progress, Run, Sweep, TrainingError, divergence, sweep, train

RUNS = [Run("variance", 10.0, True, (), 0), Run("variance", 1.0, True, (), 1)]
CONFIG = replace(SMALL, members=2, elites=1)
Trainer = Callable[..., tuple[Sweep, Record]]


@pytest.fixture
def trained(log: Transitions, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """Trains four networks in stretches of 10 steps of which some fail."""
    if jax.local_device_count() > 1:
        pytest.skip("the recorder knows one device")
    monkeypatch.setattr(sweep, "STRETCH", 10)

    def of(failures: Mapping[int, Mapping[int, int]], **more: object) -> tuple[Sweep, Record]:
        record = record_of(monkeypatch)
        record.failures = failures
        return train(log, RUNS, CONFIG, **more), record

    return of


def test_a_network_most_of_whose_steps_fail_is_put_back_and_the_others_go_on(trained: Trainer) -> None:
    said: list[str] = []
    reports: list[Progress] = []
    clean, _ = trained({})
    after, record = trained({30: {1: 6}}, say=said.append, report=reports.append)
    before, now = record.advances[3].before, record.advances[4].before
    assert same_bits(one(now.state, 1), one(before.state, 1))
    np.testing.assert_array_equal(now.learning_rate, np.float32([1e-3, 5e-4, 1e-3, 1e-3]))
    np.testing.assert_array_equal(after.skipped, [[0, 6], [0, 0]])
    assert [list(report.skipped) for report in reports] == [[0, 0], [6, 0]]
    assert len(said) == 1
    assert "steps 30 to 40" in said[0]
    assert same_bits(arrays(after, 1), arrays(clean, 1))
    assert same_bits(one(one(after.networks, 0), 0), one(one(clean.networks, 0), 0))
    assert not same_bits(one(one(after.networks, 0), 1), one(one(clean.networks, 0), 1))


def test_a_few_failed_steps_are_counted_and_put_nothing_back(trained: Trainer) -> None:
    said: list[str] = []
    after, record = trained({30: {1: 5}}, say=said.append)
    assert same_bits(record.advances[4].before, record.advances[3].after)
    np.testing.assert_array_equal(after.skipped, [[0, 5], [0, 0]])
    assert said == []


def test_what_a_network_is_put_back_to_is_its_own_last_sound_state(trained: Trainer) -> None:
    """Not that of the last stretch in which no network of the sweep had a failed step."""
    every = {start: {0: 1} for start in range(0, 60, 10)}
    _, record = trained(every | {50: {0: 1, 1: 9}, 40: {0: 1, 2: 2}}, report=lambda _: None)
    _, again = trained({40: {2: 2}, 50: {1: 9, 2: 9}})
    last = again.advances[-1]
    assert last.first == 50
    # Network 1 loses its last stretch, so that it ends where that began, whatever network 0 does meanwhile.
    for own in (record, again):
        final = own.evaluations[-1].before.state
        assert same_bits(one(final, 1), one(own.advances[-1].before.state, 1))
    # Network 2 had failed steps in the stretch before: it goes back beyond that one.
    assert same_bits(one(again.evaluations[-1].before.state, 2), one(again.advances[4].before.state, 2))


def test_put_back_over_the_switch_the_optimizer_is_still_a_fresh_one(trained: Trainer) -> None:
    _, record = trained({20: {3: 10}})
    began, now = record.advances[2].before, record.advances[3].before
    assert record.advances[2].first == 20
    assert not any(np.any(x) for x in jax.tree.leaves(one(now.state.optimizer, 3)))
    assert same_bits(one(now.state, 3), one(began.state, 3))


def test_the_fourth_time_it_ends(trained: Trainer) -> None:
    thrice = {start: {2: 10} for start in (10, 20, 40)}
    after, _ = trained(thrice)
    np.testing.assert_array_equal(after.skipped, [[0, 0], [30, 0]])
    message = r"diverged: between steps 50 and 60, after 3 returns .* with penalty variance of weight 1 and seed 1"
    with pytest.raises(TrainingError, match=message):
        trained(thrice | {50: {2: 6}})


def test_a_training_that_diverges_names_the_largest_value(log: Transitions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "STRETCH", 5)
    obs = log.obs.copy()
    obs[17, 1] = 1e4
    runs = [Run("variance", 1.0), Run("std", 3.0, learning_rate=1e30)]
    with pytest.raises(TrainingError, match=r"penalty std of weight 3 .* mean of obs\[:, 1\].* lower") as error:
        train(replace(log, obs=obs), runs, CONFIG)
    assert "39.9" in str(error.value) or "40 " in str(error.value)  # (n - 1) / sqrt(n - 1) deviations of 1,600 records
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["obs", "action", "next_obs", "reward"])
def test_the_column_of_the_largest_value_is_found(log: Transitions, name: str) -> None:
    column = getattr(log, name).copy()
    column[3] = -1e30
    told = divergence.largest(replace(log, **{name: column}), ())
    assert name in told
    left_out = [int(log.behavior[3])]
    assert "e+01" not in divergence.largest(replace(log, **{name: column}), left_out)


def nasty(log: Transitions) -> Transitions:
    """Constant and one-hot columns, values of 1e30, and a behavior that was seen once."""
    rng = np.random.default_rng(0)
    one_hot = np.eye(3, dtype=np.float32)[rng.integers(3, size=len(log))]
    outlier = rng.normal(size=(len(log), 2)).astype(np.float32)
    outlier[5, 0], outlier[900, 1] = 1e30, -1e30
    constant = np.tile(np.float32([0, 1e6]), (len(log), 1))
    once = np.concatenate([log.behavior, [4]]).astype(np.int32)
    reward = log.reward.copy()
    reward[44] = 1e30

    def with_one_more(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x, x[-1:]])

    data = replace(
        log,
        obs=np.column_stack([log.obs, constant, one_hot, outlier]),
        next_obs=np.column_stack([log.next_obs, constant, np.roll(one_hot, 1, 0), np.roll(outlier, 1, 0)]),
        action=np.column_stack([log.action, np.full((len(log), 1), 3, np.float32)]),
        reward=reward,
    )
    columns = {
        name: with_one_more(getattr(data, name))
        for name in ("obs", "next_obs", "action", "reward", "terminated", "truncated")
    }
    episode = np.concatenate([log.episode, log.episode[-1:] + 1])
    return replace(data, **columns, episode=episode, behavior=once, behavior_names=(*log.behavior_names, "once"))


@pytest.mark.parametrize("settings", [{}, {"loss": "nll", "per_dimension": True, "sampler": "balanced"}])
def test_nasty_columns_and_a_behavior_seen_once_are_trained_without_nan(log: Transitions, settings: dict) -> None:
    runs = [Run("variance", 10.0), Run("std", 10.0), Run("irm", 1.0)]
    trained = train(nasty(log), runs, replace(CONFIG, **settings))
    assert not trained.skipped.any()
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((trained.networks, trained.normalizers)))
    assert np.isfinite(trained.holdout_objective).all()
    # The record of the behavior seen once is one to learn from, so that nothing of it is held out.
    assert np.isnan(trained.holdout_risk[..., 4]).all()
    assert np.isfinite(trained.holdout_risk[..., :4]).all()


def test_a_training_without_one_sound_step_leaves_no_model(log: Transitions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it ends before it was put back too often."""
    config = replace(CONFIG, baselines=(float("nan"),) * 4)
    with pytest.raises(TrainingError, match=r"baselines is .*a noise floor is a finite number"):
        train(log, [Run("variance", 1.0)], config)
    monkeypatch.setattr(sweep, "require_trainable", lambda *_: None)
    with pytest.raises(
        TrainingError, match="training diverged: between steps 20 and 60, not one of whose steps was finite"
    ):
        train(log, [Run("variance", 1.0)], config)


def test_a_penalty_that_is_never_finite_leaves_no_model_of_the_warm_up(log: Transitions) -> None:
    config = replace(CONFIG, baselines=(1e10, 0.0, 0.0, 0.0))
    with pytest.raises(TrainingError, match=r"between steps 20 and 60, not one of .* weight 1e\+29 and seed 3"):
        train(log, [Run("variance", 0.0, seed=2), Run("variance", 1e29, seed=3)], config)
