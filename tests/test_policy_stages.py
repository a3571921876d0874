from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import made_up_model
from tests.evaluation.toys import LINEAR_ID
from worldrex import pipeline, policy_stages, tasks
from worldrex.cli import main
from worldrex.data import CollectConfig, collect, load
from worldrex.dynamics import TrainConfig, TrainingError, rule_of
from worldrex.evaluation import CrossvalConfig, ReturnsConfig
from worldrex.policy import MOPOConfig, PolicyError
from worldrex.runs import open_run
from worldrex.stages import Job
from worldrex.terminal import Terminal


def job(folder: Path, policies: int = 2) -> Job:
    opened = open_run(folder, {"seed": 0}, command=["worldrex", "run"])
    return Job(
        "log", None, CrossvalConfig(), TrainConfig(), MOPOConfig(), policies, None, ReturnsConfig(), opened, Terminal()
    )


@pytest.mark.parametrize("error", [PolicyError("nothing to choose"), TrainingError("learning diverged")])
def test_where_no_policy_can_be_learned_the_run_says_why_and_goes_on(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def refuse(*_: object, **__: object) -> None:
        calls.append(1)
        raise error

    monkeypatch.setattr(policy_stages, "optimize_runs", refuse)
    expected = {"policy": {}, "returns": None, "policy_note": str(error)}
    log = gust_log(3)
    models = dict.fromkeys(("erm", "penalized"), made_up_model())
    assert policy_stages.learn_and_judge(job(tmp_path / "out"), log, models, penalty_chosen=True) == expected
    assert f"no policy: {error}" in capsys.readouterr().out
    # Resumed, it is not tried again.
    assert policy_stages.learn_and_judge(job(tmp_path / "out"), log, models, penalty_chosen=True) == expected
    assert len(calls) == 1


def test_none_are_learned_where_none_are_asked_for(tmp_path: Path) -> None:
    told = policy_stages.learn_and_judge(job(tmp_path / "out", policies=0), gust_log(3), {}, penalty_chosen=True)
    assert told == {"policy": {}, "returns": None, "policy_note": ""}


def test_of_a_log_that_is_too_long_whole_episodes_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    log = gust_log(20)
    episodes, lengths = np.unique(log.episode, return_counts=True)
    assert policy_stages._some_episodes(log, 0) is log
    monkeypatch.setattr(policy_stages, "MOST_RECORDS", len(log) // 2)
    some = policy_stages._some_episodes(log, 0)
    kept, of_kept = np.unique(some.episode, return_counts=True)
    assert len(log) // 2 <= len(some) < len(log) // 2 + lengths.max()
    np.testing.assert_array_equal(of_kept, lengths[np.isin(episodes, kept)])
    assert set(np.unique(policy_stages._some_episodes(log, 1).episode)) != set(kept)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--env", "Pendulum-v1"], "--env is the environment that the logs in --data are of"),
        (["--policies", "-1"], "policies is -1"),
        (["--episodes", "1"], "episodes is 1"),
        (["--optimize.steps", "0"], "steps is 0"),
        (["--data", "LOG", "--env", "Nowhere-v0"], "'Nowhere-v0' cannot be made"),
        (["--data", "LOG", "--env", LINEAR_ID, "--unlogged", "OTHER"], "no limit on the steps of an episode"),
        (["--data", "LOG", "--env", "MountainCarContinuous-v0"], "obs and action are of shape (2,) and (1,)"),
        (["--data", "LOG", "--env", "CartPole-v1"], "in CartPole-v1"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_folder_is_made(
    words: list[str], said: str, logs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    names = {"LOG": str(logs["logged"]), "OTHER": str(logs["unlogged"])}
    assert main(["run", *(names.get(word, word) for word in words), "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
    assert load(logs["logged"]).obs.shape[1] == 3


def test_a_task_that_knows_where_its_episodes_end_tells_the_models() -> None:
    config = pipeline.RunConfig(task="gusty-hopper")
    ruled = pipeline._with_rule(config, tasks.task("gusty-hopper"))
    assert (ruled.fit.termination, ruled.crossval.termination) == ("hopper", "hopper")
    assert pipeline._with_rule(config, tasks.task("gusty-pendulum")) == config
    own = replace(config, fit=replace(config.fit, termination="none"))
    assert pipeline._with_rule(own, tasks.task("gusty-hopper")).fit.termination == "none"


def test_its_rule_is_where_the_log_terminates() -> None:
    log = collect(CollectConfig("gusty-hopper", steps_per_behavior=300))
    assert log.terminated.any()
    rule = rule_of(tasks.task("gusty-hopper").termination)
    assert rule is not None
    np.testing.assert_array_equal(rule.ends(log.next_obs), log.terminated)
