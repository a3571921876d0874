"""Bad input: exit 2, one message that says what came, what was expected and what to do, and nothing is touched."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.program import Words, files_of
from worldrex.data import Transitions, load
from worldrex.runs import open_run


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not refused fails at once, and trains nothing."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it started")

    monkeypatch.setattr("worldrex.pipeline._collect", fail)
    monkeypatch.setattr("worldrex.pipeline._describe", fail)
    monkeypatch.setattr("worldrex.commands.crossval.crossval", fail)
    monkeypatch.setattr("worldrex.commands.fit.fit", fail)


def saved(data: Transitions, path: Path) -> Path:
    data.save(path)
    return path


def one_behavior(data: Transitions, path: Path) -> Path:
    return saved(data.rows(data.behavior == 0), path)


def few_records(data: Transitions, path: Path) -> Path:
    return saved(data.rows((data.behavior > 0) | (np.cumsum(data.behavior == 0) <= 49)), path)


def with_nan(data: Transitions, path: Path) -> Path:
    obs = data.obs.copy()
    obs[7, 1] = np.nan
    return saved(replace(data, obs=obs), path)


def with_infinity(data: Transitions, path: Path) -> Path:
    reward = data.reward.copy()
    reward[[3, 9]] = np.inf
    return saved(replace(data, reward=reward), path)


def discontinuous(data: Transitions, path: Path) -> Path:
    next_obs = data.next_obs.copy()
    next_obs[5] += 1
    return saved(replace(data, next_obs=next_obs), path)


def as_npz(data: Transitions, path: Path, **changed: np.ndarray) -> Path:
    names = ("obs", "action", "reward", "next_obs", "terminated", "truncated", "episode", "behavior")
    path = path.with_suffix(".npz")
    np.savez(path, **({name: getattr(data, name) for name in names} | changed))  # pyright: ignore[reportArgumentType]
    return path


def of_unequal_length(data: Transitions, path: Path) -> Path:
    return as_npz(data, path, reward=data.reward[:-1])


def of_other_width(data: Transitions, path: Path) -> Path:
    return as_npz(data, path, next_obs=data.next_obs[:, :2])


def empty(_: Transitions, path: Path) -> Path:
    path.touch()
    return path


def truncated(data: Transitions, path: Path) -> Path:
    data.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def truncated_npz(data: Transitions, path: Path) -> Path:
    path = as_npz(data, path)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def not_a_log(_: Transitions, path: Path) -> Path:
    path.write_text("a,b\n1,2\n")
    return path


def prose(_: Transitions, path: Path) -> Path:
    path.write_text("Monday: rain.\nTuesday: more rain.\n")
    return path


def other_zip(_: Transitions, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    return path


def missing(_: Transitions, path: Path) -> Path:
    return path


BAD_LOGS = [
    (one_behavior, ["one behavior only", "'ignores the gust'", "at least two", "--behavior-cycle"]),
    (few_records, ["fewer than 50 records", "'ignores the gust' (49)", "collect more"]),
    (with_nan, ["obs[:, 1]", "1 NaN", "row 7", "finite", "drop or repair"]),
    (with_infinity, ["reward", "2 infinite", "row 3", "finite"]),
    (discontinuous, ["next_obs does not continue", "row 5", "new episode"]),
    (of_unequal_length, ["reward", "799", "800"]),
    (of_other_width, ["next_obs", "2", "3"]),
    (empty, ["empty (0 bytes)", "export it again"]),
    (truncated, ["truncated or damaged", "Parquet", "copy or export it again"]),
    (truncated_npz, ["truncated or damaged", "NPZ"]),
    (not_a_log, ["missing are obs, action, reward, next_obs", "there came 'a', 'b'", "rename"]),
    (prose, ["none of what worldrex reads", "Parquet, CSV, NPZ", "Convert the log"]),
    (other_zip, ["missing are obs, action, reward, next_obs", "there came 'a.txt'"]),
    (missing, ["cannot read", "No such file", "check the path"]),
]


def refused(words: Words, *parts: str, verb: str = "run") -> None:
    code, out, err = words
    assert code == 2, err
    assert out == ""
    assert err.startswith(f"worldrex {verb}: ")
    assert err.count("worldrex " + verb + ": ") == 1
    assert "Traceback" not in err
    assert not [part for part in parts if part not in err], err


@pytest.mark.parametrize(("make", "parts"), BAD_LOGS)
def test_logs_that_cannot_be_used(
    call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path, make: Callable, parts: list[str]
) -> None:
    path = make(load(logs["logged"]), tmp_path / "log.parquet")
    before = files_of(tmp_path)
    refused(call("run", "--data", path, "--out", tmp_path / "out"), *parts)
    if make not in (one_behavior, few_records):
        refused(call("run", "--data", logs["logged"], "--unlogged", path, "--out", tmp_path / "out"), *parts)
        refused(call("fit", path, "--out", tmp_path / "out"), *parts, verb="fit")
    refused(call("crossval", path, "--out", tmp_path / "out"), *parts, verb="crossval")
    assert files_of(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [with_nan, discontinuous])
def test_describe_shows_what_cannot_be_used(
    call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path, make: Callable
) -> None:
    code, out, err = call("describe", make(load(logs["logged"]), tmp_path / "log.parquet"))
    assert code == 2
    assert "error" in out
    assert err == "worldrex describe: the data cannot be used: 1 error, told above.\n"


def foreign(out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("precious")


def a_file(out: Path) -> None:
    out.write_text("precious")


def of_a_finished_run(out: Path) -> None:
    with open_run(out, {"seed": 0}, command=["worldrex"]).job("report"):
        pass


def of_other_settings(out: Path) -> None:
    open_run(out, {"seed": 1}, command=["worldrex"])


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (foreign, ["is not a run folder", "thesis.tex", "new or empty folder"]),
        (a_file, ["is a file", "does not exist yet"]),
        (of_a_finished_run, ["holds a finished run", "never overwritten", "another --out"]),
        (of_other_settings, ["an unfinished run with other settings", "seed", "another --out"]),
    ],
)
def test_folders_that_cannot_be_used(
    call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path, make: Callable, parts: list[str]
) -> None:
    make(tmp_path / "out")
    before = files_of(tmp_path)
    refused(call("run", "--data", logs["logged"], "--out", tmp_path / "out"), *parts)
    refused(call("run", "--out", tmp_path / "out"), *parts)
    refused(call("crossval", logs["logged"], "--out", tmp_path / "out"), *parts, verb="crossval")
    refused(call("fit", logs["logged"], "--out", tmp_path / "out"), *parts, verb="fit")
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("out", ["/proc/nope/run", "FILE/run"])
def test_folders_that_cannot_be_written(
    call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").touch()
    path = out.replace("FILE", str(tmp_path / "file"))
    for words in (("run", "--data", logs["logged"]), ("fit", logs["logged"]), ("crossval", logs["logged"])):
        refused(call(*words, "--out", path), "cannot make the folder", "another --out", verb=words[0])
    refused(call("collect", "--out", f"{path}/x.parquet"), "is not a folder that exists", verb="collect")
    assert os.listdir(tmp_path) == ["file"]


def widened(logs: dict[str, Path], folder: Path) -> Path:
    data = load(logs["unlogged"])
    return saved(replace(data, action=np.repeat(data.action, 2, axis=1)), folder / "wide.parquet")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--task gusty", ["there is no task 'gusty'", "gusty-pendulum", "plain-pendulum", "did you mean"]),
        ("--unlogged LOGGED", ["go with --data", "--data FILE"]),
        ("--behavior-cycle 3", ["go with --data"]),
        ("--data LOGGED --unlogged WIDE", ["(3, 2)", "(3, 1)", "same system"]),
        ("--data LOGGED --unlogged LOGGED", ["both hold behavior", "give --unlogged logs of other policies"]),
        ("--data LOGGED LOGGED", ["given 2 times", "name the file once"]),
        ("--crossval.steps 0", ["steps is 0", "1 or more"]),
        ("--crossval.seeds 0", ["seeds is 0", "1 or more"]),
        ("--crossval.weights 1 nan", ["weight is nan", "0 (none) or more"]),
        ("--crossval.weights -1", ["weight is -1"]),
        ("--crossval.elites 3", ["elites is 3 of 2 members"]),
        ("--fit.hidden 0", ["hidden is (0,)", "1 or more"]),
        ("--fit.learning-rate inf", ["learning_rate is inf"]),
        ("--fit.weight-decay nan", ["weight_decay is (nan,)", "0 (none) or more"]),
        ("--fit.baselines 0.1", ["baselines has 1 of the 4 numbers"]),
        ("--fit.holdout 1", ["holdout is 1.0", "between 0 and 1"]),
        ("--seed -1", ["seed is -1", "0 or more"]),
    ],
)
def test_settings_that_cannot_be_used(
    call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path, words: str, parts: list[str]
) -> None:
    places = {"LOGGED": logs["logged"], "WIDE": widened(logs, tmp_path)}
    given = [places.get(word, word) for word in words.split()]
    refused(call("run", *given, "--out", tmp_path / "out"), *parts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run", "--taks", "x"], ["--taks", "Perhaps you meant", "--task", "worldrex run --help"]),
        (["run", "--seed", "abc"], ["--seed", "'abc'"]),
        (["run", "--quick", "yes"], ["yes"]),
        (["fit", "x.parquet"], ["--out"]),
        (["fit", "x.parquet", "--out", "out", "--penalty", "mean"], ["'mean'", "'variance'"]),
        (["score"], ["DIR"]),
        (["report", "--out", "x.html"], ["no run folder", "Name at least one"]),
        (["describe"], ["no file was given", "at least one"]),
        (["score", "nowhere", "x.parquet"], ["nowhere"]),
        (["report", "nowhere", "--out", "x.html"], ["nowhere is not a folder"]),
        (["--quick"], ["no verb '--quick'", "usage: worldrex VERB"]),
    ],
)
def test_words_that_cannot_be_understood(
    call: Callable[..., Words], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    plain = " ".join(err.lower().split())
    assert not [part for part in parts if part.lower() not in plain], err
    assert not os.listdir(tmp_path)
