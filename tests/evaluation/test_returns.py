from dataclasses import replace
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import TRUTH, linear_model, model_that_sees
from tests.evaluation.toys import LENGTHS_ID, LINEAR_ID
from worldrex import tasks
from worldrex.dynamics import Features
from worldrex.evaluation import (
    EvaluationError,
    ReturnsConfig,
    evaluate_in_model,
    judge,
    reality_of,
    reality_of_task,
    require_judgeable,
    require_together,
)
from worldrex.evaluation.baselines import logged_episodes
from worldrex.evaluation.episodes import Chooser, run_episodes, seed_of_first
from worldrex.evaluation.returns import returns_of
from worldrex.policy import Policy, PolicyError, Scales
from worldrex.policy.networks import init_actor

STEPS = 15
GUSTY = tasks.task("gusty-pendulum")


def policy_of(obs_dims: int, *, limit: float = 2.0, seed: int = 0) -> Policy:
    bounds = np.full(1, -limit, np.float32), np.full(1, limit, np.float32)
    scales = Scales(np.zeros(obs_dims, np.float32), np.ones(obs_dims, np.float32), *bounds)
    return Policy(init_actor(obs_dims, 1, (8,), key=jax.random.key(seed)), scales, {})


def nothing(obs: np.ndarray, info: dict[str, Any]) -> np.ndarray:
    return np.zeros((len(obs), 1))


def test_short_episodes_are_not_preferred_and_each_is_whole():
    """Taken as they end, the first of 16 environments side by side would be the short ones."""
    ran = run_episodes(reality_of(LENGTHS_ID).make_many(16), nothing, 400, seed=0)
    np.testing.assert_array_equal(ran.returns, ran.starts[:, 0])
    np.testing.assert_array_equal(ran.steps, ran.returns)
    assert not ran.starts[:, 1].any()
    assert abs((ran.returns == 9).mean() - 0.5) < 0.08


