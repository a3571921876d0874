import dataclasses
import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.program import TINY_RUN, Program, Words, files_of, state_of, strict_json
from worldrex import pipeline, stages
from worldrex.cli import main
from worldrex.data import CollectConfig, load
from worldrex.dynamics import load_model
from worldrex.policy import load_policy

NUMBER = (int, float)
LOGGED = ["ignores the gust", "compensates a quarter", "compensates half", "compensates three quarters"]
UNLOGGED = ["strong compensation", "leans with the gust", "random torques"]
# What interface.md promises to those who read summary.json, and what the report reads.
SCHEMA = {
    "format": int, "kind": str, "task": str, "seed": int, "command": str, "quick": bool, "data": dict, "verdict": dict,
    "chosen": dict, "candidate": dict, "crossval": list, "selection": dict, "distance": dict, "unlogged": dict, "logged": dict,
    "diagnostics": dict, "shift": dict, "penalty_noise": dict, "compile_seconds": dict, "seconds": dict, "total_seconds": float,
    "policy": dict, "policy_note": str, "returns": dict,
}  # fmt: skip


@pytest.fixture(scope="module")
def words(logs: dict[str, Path]) -> list[str | Path]:
    return ["run", "--data", logs["logged"], "--unlogged", logs["unlogged"], *TINY_RUN]


