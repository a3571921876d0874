"""`worldrex optimize` as a person calls it."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.policy.made_up import untrained
from tests.program import Program, Words, files_of, state_of, strict_json
from worldrex import load, load_model, load_policy
from worldrex.dynamics.checkpoint import Position
from worldrex.policy import MOPOConfig, Policy, learning, optimize

Call = Callable[..., Words]
TINY = [
    *("--hidden", "8", "--batch", "16", "--steps", "40"),
    *("--rollouts", "8", "--horizon", "3", "--rollout-every", "5", "--retain", "2"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted") / "model"
    untrained(obs=3).save(folder)
    return folder


def same(one: Policy, other: Policy, obs: np.ndarray) -> bool:
    return np.array_equal(one.act(obs), other.act(obs))


def test_a_policy_is_learned_interrupted_and_resumed(
    call: Call, logs: dict[str, Path], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "STRETCH", 10)
    monkeypatch.setattr(learning, "REPORT_STRETCHES", 1)
    out = tmp_path / "policy-run"
    words = ["optimize", model.parent, logs["logged"], *TINY, "--out", out]

    def interrupted(*arguments: Any) -> Position:
        if arguments[0] == 20:
            raise KeyboardInterrupt
        return Position(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("worldrex.commands.optimize.optimize", partial(optimize, checkpoint_seconds=0.0))
        patch.setattr(learning, "Position", interrupted)
        code, _, err = call(*words)
    assert (code, state_of(out)["state"]) == (130, "interrupted"), err
    code, text, err = call(*words, "--resume", "--json")
    assert code == 0, err
    assert "goes on after step 10" in err
    assert "an episode of this policy returns" in err
    summary = strict_json(text)
    assert (summary["kind"], summary["seed"], summary["pessimism"]) == ("optimize", 0, 1.0)
    assert list(summary["log_return"]) == list(load(logs["logged"]).behavior_names)
    assert state_of(out) == {"state": "finished", "stage": "optimize"}
    assert not (out / "checkpoint").exists()
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [10, 20, 30, 40]
    assert records[-1]["model_return"] == summary["model_return"]
    data = load(logs["logged"])
    config = MOPOConfig(hidden=(8,), batch=16, steps=40, rollouts=8, horizon=3, rollout_every=5, retain=2)
    assert same(load_policy(out), optimize(load_model(model), data, config), data.obs)
    code, text, err = call("watch", out)
    assert (code, err) == (0, "")
    assert "finished" in text
    code, _, err = call(*words)
    assert code == 2
    assert "holds a finished run, which is never overwritten" in err


def test_what_does_not_fit_is_refused_before_a_folder_is_made(
    call: Call, logs: dict[str, Path], model: Path, tmp_path: Path
) -> None:
    data = load(logs["logged"])
    replace(data, action=np.repeat(data.action, 2, axis=1)).save(tmp_path / "wide.parquet")
    before = files_of(tmp_path)
    for words, message in (
        ([tmp_path, logs["logged"]], "holds no model that can be read"),
        ([model, tmp_path / "wide.parquet"], "obs and action are 3 and 2 wide, and the model was fitted on others"),
        ([model, logs["logged"], "--horizon", "0"], "horizon is 0; learning needs 1 or more"),
        ([model, logs["logged"], "--action-low", "-9", "-9"], "action_low is -9 -9, and an action has 1 component"),
        ([model, logs["logged"], "--absorb-beyond", "2"], "absorb_beyond is 2.0; it is a quantile from 0 to 1"),
        ([model, logs["logged"], "--resume"], "holds no run to go on with"),
    ):
        code, out, err = call("optimize", *words, "--out", tmp_path / "out")
        assert (code, out) == (2, ""), err
        assert err.startswith("worldrex optimize: ")
        assert message in " ".join(err.split())
    assert files_of(tmp_path) == before


def test_ctrl_c_leaves_a_folder_to_go_on_with(
    program: Program, logs: dict[str, Path], model: Path, tmp_path: Path
) -> None:
    words = ["optimize", model, logs["logged"], *TINY, "--steps", "100000000"]
    code, _, err, seconds = program.end_at("optimize", signal.SIGINT, *words, out=tmp_path / "out")
    assert (code, state_of(tmp_path / "out")["state"]) == (130, "interrupted")
    assert "the same command with --out" in err
    assert seconds < 30
