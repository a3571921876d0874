from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest

from worldrex import tasks
from worldrex.data.collect import CollectConfig, collect
from worldrex.data.transitions import COLUMNS, DataError
from worldrex.tasks import Behavior
from worldrex.tasks.gusty import START_SPEED

GUSTY = tasks.task("gusty-pendulum")
STEPS = 100 * GUSTY.episode_steps + 20


@pytest.fixture(scope="module")
def logged():
    """A log, and the gust that each of its records hides, seen by a spy in the behaviors."""
    seen = {}
    act = Behavior.act

    def spy(self, obs, gust, *, space, rng):
        action = act(self, obs, gust, space=space, rng=rng)
        seen.update({(o.tobytes(), a.tobytes()): g for o, a, g in zip(obs, action, gust, strict=True)})
        return action

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Behavior, "act", spy)
        data = collect(CollectConfig(steps_per_behavior=STEPS))
    gust = np.array([seen[o.tobytes(), a.tobytes()] for o, a in zip(data.obs, data.action, strict=True)])
    return data, gust


def linear_fit(columns, target):
    """Coefficients and R² of least squares with an intercept."""
    design = np.column_stack([*columns, np.ones(len(target))]).astype(np.float64)
    coefficients, *_ = np.linalg.lstsq(design, target, rcond=None)
    return coefficients, 1 - np.var(target - design @ coefficients) / np.var(target)


def time_in_episode(data):
    first = np.r_[True, data.episode[1:] != data.episode[:-1]]
    rows = np.arange(len(data))
    return rows - np.maximum.accumulate(np.where(first, rows, 0))


def same(a, b):
    return all(np.array_equal(getattr(a, column), getattr(b, column)) for column in COLUMNS)


def test_each_behavior_has_its_exact_number_of_records_in_whole_episodes(logged):
    data, _ = logged
    assert data.behavior_names == tuple(behavior.name for behavior in GUSTY.logged)
    assert np.bincount(data.behavior).tolist() == [STEPS] * 4
    _, lengths = np.unique(data.episode, return_counts=True)
    assert sorted(lengths) == [20] * 4 + [GUSTY.episode_steps] * 400
    starts = np.flatnonzero(np.diff(data.episode)) + 1
    assert len(starts) == len(lengths) - 1, "an episode's rows are contiguous"
    assert not data.terminated.any()
    assert np.flatnonzero(data.truncated).tolist() == [*(starts - 1), len(data) - 1]


def test_every_record_is_one_step_of_the_simulator_under_the_gust_that_the_behavior_saw(logged):
    data, gust = logged
    next_obs, reward = tasks.true_step(GUSTY, data.obs, data.action, gust)
    np.testing.assert_allclose(data.next_obs, next_obs, atol=1e-5)
    np.testing.assert_allclose(data.reward, reward, atol=1e-5)
    follows = ~data.truncated[:-1]
    np.testing.assert_array_equal(data.next_obs[:-1][follows], data.obs[1:][follows])
    assert np.abs(data.next_obs[:-1][~follows] - data.obs[1:][~follows]).max(axis=1).min() > 1e-3
    speed = data.obs[time_in_episode(data) == 0, 2]
    assert np.abs(speed).max() <= START_SPEED, "an episode starts as the environment resets"
    assert np.std(speed) == pytest.approx(START_SPEED / np.sqrt(3), rel=0.1), "and with any of these speeds alike"


def test_no_column_tells_the_gust_before_the_step(logged):
    data, gust = logged
    moment = time_in_episode(data)
    for number, behavior in enumerate(GUSTY.logged):
        rows = (data.behavior == number) & (moment > 0)
        before = np.flatnonzero(rows) - 1
        known = [
            *(data.obs[rows].T),
            *(data.obs[rows].T ** 2),
            moment[rows],
            data.episode[rows],
            data.action[before, 0],
            data.reward[before],
            gust[before],
        ]
        _, explained = linear_fit(known, gust[rows])
        # By chance alone, R² is about the number of regressors over the number of records: 0.003.
        assert explained < 0.008
        _, with_action = linear_fit([*known, data.action[rows, 0]], gust[rows])
        if behavior.compensation == 0:
            assert with_action < 0.008
        else:
            assert with_action > 0.3, "the spy sees the gust that the behavior reacts to"


