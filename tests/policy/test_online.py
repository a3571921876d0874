from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from worldrex.dynamics import TrainingError
from worldrex.policy import OnlineConfig, OnlineProgress, Policy, PolicyError, Scales, learn_online, load_policy, online
from worldrex.policy.acting import Learner
from worldrex.policy.networks import apply_actor

CONFIG = OnlineConfig(
    hidden=(16,),
    batch=32,
    learning_rate=1e-2,
    discount=0.5,
    temperature=0.1,
    steps=600,
    learning_starts=50,
    buffer=150,
    seed=1,
)
LOW, HIGH = -3.0, 1.0


class Step(NamedTuple):
    """What an environment was told and what it gave."""

    obs: np.ndarray
    action: np.ndarray
    reward: float
    next_obs: np.ndarray
    terminated: bool
    began: float
    """Where its episode began, which tells it from all others."""


class Nudge(gymnasium.Env):
    """obs: a position, and a quarter for each step; an action moves it within [-1, 1]; the square of where it lands is lost.

    The best action is minus the position. An episode that began above 0.5 terminates after three steps.
    """

    def __init__(self, taken: list[Step], breaks_at: int = 10**9, price: float = 1.0, **spaces: Any) -> None:
        self.observation_space = spaces.get("obs", Box(-np.inf, np.inf, (2,), np.float64))
        self.action_space = spaces.get("action", Box(LOW, HIGH, (1,), np.float32))
        self.taken, self.breaks_at, self.price = taken, breaks_at, price

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.obs = np.array([self.np_random.uniform(-0.8, 0.8), 0.0])
        self.began = float(self.obs[0])
        return self.obs, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        before, self.obs = self.obs, np.array([np.clip(self.obs[0] + action[0], -1, 1), self.obs[1] + 0.25])
        reward = -self.price * float(np.square(self.obs[0]))
        if len(self.taken) >= self.breaks_at:
            reward = np.nan
        terminated = bool(self.began > 0.5 and self.obs[1] == 0.75)
        self.taken.append(Step(before, action.copy(), reward, self.obs, terminated, self.began))
        return self.obs, reward, terminated, False, {}


def nudges(
    count: int = 2, *, mode: AutoresetMode = AutoresetMode.NEXT_STEP, **given: Any
) -> tuple[SyncVectorEnv, list[Step]]:
    """Environments side by side, truncated after 5 steps, and what happens in them, in order."""
    taken: list[Step] = []
    one = lambda: gymnasium.wrappers.TimeLimit(Nudge(taken, **given), 5)  # noqa: E731
    return SyncVectorEnv([one] * count, autoreset_mode=mode), taken


@pytest.fixture
def learners(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Learner]]:
    """The last learner, as each learning leaves it."""
    found: list[Learner] = []

    def watched(*given: Any) -> tuple[Learner, jax.Array]:
        found[:], action = [(told := advance(*given))[0]], told[1]
        return found[0], action

    advance = online.advance
    monkeypatch.setattr(online, "advance", watched)
    return found


def leaves(policy: Policy) -> list[np.ndarray]:
    return [np.asarray(x) for x in jax.tree.leaves(policy[:2])]


def test_the_best_policy_is_found_and_saved(tmp_path: Path):
    envs, _ = nudges()
    reports: list[OnlineProgress] = []
    policy = learn_online(
        envs, replace(CONFIG, steps=1500, updates_per_step=2), report=reports.append, report_every=300
    )
    position = np.linspace(-0.8, 0.8, 9)
    obs = np.stack([position, 0 * position], -1)
    np.testing.assert_allclose(policy.act(obs)[:, 0], -position, atol=0.15)
    assert np.concatenate([report.returns for report in reports])[-20:].mean() > -0.3
    policy.save(tmp_path)
    np.testing.assert_array_equal(load_policy(tmp_path).act(obs), policy.act(obs))
    assert policy.trained["algorithm"] == "sac"
    assert policy.trained["transitions"] == 1500