@pytest.mark.parametrize(("episodes", "num_envs"), [(7, 3), (3, 3), (2, 1)])
def test_they_are_the_first_of_each_environment(episodes: int, num_envs: int):
    ran = run_episodes(reality_of(LENGTHS_ID).make_many(num_envs), nothing, episodes, seed=5)
    expected = []
    for number in range(num_envs):
        env = gymnasium.make(LENGTHS_ID)
        env.reset(seed=seed_of_first(5) + number)
        first = env.unwrapped.length  # pyright: ignore[reportAttributeAccessIssue]
        rest = [env.reset()[0][0] for _ in range((episodes - number - 1) // num_envs)]
        expected += [first, *rest]
    np.testing.assert_array_equal(ran.returns, expected)


def test_a_return_is_that_of_an_environment_by_itself():
    behavior = GUSTY.logged[2]
    quiet = replace(behavior, noise=0.0)
    rng = np.random.default_rng(0)
    env = reality_of_task(GUSTY).make()

    def choose(obs: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        return quiet.act(obs, info["gust"], space=env.action_space, rng=rng)

    ran = run_episodes(reality_of_task(GUSTY).make_many(2), choose, 2, seed=3)
    obs, info = env.reset(seed=seed_of_first(3))
    np.testing.assert_array_equal(ran.starts[0], obs)
    total = 0.0
    for _ in range(GUSTY.episode_steps):
        obs, reward, *_, info = env.step(choose(obs[None], {"gust": np.array([info["gust"]])})[0])
        total += float(reward)
    assert ran.returns[0] == pytest.approx(total)
    assert set(ran.steps) == {GUSTY.episode_steps}


def test_seeds_side_by_side_meet_other_episodes():
    starts = [run_episodes(reality_of_task(GUSTY).make_many(8), nothing, 8, seed=seed).starts for seed in (0, 1)]
    assert not (starts[0][:, None] == starts[1]).all(-1).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_action_that_is_not_finite_ends_it(value: float):
    env = reality_of(LENGTHS_ID).make_many(2)
    with pytest.raises(EvaluationError, match="the policy chose"):
        run_episodes(env, lambda obs, info: np.full((2, 1), value), 2, seed=0)
    assert env.closed


def test_actions_are_held_within_the_space():
    def returns(choose: Chooser) -> np.ndarray:
        return run_episodes(reality_of(LINEAR_ID, episode_steps=3).make_many(2), choose, 2, seed=0).returns

    np.testing.assert_array_equal(
        returns(lambda obs, info: np.full((2, 1), 50.0)), returns(lambda obs, info: np.full((2, 1), 2.0))
    )


def test_the_numbers_of_returns_are_what_they_say():
    returns = np.array([[0.0, 10, 20, 1000], [30, 40, 50, -900]])
    told = returns_of(returns, np.array([3, 5]), ReturnsConfig(reference=(-25.0, 75.0)))
    assert told["return"]["value"] == np.mean([10, 20, 30, 40])
    assert told["mean"]["value"] == returns.mean()
    assert told["return"]["low"] < told["return"]["value"] < told["return"]["high"]
    assert told["normalized"]["value"] == 50
    assert told["normalized"]["low"] == told["return"]["low"] + 25
    assert (told["least"], told["greatest"], told["episodes"], told["steps"]) == (-900, 1000, 8, 4)


def judged(**more: Any) -> dict[str, Any]:
    return judge(
        [policy_of(2)], reality_of(LINEAR_ID, episode_steps=STEPS), ReturnsConfig(episodes=6), **more
    )  # fmt: skip


def test_the_true_model_keeps_its_promise():
    told = judged(model=linear_model(TRUTH, TRUTH, std=1e-6))
    for manner in ("deterministic", "stochastic"):
        entry = told["policies"][0][manner]
        if manner == "deterministic":
            assert entry["promised"]["value"] == pytest.approx(entry["mean"]["value"], abs=1e-3)
            assert entry["gap"]["high"] - entry["gap"]["low"] < 1e-3, "paired by the start, nothing is left to chance"
        assert entry["promised"]["low"] < entry["mean"]["value"] < entry["promised"]["high"]
    both = told["policies"][0]
    for number in ("mean", "promised"):
        assert abs(both["stochastic"][number]["value"] - both["deterministic"][number]["value"]) > 0.01


def test_a_model_that_promises_twice_the_reward_is_found_out():
    twice = TRUTH * [1, 1, 2]
    entry = judged(model=linear_model(twice, TRUTH, std=1e-6))["policies"][0]["deterministic"]
    real = entry["mean"]["value"]
    assert entry["promised"]["members"] == pytest.approx([2 * real, real], abs=1e-2)
    assert entry["gap"]["value"] == pytest.approx(0.5 * real, abs=1e-2)
    assert entry["gap"]["share"] == pytest.approx(0.5 * real / abs(real), abs=1e-2)
    assert entry["promised"]["cut"] == 0


def test_the_log_bounds_the_promise():
    """Far from what was logged, the model's rewards are held at the log's range and a margin."""
    log = gust_log(5)
    far = TRUTH * [1, 1, 1000]
    told = {given: judged(model=linear_model(far), data=data) for given, data in (("log", log), ("none", None))}
    assert (told["log"]["bounded"], told["none"]["bounded"]) == (True, False)
    low, high = log.reward.min(), log.reward.max()
    most = STEPS * (max(abs(low), abs(high)) + 0.1 * (high - low))
    promised = [abs(told[given]["policies"][0]["deterministic"]["promised"]["value"]) for given in ("log", "none")]
    assert promised[0] <= most < promised[1]


def test_baselines_of_a_task_are_run_and_the_best_is_named():
    told = judge([policy_of(3, limit=3.0)], reality_of_task(GUSTY), ReturnsConfig(episodes=4, seed=1))
    names = [behavior.name for behavior in GUSTY.logged]
    assert list(told["baselines"]) == ["do nothing", "random actions", *names]
    values = {name: told["baselines"][name]["return"]["value"] for name in names}
    assert told["best_behavior"] == max(values, key=lambda name: values[name])
    best, mine = told["baselines"][told["best_behavior"]]["mean"], told["policies"][0]["deterministic"]["mean"]
    assert told["over_best_behavior"]["value"] == pytest.approx(mine["value"] - best["value"])


def test_without_a_task_the_logged_episodes_stand_beside():
    log = gust_log(3)
    told = judged(data=log)
    assert list(told["baselines"]) == ["do nothing", "random actions", *log.behavior_names]
    expected = log.reward[log.behavior == 2].reshape(3, -1).sum(1, dtype=np.float64)
    np.testing.assert_allclose(logged_episodes(log)["operator 2"][0], expected)
    assert told["baselines"]["operator 2"]["mean"]["value"] == pytest.approx(expected.mean())
    assert told["baselines"]["operator 2"]["steps"] == 20
    assert "over_best_behavior" not in told, "other episodes than those that were run"


def test_nothing_is_done_only_where_that_is_an_action():
    reality = reality_of(LINEAR_ID, episode_steps=2)
    positive = replace(reality, settings={**reality.settings, "least": 0.5})
    told = judge([policy_of(2)], positive, ReturnsConfig(episodes=2))
    assert list(told["baselines"]) == ["random actions"]


def test_several_seeds_are_told_each_and_together():
    policies = [policy_of(2, seed=seed) for seed in range(3)]
    told = judge(policies, reality_of(LINEAR_ID, episode_steps=STEPS), ReturnsConfig(episodes=4))
    values = [entry["deterministic"]["mean"]["value"] for entry in told["policies"]]
    assert len(set(values)) == 3
    assert told["all"]["deterministic"]["mean"]["value"] == pytest.approx(np.mean(values))
    assert told["all"]["deterministic"]["episodes"] == 12
    widest = max(
        entry["deterministic"]["mean"]["high"] - entry["deterministic"]["mean"]["low"] for entry in told["policies"]
    )
    assert told["all"]["deterministic"]["mean"]["high"] - told["all"]["deterministic"]["mean"]["low"] > 0.5 * widest


def test_the_same_seed_tells_the_same():
    assert judged(model=linear_model(TRUTH)) == judged(model=linear_model(TRUTH))


def test_progress_counts_all_episodes():
    ticks: list[tuple[int, int]] = []
    judged(tick=lambda done, total: ticks.append((done, total)))
    assert ticks[-1] == (24, 24)
    assert ticks == sorted(ticks)


def test_what_does_not_fit_together_is_refused():
    reality, policy = reality_of(LINEAR_ID, episode_steps=STEPS), policy_of(2)
    log = gust_log(2)
    for policies, model, data, message in (
        ([], None, None, "no policy"),
        ([policy_of(3)], None, None, r"observations of worldrex-test/Linear-v0 are Box.* sees 3 numbers"),
        ([policy], model_that_sees(Features(), 3, 1), None, "the model was fitted on obs of 3"),
        (
            [policy],
            None,
            replace(log, obs=log.obs[:, :1], next_obs=log.next_obs[:, :1]),
            "the log's obs and action are 1 and 1",
        ),
    ):
        with pytest.raises(EvaluationError, match=message):
            require_together(policies, reality, model, data)
    with pytest.raises(PolicyError, match="sees 2 steps"):
        require_together([policy], reality, model_that_sees(Features(history=2), 2, 1), None)
    with pytest.raises(EvaluationError, match="actions of CartPole-v1 are Discrete"):
        require_together([policy_of(4)], reality_of("CartPole-v1"), None, None)
    for given in ({"episodes": 1}, {"seed": -1}, {"reference": (1.0, 1.0)}, {"reference": (0.0, np.inf)}):
        with pytest.raises(EvaluationError, match=next(iter(given))):
            require_judgeable(ReturnsConfig(**given))


def test_environments_that_cannot_be_run_are_refused():
    for env_id, steps, message in (
        ("Nowhere-v0", None, "cannot be made"),
        ("no_such_module:Nowhere-v0", None, "cannot be made"),
        (LINEAR_ID, None, "no limit on the steps"),
        (LINEAR_ID, 0, "episode_steps is 0"),
    ):
        with pytest.raises(EvaluationError, match=message):
            reality_of(env_id, episode_steps=steps)
    assert reality_of("Pendulum-v1").episode_steps == 200


def test_a_rollout_in_the_model_ends_where_the_model_says():
    """obs[0] grows by obs[1] / 10; the rule ends it beyond 1.1."""
    weight = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 1.0], [0.0, 0.0, 0.0]])
    ending = linear_model(weight, std=1e-6)._replace(termination="0:-9:1.1")
    starts = np.array([[0.75, 1.0], [0.0, 1.0]], np.float32)
    told = evaluate_in_model(ending, lambda obs, key: 0 * obs[:, :1], starts, 8)
    np.testing.assert_allclose(told.returns, [[4, 8]], atol=1e-3)