def test_the_outcome_tells_the_gust_through_the_dynamics_alone(logged):
    data, gust = logged
    angle, speed = np.arctan2(data.obs[:, 1], data.obs[:, 0]), data.obs[:, 2]
    push = (data.next_obs[:, 2] - speed) - 0.05 * (4.5 * data.obs[:, 1] + 3 * data.action[:, 0])
    free = np.abs(data.next_obs[:, 2]) < 8
    np.testing.assert_allclose(push[free], 0.15 * gust[free], atol=1e-5)
    np.testing.assert_allclose(data.reward, -(angle**2 + 0.1 * speed**2 + 0.001 * data.action[:, 0] ** 2), atol=1e-5)


def test_no_column_is_called_after_the_gust(logged):
    data, _ = logged
    assert set(vars(data)) == {*COLUMNS, "behavior_names"}
    assert not [column for column in COLUMNS if "gust" in column or "info" in column]


def test_the_log_misleads_about_the_torque_and_random_torques_do_not(logged):
    data, _ = logged
    coefficients, _ = linear_fit([*data.obs.T, data.action[:, 0]], data.next_obs[:, 2] - data.obs[:, 2])
    assert -0.1 < coefficients[3] < -0.03, "the pooled log shows the torque reversed; the truth is 0.15"
    unlogged = collect(CollectConfig(behaviors="unlogged", steps_per_behavior=2000))
    assert unlogged.behavior_names == tuple(behavior.name for behavior in GUSTY.unlogged)
    random = unlogged.rows(unlogged.behavior == unlogged.behavior_names.index("random torques"))
    coefficients, _ = linear_fit([*random.obs.T, random.action[:, 0]], random.next_obs[:, 2] - random.obs[:, 2])
    assert coefficients[3] == pytest.approx(0.15, abs=0.015)


def test_the_plain_task_hides_nothing():
    task = tasks.task("plain-pendulum")
    data = collect(CollectConfig(task="plain-pendulum", steps_per_behavior=500))
    assert tasks.noise_floor(task, data.obs, data.action, data.next_obs, data.reward).max() < 1e-10


def test_the_same_seed_gives_the_same_records():
    config = CollectConfig(steps_per_behavior=230, seed=4, num_envs=2)
    assert same(collect(config), collect(config))
    other = collect(replace(config, seed=5))
    assert not np.isclose(collect(config).obs, other.obs).all(axis=1).any()


def test_dropping_a_behavior_does_not_change_another(monkeypatch):
    config = CollectConfig(steps_per_behavior=230)
    everyone = collect(config)
    monkeypatch.setattr(tasks, "task", lambda name: replace(GUSTY, logged=GUSTY.logged[2:]))
    without = collect(config)
    rows = everyone.rows(everyone.behavior >= 2)
    for column in ("obs", "action", "reward", "next_obs", "truncated"):
        np.testing.assert_array_equal(getattr(rows, column), getattr(without, column))
    first, second = (everyone.rows(everyone.behavior == number) for number in (0, 1))
    assert not np.isclose(first.obs, second.obs).all(axis=1).any()


@pytest.mark.parametrize(("steps", "num_envs"), [(1, 16), (39, 3), (40, 1), (41, 16), (250, 2)])
def test_any_number_of_records(steps, num_envs):
    data = collect(CollectConfig(steps_per_behavior=steps, num_envs=num_envs))
    assert np.bincount(data.behavior).tolist() == [steps] * 4
    _, lengths = np.unique(data.episode, return_counts=True)
    assert lengths.max() <= GUSTY.episode_steps
    assert (lengths < GUSTY.episode_steps).sum() == 4 * (steps % GUSTY.episode_steps > 0)
    assert data.truncated.sum() == len(lengths)


