from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import TRUTH, linear_model
from tests.evaluation.test_returns import policy_of
from tests.evaluation.toys import LINEAR_ID
from worldrex.data import Transitions
from worldrex.evaluation import Contender, EvaluationError, ReturnsConfig, contest, judge, reality_of
from worldrex.evaluation.baselines import logged_episodes

STEPS = 15
CONFIG = ReturnsConfig(episodes=6)
REALITY = reality_of(LINEAR_ID, episode_steps=STEPS)
TWICE = TRUTH * [1, 1, 2]
MODELS = {
    "true": linear_model(TRUTH, TRUTH, std=1e-6),
    "twice": linear_model(TWICE, TWICE, std=1e-6),
}


def wide_log() -> Transitions:
    """Records as of the toy, of so wide a range that it bounds none of its rollouts."""
    log = gust_log(5)
    reward = log.reward.copy()
    reward[:2] = -1e4, 1e4
    obs = log.obs.copy()
    obs[:2] = -1e4, 1e4
    return replace(log, reward=reward, obs=obs)


LOG = wide_log()
POLICIES = {seed: policy_of(2, seed=seed) for seed in (0, 1, 2)}


def told_of(**contenders: Contender) -> dict[str, Any]:
    return contest(contenders, MODELS, "true", LOG, REALITY, CONFIG)


def test_all_meet_the_same_episodes_and_are_told_as_judge_tells_them():
    told = told_of(a=Contender([POLICIES[0], POLICIES[1]], "true"), b=Contender([POLICIES[2]], None))
    alone = [judge([policy], REALITY, CONFIG, data=LOG) for policy in POLICIES.values()]
    means = [entry["policies"][0]["deterministic"]["mean"]["value"] for entry in alone]
    assert told["policy"]["a"]["mean"]["value"] == pytest.approx(np.mean(means[:2]))
    assert told["policy"]["b"]["mean"]["value"] == pytest.approx(means[2])
    assert told["policy"]["b"]["return"] == alone[2]["policies"][0]["deterministic"]["return"]["value"]
    assert [told["policy"][name]["episodes"] for name in "ab"] == [12, 6]
    assert told["policy"]["a"]["low"] <= told["policy"]["a"]["return"] <= told["policy"]["a"]["high"]
    assert told["baselines"] == alone[0]["baselines"]
    assert told["env"] == LINEAR_ID


def test_promises_are_the_own_models_and_the_judge_foretells_the_truth():
    """In a world without noise the true model says what comes, and another one twice that."""
    told = told_of(
        cheated=Contender([POLICIES[0], POLICIES[1]], "twice"),
        honest=Contender([POLICIES[0], POLICIES[1]], "true"),
        outside=Contender([POLICIES[2]], None),
    )["policy"]
    real = told["honest"]["mean"]["value"]
    assert abs(real) > 0.1
    assert told["cheated"]["mean"]["value"] == real
    assert told["cheated"]["promised"]["value"] == pytest.approx(2 * real, rel=1e-3)
    assert told["cheated"]["gap"]["value"] == pytest.approx(real, rel=1e-3)
    assert told["cheated"]["foretold"]["value"] == pytest.approx(real, rel=1e-3)
    assert told["honest"]["promised"]["value"] == pytest.approx(real, rel=1e-3)
    assert told["honest"]["gap"]["value"] == pytest.approx(0, abs=1e-3)
    assert told["outside"]["foretold"]["value"] == pytest.approx(told["outside"]["mean"]["value"], rel=1e-3)
    assert "foretold" not in told["honest"]
    assert not {"promised", "gap"} & set(told["outside"])


def test_the_best_logged_behavior_stands_among_them():
    told = told_of(a=Contender([POLICIES[0]], "true"))
    returns = {name: returns for name, (returns, _) in logged_episodes(LOG).items()}
    best = told["policy"]["best_behavior"]
    assert best["mean"]["value"] == pytest.approx(returns[best["name"]].mean())
    assert best["return"] == max(told["baselines"][name]["return"]["value"] for name in returns)


def test_without_a_real_environment_the_models_have_the_word():
    told = contest({"a": Contender([POLICIES[0]], "twice")}, MODELS, "true", LOG, None, CONFIG)
    assert told["env"] is None
    row = told["policy"]["a"]
    assert "return" not in row
    assert row["promised"]["value"] == pytest.approx(2 * row["foretold"]["value"], rel=1e-3)
    assert told["episode_steps"] == np.unique(LOG.episode, return_counts=True)[1].max()
    assert set(told["baselines"]) == set(logged_episodes(LOG))


def test_another_environment_is_refused_before_anything_is_run():
    with pytest.raises(EvaluationError, match="3 numbers"):
        told_of(a=Contender([POLICIES[0]], "true"), b=Contender([policy_of(3)], None))
