import errno
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from worldrex import runs
from worldrex.runs import RunError, RunFolder, atomic_file, check_file, open_run, was_killed, write_json

NAMES = ['say "x"', "two\nlines", "[red]x[/red]", "θ", "\udcff", "", "a/b"]


def new_run(folder: Path, **config: object) -> RunFolder:
    return open_run(folder, {"seed": 0, **config}, command=["worldrex", "run"])


def place(folder: Path) -> str:
    return f"{platform.node()}, inode {(folder / 'config.json').stat().st_ino}"


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    content = {"rows": [{"risk": 0.125, "behavior": "x" * 50}] * 500}
    write_json(path, content | {"try": 0})
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(json.loads(path.read_text())["try"])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 100):
        write_json(path, content | {"try": number})
    stop.set()
    reader.join()
    assert len(seen) > 1
    assert os.listdir(tmp_path) == ["summary.json"]


@pytest.mark.parametrize("error", [RuntimeError("half"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_file(path) as file:  # noqa: PT012
        file.write(b"ne")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.json"]


def test_what_is_not_finite_becomes_null_and_arrays_become_lists(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    content = {
        "a": float("nan"),
        "b": np.array([1.0, np.inf]),
        "c": (np.float32(0.5), {2: Path("x")}),
        "d": np.int64(3),
    }
    write_json(path, content)
    assert json.loads(path.read_text()) == {"a": None, "b": [1.0, None], "c": [0.5, {"2": "x"}], "d": 3}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_survives(tmp_path: Path, name: str) -> None:
    write_json(tmp_path / "x.json", {name: name})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {name: name}
    folder = new_run(tmp_path / "run")
    folder.begin("fit")
    folder.log([{"stage": "fit", "risk": {name: 1.0}}])
    folder.keep("fit", {"name": name})
    assert folder.kept("fit") == {"name": name}
    assert json.loads((folder.path / "metrics.jsonl").read_text())["risk"] == {name: 1.0}


def test_a_full_disk_says_so_and_leaves_earlier_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "x.json", 1)
    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(RunError, match=r"x\.json: No space left on device\. Nothing was changed"):
        write_json(tmp_path / "x.json", 2)
    assert (tmp_path / "x.json").read_text() == "1\n"
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_full_disk_does_not_hide_why_a_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run(tmp_path / "run")
    with pytest.raises(ZeroDivisionError), folder.job("fit"):  # noqa: PT012
        monkeypatch.setattr(os, "fsync", no_room)
        raise ZeroDivisionError
    assert json.loads((folder.path / "status.json").read_text())["state"] == "running"


def test_a_new_run_has_its_configuration_and_where_it_ran(tmp_path: Path) -> None:
    folder = open_run(tmp_path / "a" / "run", {"seed": 3, "out": Path("x")}, command=["worldrex", "fit", "a b"])
    assert not folder.resumed
    assert json.loads((folder.path / "config.json").read_text()) == {
        "command": ["worldrex", "fit", "a b"],
        "config": {"seed": 3, "out": "x"},
        "seed": 3,
    }
    environment = json.loads((folder.path / "environment.json").read_text())
    assert set(environment) == {"python", "machine", "git", *runs.VERSIONED}
    assert environment["numpy"] == np.__version__
    assert environment["machine"]["cores"] == os.cpu_count()


def test_an_existing_empty_folder_will_do(tmp_path: Path) -> None:
    assert not new_run(tmp_path).resumed


@pytest.mark.parametrize(
    ("error", "state"), [(None, "finished"), (KeyboardInterrupt(), "interrupted"), (ValueError(), "failed")]
)
def test_the_status_says_how_a_job_ended(tmp_path: Path, error: BaseException | None, state: str) -> None:
    folder = new_run(tmp_path / "a run")
    with nullcontext() if error is None else pytest.raises(type(error)) as raised, folder.job("collect"):
        assert json.loads((folder.path / "status.json").read_text()) == {
            "state": "running",
            "stage": "collect",
            "locked_on": place(folder.path),
        }
        folder.begin("fit")
        if error is not None:
            raise error
    if state == "interrupted" and raised is not None:
        assert f"--out '{folder.path}' goes on" in str(raised.value)
    assert json.loads((folder.path / "status.json").read_text()) == {"state": state, "stage": "fit"}


def test_ctrl_c_while_a_job_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    folder = new_run(tmp_path)
    monkeypatch.setattr(folder, "begin", interrupt)
    with pytest.raises(KeyboardInterrupt, match="is unfinished"), folder.job("collect"):
        pass
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "interrupted"


def test_a_stage_that_goes_on_forgets_its_later_metrics_and_half_a_line(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "run")
    folder.forget_metrics("fit", after=0)  # there are none yet
    lines = [{"stage": "crossval", "step": 9}, {"stage": "fit", "step": 1}, {"stage": "fit", "step": 2}]
    folder.log(lines)
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write('{"stage": "crossv')
    for after, kept in ((1, lines[:2]), (0, lines[:1])):
        folder.forget_metrics("fit", after=after)
        told = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
        assert [{key: line[key] for key in ("stage", "step")} for line in told] == kept
        assert all(abs(time.time() - line["time"]) < 60 for line in told)


def test_a_folder_whose_making_was_cut_off_is_a_run_folder(tmp_path: Path) -> None:
    new_run(tmp_path)
    for name in ("status.json", "environment.json"):
        (tmp_path / name).unlink()
    assert new_run(tmp_path).resumed
    assert "jax" in json.loads((tmp_path / "environment.json").read_text())


def test_an_unfinished_run_of_the_same_configuration_is_resumed(tmp_path: Path) -> None:
    first = new_run(tmp_path, weights=(0.0, 1.0))
    first.keep("crossval", {"risk": 0.1 + 0.2})
    (tmp_path / ".0123.unfinished").write_text("half")
    again = new_run(tmp_path, weights=(0.0, 1.0))
    assert again.resumed
    assert again.kept("crossval") == {"risk": 0.1 + 0.2}
    assert again.kept("fit") is None
    with again.job("fit"):
        assert not list(tmp_path.rglob("*.unfinished"))


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process whose job is under way in `tmp_path`."""
    code = """
        import sys
        from worldrex.runs import open_run
        with open_run(sys.argv[1], {"seed": 0}, command=["worldrex", "run"]).job("fit"):
            print("open", flush=True)
            sys.stdin.read()
        """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_two_processes_do_not_write_one_folder(tmp_path: Path, at_work: subprocess.Popen[str]) -> None:
    with pytest.raises(RunError, match="another worldrex is at work"), new_run(tmp_path).job("fit"):
        pass
    at_work.kill()
    at_work.wait()
    with new_run(tmp_path).job("fit"):
        assert json.loads((tmp_path / "status.json").read_text())["state"] == "running"


def test_a_killed_job_is_told_from_one_at_work(tmp_path: Path, at_work: subprocess.Popen[str]) -> None:
    assert not was_killed(tmp_path)
    at_work.kill()
    at_work.wait()
    assert was_killed(tmp_path)
    with new_run(tmp_path).job("fit"):
        assert not was_killed(tmp_path)
    assert not was_killed(tmp_path)  # it says itself that it has finished


def test_of_a_job_on_another_machine_nothing_is_claimed(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {})
    status = {"state": "running", "stage": "fit", "locked_on": place(tmp_path)}
    write_json(tmp_path / "status.json", status)
    assert was_killed(tmp_path)
    write_json(tmp_path / "status.json", status | {"locked_on": "another" + place(tmp_path)})
    assert not was_killed(tmp_path)
    write_json(tmp_path / "status.json", {"state": "running", "stage": "fit"})
    assert not was_killed(tmp_path)


def test_of_a_copy_of_a_folder_at_work_nothing_is_claimed(tmp_path: Path, at_work: subprocess.Popen[str]) -> None:
    shutil.copytree(tmp_path, tmp_path / "copy")
    assert not was_killed(tmp_path / "copy")


def test_a_job_that_ends_between_two_looks_was_not_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "config.json", {})
    write_json(tmp_path / "status.json", {"state": "running", "stage": "fit", "locked_on": place(tmp_path)})

    def ends(path: Path) -> bool:
        write_json(path.parent / "status.json", {"state": "finished", "stage": "fit"})
        return False

    monkeypatch.setattr("worldrex.runs.folder.is_held", ends)
    assert not was_killed(tmp_path)


def test_where_there_are_no_locks_a_job_runs_and_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with new_run(tmp_path).job("fit"):
        status = json.loads((tmp_path / "status.json").read_text())
        assert status == {"state": "running", "stage": "fit"}
    write_json(tmp_path / "status.json", status | {"locked_on": place(tmp_path)})
    assert not was_killed(tmp_path)


def test_a_look_at_a_folder_does_not_keep_a_job_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run(tmp_path)
    with open(tmp_path / "config.json", "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda seconds: fcntl.flock(looking, fcntl.LOCK_UN))
        with folder.job("fit"):
            pass
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "finished"


def finished(folder: Path) -> Path:
    with new_run(folder).job("fit"):
        pass
    return folder


def of_other_settings(folder: Path) -> Path:
    new_run(folder, weight=2.0)
    return folder


def foreign(folder: Path) -> Path:
    folder.mkdir()
    (folder / "thesis.tex").write_text("precious")
    return folder


def broken(folder: Path) -> Path:
    new_run(folder)
    (folder / "status.json").write_text("[]")
    return folder


def a_file(folder: Path) -> Path:
    folder.write_text("precious")
    return folder


def under_a_file(folder: Path) -> Path:
    return a_file(folder) / "run"


def nowhere(_: Path) -> Path:
    return Path("/proc/nope/run")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (finished, "a finished run, which is never overwritten"),
        (of_other_settings, r"unfinished run with other settings \(weight\)"),
        (foreign, r"not a run folder \(it holds thesis\.tex and no config\.json\)"),
        (broken, r"a config\.json or status\.json that is not a run's"),
        (a_file, "is a file"),
        (under_a_file, "cannot make the folder"),
        (nowhere, "cannot make the folder"),
    ],
)
def test_a_place_that_cannot_be_used(tmp_path: Path, place, message: str) -> None:
    path = place(tmp_path / "out")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match=message):
        new_run(path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_file_is_new_and_in_a_folder_that_exists(tmp_path: Path) -> None:
    check_file(tmp_path / "new.parquet")
    (tmp_path / "old.parquet").touch()
    with pytest.raises(RunError, match="never overwritten"):
        check_file(tmp_path / "old.parquet")
    with pytest.raises(RunError, match="not a folder that exists"):
        check_file(tmp_path / "nowhere" / "new.parquet")