def test_progress_counts_to_the_end():
    calls = []
    collect(CollectConfig(steps_per_behavior=150), progress=lambda done, total: calls.append((done, total)))
    done = [call[0] for call in calls]
    assert {total for _, total in calls} == {600}
    assert done == sorted(done)
    assert done[-1] == 600
    assert len(done) > 100


class Countdown(gymnasium.Env):
    """An episode of random length that terminates; the observation is (steps so far, episode)."""

    observation_space = gymnasium.spaces.Box(0, 1e6, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    episodes = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episodes += 1
        self.steps, self.length = 0, int(self.np_random.integers(1, 6))
        return self.look(), {"gust": 0.0}

    def step(self, action):
        self.steps += 1
        return self.look(), float(self.steps), self.steps == self.length, False, {"gust": 0.0}

    def look(self):
        return np.array([self.steps, self.episodes], np.float32)


@dataclass(frozen=True)
class CountdownTask(tasks.Task):
    def make_env(self, num_envs):
        return gymnasium.vector.SyncVectorEnv([Countdown] * num_envs)


def test_the_reset_step_after_a_terminated_episode_is_not_logged(monkeypatch):
    idle = Behavior("idle", "Does nothing.", lambda obs: np.zeros((len(obs), 1)), compensation=0.0, noise=0.0)
    settings = {**vars(GUSTY), "logged": (idle,), "episode_steps": 40}
    monkeypatch.setattr(tasks, "task", lambda name: CountdownTask(**settings))
    data = collect(CollectConfig(steps_per_behavior=200, num_envs=5))
    assert len(data) == 200
    np.testing.assert_array_equal(data.obs[:, 0], time_in_episode(data))
    np.testing.assert_array_equal(data.next_obs[:, 0], data.obs[:, 0] + 1)
    np.testing.assert_array_equal(data.next_obs[:, 1], data.obs[:, 1])
    np.testing.assert_array_equal(data.reward, data.next_obs[:, 0])
    last = np.r_[np.diff(data.episode) != 0, True]
    np.testing.assert_array_equal(data.terminated | data.truncated, last)
    assert not (data.terminated & data.truncated).any()
    assert data.terminated.sum() > 40
    assert data.truncated.sum() <= 5


def test_a_task_that_terminates_gives_the_count_asked_for_and_its_own_ends():
    data = collect(CollectConfig(task="gusty-hopper", steps_per_behavior=450, num_envs=3))
    assert np.bincount(data.behavior).tolist() == [450] * 4
    assert data.terminated.sum() > 4
    last = np.r_[np.diff(data.episode) != 0, True]
    np.testing.assert_array_equal(data.terminated | data.truncated, last)
    # Where a hopper falls it is low or bent over, and no record goes on from there.
    fallen = (data.next_obs[:, 0] <= 0.7) | (np.abs(data.next_obs[:, 1]) >= 0.2)
    np.testing.assert_array_equal(data.terminated, fallen)
    np.testing.assert_array_equal(data.obs[1:][~last[:-1]], data.next_obs[:-1][~last[:-1]])
    assert data.obs.dtype == data.next_obs.dtype == np.float32


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"steps_per_behavior": 0}, "steps_per_behavior is 0.*1 or more"),
        ({"num_envs": 0}, "num_envs is 0.*1 or more"),
        ({"seed": -1}, "seed is -1.*0 or more"),
    ],
)
def test_settings_that_cannot_be_collected_are_refused(setting, message):
    with pytest.raises(DataError, match=message):
        collect(CollectConfig(**setting))


def test_a_misspelled_set_of_behaviors_is_refused():
    config = CollectConfig()
    object.__setattr__(config, "behaviors", "unloged")  # past the annotation that tests enforce
    with pytest.raises(DataError, match="'unloged'; choose 'logged' or 'unlogged'"):
        collect(config)


def test_an_unknown_task_is_refused():
    with pytest.raises(tasks.TaskError, match="there is no task"):
        collect(CollectConfig(task="windy"))
