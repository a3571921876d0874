import math
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dynamics.conftest import same_bits
from tests.dynamics.made_up import model_that_sees
from worldrex.data import Transitions
from worldrex.dynamics import Features, FitConfig, WorldModel, first_of_episode, fit
from worldrex.dynamics.features import rows_of_past, short_way

OBS, ACT, RECORDS = 5, 2, 40
LEARNING: dict[str, Any] = {
    "members": 1, "elites": 1, "hidden": (32,), "batch": 64, "warmup_steps": 100, "steps": 700, "learning_rate": 1e-2,
    "weight": 0.0,
}  # fmt: skip
SIGHTS = [
    Features(),
    Features(history=3),
    Features(absolute=(1, 3)),
    Features(angles=(4, 0)),
    Features(masked=(2,)),
    Features(masked=(0, 3), angles=(3, 1)),
    Features(masked=(4, 0, 1, 2, 3)),
    Features(angles=(0, 1, 2, 3, 4), history=2),
    Features(history=2, absolute=(1,), angles=(4, 0), masked=(2, 4)),
    Features(history=4, absolute=(2, 0), masked=(0,), angles=(3,)),
]
of_all_sights = pytest.mark.parametrize("features", SIGHTS, ids=str)


def records(features: Features, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Obs and actions as a model of these features takes them; obs reaches beyond a whole turn."""
    rng = np.random.default_rng(seed)
    lead = (RECORDS,) if features.history == 1 else (RECORDS, features.history)
    obs, action = rng.normal(scale=4, size=(*lead, OBS)), rng.normal(size=(*lead, ACT))
    return obs.astype(np.float32), action.astype(np.float32)


def among(dims: tuple[int, ...] | None, d: int) -> bool:
    return dims is not None and d in dims


@of_all_sights
def test_inputs_are_those_of_loops(features: Features):
    obs, action = records(features)
    expected = []
    for steps, actions in zip(obs.reshape(RECORDS, -1, OBS), action.reshape(RECORDS, -1, ACT), strict=True):
        plain, sines, cosines = [], [], []
        for step in steps:
            for d in range(OBS):
                if among(features.masked, d):
                    continue
                if among(features.angles, d):
                    sines.append(math.sin(step[d]))
                    cosines.append(math.cos(step[d]))
                else:
                    plain.append(step[d])
        expected.append([*plain, *sines, *cosines, *actions.ravel()])
    got = features.inputs(obs, action)
    assert isinstance(got, np.ndarray)
    assert got.shape == (RECORDS, features.num_inputs(OBS, ACT))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.array(expected), rtol=1e-6, atol=1e-6)
    compiled = jax.jit(features.inputs)(obs, action)
    np.testing.assert_allclose(compiled, np.array(expected), rtol=1e-6, atol=1e-6)
    assert compiled.dtype == jnp.float32


def of_outputs(features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    obs = records(features)[0].reshape(RECORDS, -1, OBS)[:, -1]
    next_obs = (obs + rng.normal(scale=4, size=obs.shape)).astype(np.float32)
    return obs, next_obs, rng.normal(size=RECORDS).astype(np.float32)


@of_all_sights
def test_outputs_are_those_of_loops(features: Features):
    obs, next_obs, reward = of_outputs(features)
    expected = np.zeros((RECORDS, OBS + 1))
    for row in range(RECORDS):
        for d in range(OBS):
            change = float(next_obs[row, d]) - float(obs[row, d])
            if among(features.absolute, d) or among(features.masked, d):
                change = next_obs[row, d]
            elif among(features.angles, d):
                while change >= math.pi:
                    change -= 2 * math.pi
                while change < -math.pi:
                    change += 2 * math.pi
            expected[row, d] = change
        expected[row, OBS] = reward[row]
    got = features.outputs(obs, next_obs, reward)
    assert isinstance(got, np.ndarray)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=3e-6)
    np.testing.assert_allclose(jax.jit(features.outputs)(obs, next_obs, reward), expected, atol=3e-6)


@of_all_sights
def test_next_obs_inverts_the_outputs(features: Features):
    obs, next_obs, reward = of_outputs(features)
    told = features.outputs(obs, next_obs, reward)[:, :-1]
    for back in (
        jax.jit(features.next_obs)(obs, told),
        jax.jit(features.next_obs)(obs, np.stack([told, told]))[1],
        jax.jit(features.next_obs)(obs, told[None, None])[0, 0],
    ):
        turns = (np.asarray(back) - next_obs) / (2 * np.pi)
        for d in range(OBS):
            angle = among(features.angles, d) and not among(features.masked, d)
            whole = np.round(turns[:, d]) if angle else np.zeros(RECORDS)
            np.testing.assert_allclose(turns[:, d], whole, atol=1e-6)
            # It goes on from where it was, however far the log's own angle jumped.
            if angle:
                assert np.abs(np.asarray(back)[:, d] - obs[:, d]).max() < np.pi + 1e-5


def test_the_short_way_is_less_than_half_a_turn():
    change = np.linspace(-50, 50, 100_001)
    for wrapped in (short_way(change), np.asarray(jax.jit(short_way)(change.astype(np.float32)), float)):
        near = 1e-5 if wrapped is not change else 0
        assert wrapped.min() >= -np.pi - near
        assert wrapped.max() < np.pi + near
        np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * change), atol=1e-4)
    np.testing.assert_array_equal(short_way(np.array([np.pi, -np.pi, 0.0])), [-np.pi, -np.pi, 0.0])
    np.testing.assert_allclose(short_way(np.array([1.5, -1.5, 2.0, -2.0]) * np.pi), np.array([-0.5, 0.5, 0, 0]) * np.pi)


@pytest.mark.parametrize("features", [x for x in SIGHTS if x.masked], ids=str)
def test_a_masked_dimension_changes_no_prediction(features: Features):
    model = model_that_sees(features, OBS, ACT)
    obs, action = records(features)
    told = model.predict(obs, action)
    for d in range(OBS):
        other = obs.copy()
        other[..., d] = 1e6 - 7 * obs[..., d]
        assert same_bits(model.predict(other, action), told) == among(features.masked, d)


def test_what_lies_further_back_is_seen_too():
    features = Features(history=3)
    model = model_that_sees(features, OBS, ACT)
    obs, action = records(features)
    told = model.predict(obs, action)
    for back in range(3):
        earlier, did = obs.copy(), action.copy()
        earlier[:, back, 1] += 1
        did[:, back, 0] += 1
        assert not same_bits(model.predict(earlier, action).reward, told.reward)
        assert not same_bits(model.predict(obs, did).reward, told.reward)


lengths = st.lists(st.integers(1, 6), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(lengths, st.integers(0, 1000), st.integers(2, 5))
def test_the_past_never_looks_into_another_episode(lengths: list[int], seed: int, history: int):
    rng = np.random.default_rng(seed)
    # Numbers of episodes need not ascend.
    names = rng.permutation(2 * len(lengths))[: len(lengths)].astype(np.int32)
    episode = np.repeat(names, lengths)
    begins = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
    first = first_of_episode(episode)
    assert first.dtype == np.int32
    np.testing.assert_array_equal(first, begins)
    rows = rng.integers(len(episode), size=20)
    expected = [[max(row - back, begins[row]) for back in reversed(range(history))] for row in rows]
    got = rows_of_past(rows, first[rows], history)
    np.testing.assert_array_equal(got, expected)
    assert (episode[got] == episode[rows][:, None]).all()
    traced: Any = rows_of_past(jnp.asarray(rows, jnp.int32), jnp.asarray(first[rows]), history)
    np.testing.assert_array_equal(traced, expected)


@pytest.mark.parametrize("history", [1, 2, 5])
def test_the_past_of_a_log_is_that_of_its_episodes(log: Transitions, history: int):
    data = log.rows(np.flatnonzero(np.arange(len(log)) % 20 < 3 + log.episode % 9))
    rows = np.random.default_rng(0).permutation(len(data))[:200]
    obs, action = Features(history=history).past(data, rows, first_of_episode(data.episode))
    if history == 1:
        assert same_bits([obs, action], [data.obs[rows], data.action[rows]])
        return
    assert obs.shape == (200, history, 2)
    assert action.shape == (200, history, 1)
    assert same_bits([obs[:, -1], action[:, -1]], [data.obs[rows], data.action[rows]])
    for row, seen, did in zip(rows, obs, action, strict=True):
        own = np.flatnonzero(data.episode == data.episode[row])
        steps = own[own <= row][-history:]
        kept = [steps[0]] * (history - len(steps)) + list(steps)
        assert same_bits([seen, did], [data.obs[kept], data.action[kept]])
        # Within an episode one step leads to the next.
        for earlier, later in pairwise(kept):
            assert earlier == later or same_bits(data.next_obs[earlier], data.obs[later])


def logged(steps: list[tuple[np.ndarray, ...]]) -> Transitions:
    """The log of episodes side by side: obs, action, reward and next_obs of each step; two behaviors in turn."""
    obs, action, reward, next_obs = (
        np.stack(column, 1).reshape(-1, *column[0].shape[1:]).astype(np.float32) for column in zip(*steps, strict=True)
    )
    number = np.arange(len(obs), dtype=np.int32)
    return Transitions(
        obs, action, reward, next_obs, np.zeros(len(obs), bool), number % 20 == 19, number // 20,
        number // 20 % 2, ("one", "other"),
    )  # fmt: skip


def glide(episodes: int, seed: int) -> Transitions:
    """Obs are a place that the speed moves and the speed that the action changes; the reward is the speed."""
    rng = np.random.default_rng(seed)
    place, speed, steps = rng.normal(size=episodes), rng.normal(size=episodes), []
    for _ in range(20):
        action = rng.normal(size=episodes)
        moved, faster = 0.5 * place + speed, 0.8 * speed + 0.6 * action
        steps.append((np.stack([place, speed], 1), action[:, None], speed, np.stack([moved, faster], 1)))
        place, speed = moved, faster
    return logged(steps)


def swing(episodes: int, seed: int) -> Transitions:
    """A wheel that turns on, faster where it hangs to one side; its angle is logged in [-pi, pi)."""
    rng = np.random.default_rng(seed)
    angle, steps = rng.uniform(-np.pi, np.pi, episodes), []
    for _ in range(20):
        action = rng.normal(size=episodes)
        after = short_way(angle + 0.5 + 0.3 * np.sin(angle) + 0.2 * action)
        steps.append((angle[:, None], action[:, None], np.cos(angle), after[:, None]))
        angle = after
    return logged(steps)


def error_of(model: WorldModel, data: Transitions, rows: np.ndarray) -> np.ndarray:
    """Mean squared error of each output of these rows, in units of the outputs' variance."""
    truth = np.column_stack([data.next_obs, data.reward])[rows]
    told = model.predict(*model.features.past(data, rows, first_of_episode(data.episode)))
    return np.square(np.column_stack([told.next_obs, told.reward]) - truth).mean(0) / truth.var(0)


def test_two_steps_tell_the_speed_that_is_masked():
    """From an episode's second step on, the speed follows from two places and the action between."""
    log, fresh = glide(80, 0), glide(20, 1)
    later = np.flatnonzero(first_of_episode(fresh.episode) < np.arange(len(fresh)))
    one, two = (
        error_of(fit(log, FitConfig(**LEARNING, features=Features(history=history, masked=(1,)))), fresh, later)
        for history in (1, 2)
    )
    assert (one > 0.1).all()
    assert (two < 0.02).all()


def test_an_angle_that_is_wrapped_in_the_log_is_learned_without_a_jump():
    log, fresh = swing(80, 0), swing(20, 1)
    assert (np.abs(log.next_obs - log.obs) > np.pi).mean() > 0.05
    plain, turning = (fit(log, FitConfig(**LEARNING, features=Features(angles=angles))) for angles in (None, (0,)))

    def off(model: WorldModel) -> float:
        told = np.asarray(model.predict(fresh.obs, fresh.action).next_obs)
        return float(np.sqrt(np.square(short_way(told - fresh.next_obs)).mean()))

    assert off(plain) > 0.3
    assert off(turning) < 0.05
    # All around: the change is the same on both sides of the cut, and after whole turns.
    action = np.zeros((201, 1), np.float32)
    around = np.linspace(-np.pi, np.pi, 201, dtype=np.float32)[:, None]
    change = np.asarray(turning.predict(around, action).next_obs) - around
    np.testing.assert_allclose(change, 0.5 + 0.3 * np.sin(around), atol=0.08)
    assert np.abs(np.diff(change[:, 0])).max() < 0.03
    assert abs(change[0, 0] - change[-1, 0]) < 1e-4
    turned = around + np.float32(4 * np.pi)
    np.testing.assert_allclose(np.asarray(turning.predict(turned, action).next_obs) - turned, change, atol=1e-4)


def test_what_is_not_seen_may_be_nan() -> None:
    features = Features(masked=(1,))
    obs = np.array([[1.0, np.nan, 3.0]], np.float32)
    told = np.array([[0.5, 7.0, -1.0]], np.float32)
    np.testing.assert_array_equal(features.next_obs(jnp.asarray(obs), jnp.asarray(told)), [[1.5, 7.0, 2.0]])
    assert np.isfinite(features.inputs(obs, np.ones((1, 2), np.float32))).all()


def test_no_records_have_inputs_of_the_right_width() -> None:
    obs, action = np.zeros((0, 3, 4), np.float32), np.zeros((0, 3, 2), np.float32)
    assert Features(history=3, angles=(0,)).inputs(obs, action).shape == (0, 21)
