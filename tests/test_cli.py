import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.program import TINY, Program, files_of, strict_json, write_logs
from worldrex import cli
from worldrex.cli import VERBS, main
from worldrex.data import Transitions, load
from worldrex.runs import open_run

Words = tuple[int, str, str]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_logs(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program(tmp_path_factory.getbasetemp() / "jax-cache")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Words]:
    """Call the command line in this process: exit code, stdout, stderr."""

    def run(*words: str | Path) -> Words:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_tells_its_flags(call: Callable[..., Words], verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = call(verb, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: worldrex {verb} ")
    assert "(default: )" not in out
    assert "{None}" not in out
    assert ".seed " not in out
    # Every flag has a line of explanation: no flag is followed by the next one.
    heads = [line for line in out.splitlines() if re.match(r"\W*(--\w|FILE|DIR)", line)]
    assert len(heads) >= 3
    words = re.sub(r"[│|]", " ", out).split("options", 1)[1].split()
    assert not [flag for flag, after in pairwise(words) if flag.startswith("--") and after.startswith("--")]


def test_help_names_every_verb_and_the_version(call: Callable[..., Words]) -> None:
    code, out, _ = call("--help")
    assert code == 0
    assert all(f"  {verb} " in out for verb in VERBS)
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = call("--version")
    assert (code, out.split()[0]) == (0, "worldrex")


def test_the_installed_program() -> None:
    path = Path(sys.executable).with_name("worldrex")
    done = subprocess.run([path, "runn"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("worldrex: there is no verb 'runn'. Did you mean 'run'?")


def test_describe_does_not_wait_for_jax(logs: dict[str, Path]) -> None:
    code = (
        "import sys; from worldrex.cli import main; code = main(sys.argv[1:]); "
        "assert not {'jax', 'optax', 'altair'} & set(sys.modules), 'imported'; sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "describe", str(logs["logged"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "800 records in 20 episodes by 4 behaviors" in done.stdout


def test_json_is_all_of_stdout(call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path) -> None:
    code, out, err = call("describe", logs["logged"], "--json")
    assert code == 0
    assert strict_json(out)["records"] == 800
    assert "800 records" in err
    written = tmp_path / "x.parquet"
    code, out, _ = call("collect", "--steps-per-behavior", "60", "--behaviors", "unlogged", "--out", written, "--json")
    assert code == 0
    assert strict_json(out)["records"] == 180
    assert load(written).num_behaviors == 3


# --- Bad input: exit 2, one message that says what came, what was expected and what to do, and nothing is touched.


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
    (not_a_log, ["neither a Parquet nor an NPZ file", "convert"]),
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
    assert err == "worldrex describe: the data cannot be used: 1 kind of errors, told above.\n"


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
        ("--data LOGGED LOGGED", ["given 2 times", "name the file once"]),
        ("--crossval.steps 0", ["steps is 0", "1 or more"]),
        ("--crossval.seeds 0", ["seeds is 0", "1 or more"]),
        ("--crossval.weights 1 nan", ["weight is nan", "0 (none) or more"]),
        ("--crossval.weights -1", ["weight is -1"]),
        ("--crossval.elites 3", ["elites is 3 of 2 members"]),
        ("--fit.hidden 0", ["hidden is (0,)", "1 or more"]),
        ("--fit.learning-rate inf", ["learning_rate is inf"]),
        ("--fit.weight-decay nan", ["weight_decay is nan"]),
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


def test_a_fault_of_worldrex_shows_where(call: Callable[..., Words], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(cli, "_run", fail)
    code, out, err = call("run")
    assert (code, out) == (1, "")
    assert "Traceback" in err
    assert err.endswith("worldrex run: a fault of worldrex itself, not of your input; please report the lines above.\n")


def test_ctrl_c_says_what_is_left(call: Callable[..., Words], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt("runs/x is unfinished.")

    monkeypatch.setattr(cli, "_run", interrupt)
    assert call("run") == (130, "", "worldrex run: interrupted. runs/x is unfinished.\n")


def test_a_terminal_without_greek_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(cli, "_run", lambda *_: print("ω \udcff") or 0)
    assert main(["run"]) == 0
    stdout.flush()
    assert stdout.buffer.getvalue() == b"\\u03c9 \\udcff\n"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_reader_that_has_seen_enough(logs: dict[str, Path]) -> None:
    command = f"'{sys.executable}' -m worldrex.cli describe '{logs['logged']}' --json | head -c 1"
    command = command.replace("-m worldrex.cli", '-c "import sys; from worldrex.cli import main; sys.exit(main())"')
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode == 0


def test_fit_score_and_report(program: Program, logs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "fitted"
    code, text, err = program("fit", logs["logged"], *TINY, "--penalty", "none", "--out", out, "--json")
    assert (code, "Traceback" in err) == (0, False), err
    assert set(strict_json(text)) == {"format", "kind", "seed", "penalty", "weight", "holdout_risk"}
    assert strict_json((out / "status.json").read_text()) == {"state": "finished", "stage": "fit"}
    code, text, err = program("score", out, logs["unlogged"], "--json")
    assert code == 0, err
    behaviors = strict_json(text)["behaviors"]
    assert list(behaviors) == list(load(logs["unlogged"]).behavior_names)
    assert all(0 < entry["model"] < 100 for entry in behaviors.values())
    code, text, err = program("report", out, "--out", tmp_path / "page.html")
    assert code == 0, err
    assert "</html>" in (tmp_path / "page.html").read_text()
    code, _, err = program("score", out, widened(logs, tmp_path))
    assert code == 2
    assert "obs and action are 3 and 2 wide, the model's 3 and 1" in err