@pytest.fixture(scope="module")
def finished(
    program: Program, words: list[str | Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """A run that nothing disturbed: its folder, stdout and stderr."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    code, out, err = program(*words, "--out", folder, "--json")
    assert code == 0, err
    return folder, out, err


def test_a_run_leaves_everything(finished: tuple[Path, str, str]) -> None:
    folder, _, err = finished
    assert state_of(folder) == {"state": "finished", "stage": "report"}
    assert not list(folder.rglob("*.unfinished"))
    config = strict_json((folder / "config.json").read_text())
    assert set(config) == {"command", "config", "seed"}
    assert config["config"]["crossval"]["steps"] == 20
    assert config["command"][:2] == ["worldrex", "run"]
    environment = strict_json((folder / "environment.json").read_text())
    assert environment["jax"]
    assert environment["machine"]["cores"]
    metrics = [strict_json(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in metrics} == {"crossval", "fit", "optimize"}
    assert all(line["total"] == (30 if line["stage"] == "optimize" else 40) for line in metrics)
    assert all(line["time"] > 1e9 for line in metrics)
    learned = [(line["model"], line["seed"]) for line in metrics if line["stage"] == "optimize"]
    assert learned == [("erm", 0), ("erm", 1), ("penalized", 0), ("penalized", 1)]
    assert {line["model"] for line in metrics if line["stage"] == "fit"} == {"erm", "penalized", "plain"}
    page = (folder / "report.html").read_text()
    assert page.endswith("</html>\n") or page.endswith("</html>")
    assert "This run is not finished" not in page
    assert "Traceback" not in err


def check_summary(summary: dict[str, Any], *, unlogged: list[str]) -> None:
    wrong = {key: summary.get(key) for key, kind in SCHEMA.items() if type(summary.get(key)) is not kind}
    assert not wrong
    assert set(summary) == {*SCHEMA, "slope"}
    assert set(summary["chosen"]) == {"penalty", "weight", "debiased", "loss"}
    assert type(summary["chosen"]["weight"]) is float
    assert summary["chosen"]["penalty"] == ("variance" if summary["chosen"]["weight"] else "none")
    assert {(row["weight"], row["behavior"]) for row in summary["crossval"]} == {
        (weight, behavior) for weight in (0.0, 10.0) for behavior in LOGGED
    }
    for row in summary["crossval"]:
        assert set(row) == {"penalty", "weight", "behavior", "seed", "risk"}
        assert row["penalty"] == ("variance" if row["weight"] else "none")
        assert row["seed"] == 0
        assert row["risk"] > 0
    assert sorted(summary["unlogged"]) == sorted(unlogged)
    assert sorted(summary["logged"]) == sorted(LOGGED)
    for entry in [*summary["unlogged"].values(), *summary["logged"].values()]:
        assert all(
            isinstance(entry[name], float) and entry[name] > 0 for name in ("erm", "chosen", "penalized", "plain")
        )
        assert "noise_floor" in entry
        assert "diagnostics" not in entry
    assert set(summary["diagnostics"]) == {*LOGGED, *unlogged}
    second = "chosen" if summary["chosen"]["weight"] else "penalized"
    for behavior, models in summary["diagnostics"].items():
        assert set(models) == {"erm", second}
        entry = {**summary["unlogged"], **summary["logged"]}[behavior]
        assert models["erm"]["squared_error"]["value"] == entry["erm"]
        assert models[second]["nll"]["value"] == pytest.approx(entry["nll"][second], rel=1e-4)
        assert models[second]["open_loop"]["steps"][0] == 1
    shift = summary["shift"]
    assert {entry["name"]: entry["logged"] for entry in shift["behaviors"]} == dict.fromkeys(
        LOGGED, True
    ) | dict.fromkeys(unlogged, False)
    for part in ("squared_error", "uncertainty"):
        for name, points in shift["points"].items():
            assert [len(shift[part][model][name]) for model in ("erm", second)] == [len(points)] * 2
            assert len(points) > 0
    assert set(summary["penalty_noise"]) == {"erm", second}
    assert all(0 <= of["share"] <= 1 and of["noise"] > 0 for of in summary["penalty_noise"].values())
    assert summary["verdict"]["kind"] in ("helps", "buys nothing", "hurts", "cannot tell")
    assert summary["verdict"]["sentence"].endswith(".")
    assert summary["policy_note"] == ""
    rows = summary["policy"]
    assert {"erm", "chosen", "best_behavior"} <= set(rows)
    assert ("penalized" in rows) == (not summary["chosen"]["weight"])
    assert rows["best_behavior"]["name"] in LOGGED
    assert {"describe", "crossval", "fit", "score", "optimize", "evaluate", "report"} <= set(summary["seconds"])
    assert all(seconds >= 0 for seconds in summary["seconds"].values())


def test_stdout_is_the_summary_and_the_summary_is_whole(finished: tuple[Path, str, str]) -> None:
    folder, out, err = finished
    summary = strict_json(out)
    assert summary == strict_json((folder / "summary.json").read_text())
    check_summary(summary, unlogged=UNLOGGED)
    assert all(entry["noise_floor"] is None for entry in summary["unlogged"].values())
    assert summary["slope"] is None
    assert summary["task"] == "logged"
    assert summary["returns"]["env"] is None
    assert "simulator" not in summary["policy"]
    assert "return" not in summary["policy"]["cloning"]
    assert {"value", "low", "high"} <= set(summary["policy"]["cloning"]["foretold"])
    for row in (summary["policy"]["erm"], summary["policy"]["chosen"]):
        assert "return" not in row
        assert row["promised"]["low"] < row["promised"]["value"] < row["promised"]["high"] < 0
    assert summary["data"]["records"] == 800
    for line in (
        "folder   ",
        "describe ",
        "crossval 4 left-out behaviors x 2 weights x 1 seed x 1 member\n",
        "verdict  ",
    ):
        assert line in err


def test_the_models_can_be_used(finished: tuple[Path, str, str], logs: dict[str, Path]) -> None:
    folder = finished[0]
    summary = strict_json((folder / "summary.json").read_text())
    data = load(logs["logged"])
    chosen = load_model(folder / "model").predict(data.obs, data.action)
    assert chosen.next_obs.shape == data.obs.shape
    same = "penalized" if summary["chosen"]["weight"] else "erm"
    again = load_model(folder / "models" / same).predict(data.obs, data.action)
    assert (chosen.next_obs == again.next_obs).all()


def test_the_policies_can_be_used(finished: tuple[Path, str, str], logs: dict[str, Path]) -> None:
    folder = finished[0]
    obs = load(logs["logged"]).obs
    place = "penalized" if strict_json((folder / "summary.json").read_text())["chosen"]["weight"] else "erm"
    chosen = load_policy(folder / "policy").act(obs)
    assert chosen.shape == (len(obs), 1)
    assert (chosen == load_policy(folder / "policies" / f"{place}-0").act(obs)).all()
    assert (chosen != load_policy(folder / "policies" / f"{place}-1").act(obs)).any()


def test_quick_keeps_what_was_given() -> None:
    given = pipeline.RunConfig()
    usual = pipeline.quickened(given)
    assert (usual.policies, usual.optimize.steps, usual.crossval.weights) == (1, 2000, (0.0, 100.0))
    own = dataclasses.replace(
        given,
        policies=2,
        crossval=dataclasses.replace(given.crossval, weights=(0.0, 30.0)),
        optimize=dataclasses.replace(given.optimize, steps=7),
    )
    quick = pipeline.quickened(own)
    assert (quick.policies, quick.optimize.steps, quick.crossval.weights) == (2, 7, (0.0, 30.0))
    assert (quick.crossval.steps, quick.fit) == (usual.crossval.steps, usual.fit)


def test_ctrl_c_and_kill_are_resumed_to_the_same_end(
    program: Program,
    call: Callable[..., Words],
    words: list[str | Path],
    finished: tuple[Path, str, str],
    tmp_path: Path,
) -> None:
    out = tmp_path / "a run"
    code, _, err, seconds = program.end_at("crossval", signal.SIGINT, *words, out=out)
    assert (code, state_of(out)["state"]) == (130, "interrupted"), err
    assert err.startswith(
        f"worldrex run: interrupted. {out} is unfinished: the same command with --out '{out}' goes on"
    )
    assert err.count("\n") == 1
    assert seconds < 20
    assert not list(out.rglob("*.unfinished"))

    code, _, err, _ = program.end_at("fit", signal.SIGINT, *words, out=out)
    assert (code, state_of(out)["state"]) == (130, "interrupted"), err
    kept = files_of(out / "checkpoint")
    assert list(kept) == ["crossval.json"]

    code, _, _, _ = program.end_at("fit", signal.SIGKILL, *words, out=out)
    assert code == -signal.SIGKILL
    assert state_of(out) == {"state": "running", "stage": "fit"}

    code, _, err, _ = program.end_at("optimize", signal.SIGINT, *words, out=out)
    assert (code, state_of(out)["state"]) == (130, "interrupted"), err
    kept = files_of(out / "checkpoint")
    assert {"crossval.json", "fit.json"} <= set(kept)

    code, text, err = call(*words, "--fit.steps", "21", "--out", out)
    assert (code, text) == (2, "")
    assert "unfinished run with other settings (fit)" in err
    assert files_of(out / "checkpoint") == kept

    code, text, err = program(*words, "--out", out)
    assert (code, err) == (0, "")
    assert "(resumed)" in text
    assert "crossval 4 left-out" not in text
    assert state_of(out)["state"] == "finished"
    here, there = (strict_json((folder / "summary.json").read_text()) for folder in (out, finished[0]))
    for part in ("crossval", "selection", "unlogged", "logged", "verdict", "policy", "returns"):
        assert here[part] == there[part]
    assert set(here["seconds"]) == set(there["seconds"])
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == len((finished[0] / "metrics.jsonl").read_text().splitlines())
    assert len({json.dumps(line) for line in lines}) == len(lines)

    before = files_of(out)
    code, text, err = call(*words, "--out", out)
    assert (code, text) == (2, "")
    assert "holds a finished run, which is never overwritten" in err
    assert files_of(out) == before


def test_a_task_is_collected_scored_against_the_truth_and_resumed(program: Program, tmp_path: Path) -> None:
    out = tmp_path / "task"
    words = ["run", *TINY_RUN]
    code, _, err, seconds = program.end_at("collect", signal.SIGINT, *words, out=out)
    assert (code, state_of(out)) == (130, {"state": "interrupted", "stage": "collect"}), err
    assert "Traceback" not in err
    assert seconds < 10
    code, _, err = program(*words, "--out", out)
    assert (code, err) == (0, "")
    summary = strict_json((out / "summary.json").read_text())
    check_summary(summary, unlogged=UNLOGGED)
    assert summary["task"] == "gusty-pendulum"
    assert all(isinstance(entry["noise_floor"], float) for entry in summary["unlogged"].values())
    assert set(summary["slope"]) == {"action", "output", "truth", "erm", "penalized", "plain", "chosen"}
    assert summary["slope"]["truth"] == pytest.approx(0.15, abs=0.01)
    assert {"collect", "clone", "simulate"} <= set(summary["seconds"])
    assert summary["returns"]["env"] == "worldrex/GustyPendulum-v0"
    for name, row in summary["policy"].items():
        assert row["low"] <= row["return"] <= row["high"] < 0, name
        assert row["episodes"] == (3 if name in ("best_behavior", "cloning") else 6)
    assert {"simulator", "cloning", "erm", "chosen", "best_behavior"} <= set(summary["policy"])
    assert {"do nothing", "random actions", *LOGGED} == set(summary["returns"]["baselines"])


def test_two_behaviors_say_what_is_possible_and_do_it(program: Program, logs: dict[str, Path], tmp_path: Path) -> None:
    code, text, err = program("run", "--data", logs["two"], *TINY_RUN, "--out", tmp_path / "two")
    assert (code, err) == (0, "")
    summary = strict_json((tmp_path / "two" / "summary.json").read_text())
    assert summary["verdict"]["kind"] == "cannot tell"
    assert "Two behaviors cannot tell" in text
    assert "score    on held-out episodes\n" in text
    assert summary["chosen"]["weight"] == 0
    assert summary["selection"]["candidate"] is None
    assert {row["weight"] for row in summary["crossval"]} == {0.0}
    assert summary["unlogged"] == {}


def test_logs_that_changed_are_not_mixed_with_what_was_kept(
    logs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "log.parquet", tmp_path / "out"
    data = load(logs["logged"])
    data.save(path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "compare_weights", interrupt)
    words = ["run", "--data", str(path), "--out", str(out)]
    assert main(words) == 130
    data.rows(slice(0, -40)).save(path)
    capsys.readouterr()
    assert main(words) == 2
    assert "unfinished run with other settings (records_crc32)" in capsys.readouterr().err
    assert state_of(out) == {"state": "interrupted", "stage": "describe"}


def test_a_full_disk(
    disk_of: Callable[[int], Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "CollectConfig", lambda **given: CollectConfig(**given, steps_per_behavior=1000))
    out = disk_of(64) / "run"
    assert main(["run", "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"worldrex run: cannot write {out / 'data' / 'logged.parquet'}: ")
    assert "No space left on device" in err
    assert "on a disk with room" in err
    assert state_of(out) == {"state": "failed", "stage": "collect"}
    assert os.listdir(out / "data") == []
    assert strict_json((out / "config.json").read_text())["seed"] == 0


def test_a_disk_that_fills_while_it_trains(
    logs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def crossval(job: Any, _: object) -> None:
        job.folder.begin("crossval")
        monkeypatch.setattr(os, "fsync", fill)
        job.folder.keep("crossval", {})

    monkeypatch.setattr(stages, "compare_weights", crossval)
    out = tmp_path / "out"
    assert main(["run", "--data", str(logs["logged"]), "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        f"worldrex run: cannot write {out / 'checkpoint' / 'crossval.json'}: No space left on device."
    )
    assert state_of(out) == {"state": "running", "stage": "crossval"}
    assert not list(out.rglob("*.unfinished"))