@pytest.mark.parametrize("steps", [130, 200])
def test_the_buffer_holds_what_happened_and_nothing_else(steps: int, learners: list[Learner]):
    """The step that begins an episode is none; what was cut off did not terminate; the last observation is the true one."""
    envs, taken = nudges()
    learn_online(envs, replace(CONFIG, steps=steps, buffer=131))
    buffer = learners[0].replay
    size, slots = int(buffer.size), len(buffer.records.reward)
    assert size == min(len(taken), slots)
    assert steps <= len(taken) < steps + 2
    oldest = int(buffer.cursor) if size == slots else 0
    records = jax.tree.map(lambda x: np.roll(np.asarray(x), -oldest, 0)[:size], buffer.records)
    expected = Step(*map(np.array, zip(*taken[-size:], strict=True)))
    np.testing.assert_allclose(records.obs, expected.obs, rtol=1e-6)
    np.testing.assert_allclose(records.next_obs, expected.next_obs, rtol=1e-6)
    np.testing.assert_allclose(records.action, 2 * (expected.action - LOW) / (HIGH - LOW) - 1, atol=1e-6)
    np.testing.assert_allclose(records.reward, expected.reward, rtol=1e-6)
    np.testing.assert_array_equal(records.terminated, expected.terminated)
    last = expected.next_obs[:, 1]
    assert {0.75, 1.25} <= set(last), "episodes of both kinds ended"
    np.testing.assert_array_equal(records.obs[:, 1], records.next_obs[:, 1] - 0.25)


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not():
    found, first = [], []
    for seed in (1, 1, 2):
        envs, taken = nudges()
        found.append(leaves(learn_online(envs, replace(CONFIG, steps=150, seed=seed))))
        first.append(taken[0])
    for x, y in zip(*found[:2], strict=True):
        np.testing.assert_array_equal(x, y)
    assert any((x != y).any() for x, y in zip(*found[1:], strict=True))
    assert first[0].obs[0] == first[1].obs[0] != first[2].obs[0]
    assert first[0].action[0] == first[1].action[0] != first[2].action[0]


def test_random_actions_first_and_then_draws_of_the_policy_as_it_is_now():
    """In units of the Gaussian that the report before it tells of, each draw is standard normal."""
    envs, taken = nudges(1)
    reports: list[OnlineProgress] = []
    config = replace(CONFIG, steps=400, learning_starts=200, learning_rate=3e-2)
    learn_online(envs, config, report=reports.append, report_every=1)
    assert [report.step for report in reports] == [*range(1, 401)]
    assert [report.updates for report in reports[199:202]] == [0, 1, 1]
    first = np.array([step.action[0] for step in taken[:200]])
    assert first.mean() == pytest.approx(-1, abs=0.3)
    assert first.std() == pytest.approx(4 / np.sqrt(12), abs=0.15)
    draws = []
    for report, step in zip(reports[200:-1], taken[201:], strict=True):
        told = apply_actor(report.policy.actor, jnp.asarray(step.obs[None], jnp.float32))
        unit = np.clip((step.action + 1) / 2, -1 + 1e-6, 1 - 1e-6)
        draws.append((np.arctanh(unit) - told.mean[0]) / np.exp(told.log_std[0]))
    assert np.std(draws) == pytest.approx(1, abs=0.15)
    assert np.abs(draws).max() < 4.5


