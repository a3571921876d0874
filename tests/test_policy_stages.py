from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import made_up_model
from tests.evaluation.test_returns import policy_of
from tests.evaluation.toys import LINEAR_ID
from worldrex import pipeline, policy_stages, tasks
from worldrex.cli import main
from worldrex.data import CollectConfig, collect, load
from worldrex.dynamics import TrainConfig, TrainingError, rule_of
from worldrex.evaluation import Contender, CrossvalConfig, ReturnsConfig, reality_of
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


def test_a_reference_that_cannot_be_learned_takes_nothing_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise TrainingError("the environment gave NaN")

    model, log = made_up_model(), gust_log(3)
    here = job(tmp_path / "out", policies=1)._replace(
        reality=reality_of(LINEAR_ID, episode_steps=5), optimize=MOPOConfig(steps=20)
    )
    for place in ("erm", "penalized"):
        policy_of(2).save(here.folder.path / "policies" / f"{place}-0")
    monkeypatch.setattr(policy_stages, "_learn_in_models", lambda *_: None)
    monkeypatch.setattr(policy_stages, "_learn_in_reality", refuse)
    judged: list[set[str]] = []

    def contest(contenders: dict[str, Contender], *_: object, **__: object) -> dict[str, Any]:
        judged.append(set(contenders))
        return {"policy": {}}

    monkeypatch.setattr(policy_stages, "contest", contest)
    told = policy_stages.learn_and_judge(here, log, {"erm": model, "penalized": model}, penalty_chosen=True)
    assert told["policy_note"] == ""
    assert judged == [{"erm", "chosen", "cloning"}]
    assert "no reference: the environment gave NaN" in capsys.readouterr().out


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


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (["--task", "gusty-hopper"], "hopper"),
        (["--task", "gusty-hopper", "--termination", "learned"], "learned"),
        (["--task", "gusty-hopper", "--termination", "none"], "none"),
        (["--task", "gusty-pendulum"], "learned"),
        (["--data", "LOG"], "learned"),
        (["--data", "LOG", "--termination", "0:-2:2"], "0:-2:2"),
    ],
)
def test_episodes_end_by_what_is_given_or_by_the_tasks_own_rule(
    words: list[str], ends: str, logs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Job] = []

    def stop(job: Job, *_: object) -> None:
        seen.append(job)
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "_collect", stop)
    monkeypatch.setattr(pipeline, "_describe", stop)
    words = [str(logs["logged"]) if word == "LOG" else word for word in words]
    assert main(["run", *words, "--out", str(tmp_path / "out")]) == 130
    assert (seen[0].fit.termination, seen[0].crossval.termination) == (ends, ends)


def test_a_termination_of_one_part_alone_is_refused(tmp_path: Path) -> None:
    config = pipeline.RunConfig(fit=TrainConfig(termination="none"), out=tmp_path / "out")
    with pytest.raises(TrainingError, match=r"give --features\.\.\. and --termination"):
        pipeline.run(config, Terminal())
    assert not (tmp_path / "out").exists()


def test_its_rule_is_where_the_log_terminates() -> None:
    log = collect(CollectConfig("gusty-hopper", steps_per_behavior=300))
    assert log.terminated.any()
    rule = rule_of(tasks.task("gusty-hopper").termination)
    assert rule is not None
    np.testing.assert_array_equal(rule.ends(log.next_obs), log.terminated)