def test_reports_tell_of_each_episode_when_it_ended():
    envs, taken = nudges()
    reports: list[OnlineProgress] = []
    ticks: list[tuple[int, int]] = []
    config = replace(CONFIG, steps=200)
    policy = learn_online(
        envs, config, report=reports.append, report_every=60, tick=lambda done, total: ticks.append((done, total))
    )
    # Two environments step together, so a multiple may be met one late.
    assert [report.step // 60 for report in reports] == [1, 2, 3, 3]
    assert ticks == [(report.step, 200) for report in reports]
    assert sum(report.updates for report in reports) <= 100
    ended = np.concatenate([report.ended for report in reports])
    returns = np.concatenate([report.returns for report in reports])
    assert (np.diff(ended) >= 0).all()
    for report, begins in zip(reports, [0, *(report.step for report in reports)], strict=False):
        assert ((report.ended > begins) & (report.ended <= report.step)).all()
    lasts = [step for step in taken if step.terminated or step.next_obs[1] == 1.25]
    np.testing.assert_allclose(returns, [sum(x.reward for x in taken if x.began == last.began) for last in lasts])
    assert reports[-1].critic_loss > 0
    assert reports[-1].temperature != reports[0].temperature
    for x, y in zip(leaves(reports[-1].policy), leaves(policy), strict=True):
        np.testing.assert_array_equal(x, y)
    assert any((x != y).any() for x, y in zip(leaves(reports[0].policy), leaves(policy), strict=True))


def test_several_updates_are_made_at_each_step():
    reports: list[OnlineProgress] = []
    learn_online(nudges(1)[0], replace(CONFIG, steps=150, updates_per_step=3), report=reports.append, report_every=150)
    assert reports[-1].updates == 3 * (150 - CONFIG.learning_starts)


def test_scales_that_are_given_hold():
    envs, taken = nudges()
    scales = Scales(*(np.array(x, np.float32) for x in ([0.1, 2], [0.4, 2], [-0.5], [0.5])))
    policy = learn_online(envs, replace(CONFIG, steps=150), scales=scales)
    actions = np.array([step.action for step in taken])
    assert actions.min() >= -0.5
    assert actions.max() <= 0.5
    assert np.ptp(actions) > 0.9
    np.testing.assert_array_equal(policy.scales.obs_std, scales.obs_std)


def test_updates_that_are_not_finite_are_counted_and_end_it(monkeypatch: pytest.MonkeyPatch):
    """Rewards whose square is beyond single precision."""
    config = replace(CONFIG, steps=400)
    with pytest.raises(TrainingError, match=r"between transitions 0 and 201 most updates were not finite"):
        learn_online(nudges(price=1e30)[0], config, report_every=200)
    monkeypatch.setattr(online, "BAD_SHARE", 1.0)
    reports: list[OnlineProgress] = []
    learn_online(nudges(price=1e30)[0], config, report_every=200, report=reports.append)
    assert reports[-1].updates > 0
    assert [report.skipped for report in reports] == np.cumsum([report.updates for report in reports]).tolist()


def test_an_environment_that_breaks_ends_it():
    with pytest.raises(TrainingError, match=r"the environment gave the observation .* and the reward nan"):
        learn_online(nudges(breaks_at=70)[0], CONFIG)


def test_what_cannot_be_learned_in_or_with_is_refused():
    refused = (
        (nudges(1, action=Box(-np.inf, np.inf, (1,), np.float32)), CONFIG, "a policy needs finite bounds"),
        (nudges(1, action=Discrete(2)), CONFIG, r"the actions of the environment are Discrete\(2\)"),
        (nudges(1, obs=Box(0, 1, (2, 2))), CONFIG, "the observations of the environment are Box"),
        (nudges(1, mode=AutoresetMode.SAME_STEP), CONFIG, "make them with AutoresetMode.NEXT_STEP"),
        (nudges(1), replace(CONFIG, steps=0), "steps is 0"),
        (nudges(1), replace(CONFIG, learning_starts=-1), "learning_starts is -1"),
        (nudges(1), replace(CONFIG, updates_per_step=0), "updates_per_step is 0"),
        (nudges(1), replace(CONFIG, buffer=0), "buffer is 0"),
        (nudges(1), replace(CONFIG, tau=2.0), "tau is 2"),
        (nudges(1), replace(CONFIG, hidden=()), "hidden is"),
    )
    for (envs, taken), config, message in refused:
        with pytest.raises(PolicyError, match=message):
            learn_online(envs, config)
        assert not taken
    with pytest.raises(PolicyError, match="report_every is 0"):
        learn_online(nudges(1)[0], CONFIG, report_every=0)
    wide = np.ones(3, np.float32)
    for scales in (Scales(wide, wide, -wide[:1], wide[:1]), Scales(wide[:2], wide, -wide[:1], wide[:1])):
        with pytest.raises(PolicyError, match=r"the scales are of .* and 1 actions; the environment has 2 and 1"):
            learn_online(nudges(1)[0], CONFIG, scales=scales)
