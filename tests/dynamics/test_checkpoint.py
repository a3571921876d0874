import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL, arrays, same_bits
from tests.program import strict_json
from worldrex.cli import main
from worldrex.commands import fit
from worldrex.data import Transitions
from worldrex.dynamics import Run, Sweep, TrainingError, checkpoint, sweep, train
from worldrex.dynamics.checkpoint import KEPT, Position, newest, write
from worldrex.runs import RunError

RUNS = [Run("variance", 10.0, True, (), 0), Run("group_dro", 1.0, True, (2,), 1)]
# Every kind of state there is: best weights, members that stop, weights of group_dro, tracked moments.
CONFIG = replace(
    SMALL,
    members=2,
    elites=1,
    warmup_steps=40,
    steps=120,
    learning_rate=0.03,
    keep="best",
    patience=4,
    bootstrap=True,
    tracking=0.9,
)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluated, and so written, every 10 steps."""
    monkeypatch.setattr(sweep, "REPORT_STEPS", 10)


def interrupted_at(step: int) -> Callable[[int, int], None]:
    def tick(done: int, _: int) -> None:
        if done >= step:
            raise KeyboardInterrupt

    return tick


def trained(log: Transitions, folder: Path | None, **more: Any) -> Sweep:
    return train(log, RUNS, CONFIG, checkpoint=folder, checkpoint_seconds=0.0, **more)


@pytest.fixture(scope="module")
def whole(log: Transitions) -> Sweep:
    """The training that nothing interrupts, and that leaves no checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "REPORT_STEPS", 10)
        return trained(log, None)


@pytest.fixture
def begun(log: Transitions, tmp_path: Path) -> Path:
    """Checkpoints of steps 70 and 80 of a training that was interrupted."""
    with pytest.raises(KeyboardInterrupt):
        trained(log, tmp_path / "kept", tick=interrupted_at(80))
    return tmp_path / "kept"


def steps_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_training_interrupted_at_every_turn_is_the_same_to_the_bit(
    log: Transitions, whole: Sweep, tmp_path: Path
) -> None:
    begins: list[int] = []
    for step in (10, 30, 40, 50, 100, 150):
        with pytest.raises(KeyboardInterrupt):
            trained(log, tmp_path, tick=interrupted_at(step), begins=begins.append)
    resumed = trained(log, tmp_path, begins=begins.append)
    assert begins == [0, 10, 30, 40, 50, 100, 150]
    assert same_bits(arrays(resumed), arrays(whole))


def test_reports_after_a_resumption_are_those_of_the_whole(log: Transitions, tmp_path: Path) -> None:
    """Where members had stopped already, which the rest must know."""
    told: list[Any] = []
    trained(log, None, report=told.append)
    some = [progress.step for progress in told if 0 < progress.active.sum() < 4]
    assert some
    with pytest.raises(KeyboardInterrupt):
        trained(log, tmp_path, tick=interrupted_at(some[0]))
    again: list[Any] = []
    trained(log, tmp_path, report=again.append)
    late = [progress for progress in told if progress.step > some[0]]
    assert len(again) == len(late) > 0
    assert same_bits(again, late)


def test_the_last_two_checkpoints_are_kept(begun: Path) -> None:
    assert KEPT == 2
    assert steps_in(begun) == ["step-000000070", "step-000000070.json", "step-000000080", "step-000000080.json"]
    seal = strict_json((begun / "step-000000080.json").read_text())
    assert seal["step"] == 80
    for name, digest in seal["files"].items():
        assert hashlib.sha256((begun / "step-000000080" / name).read_bytes()).hexdigest() == digest


def files_in(folder: Path) -> list[Path]:
    return sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: -path.stat().st_size)


def flip(checkpoint: Path) -> None:
    largest = files_in(checkpoint)[0]
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def lose_a_file(checkpoint: Path) -> None:
    files_in(checkpoint)[-1].unlink()


def cut_short(checkpoint: Path) -> None:
    largest = files_in(checkpoint)[0]
    largest.write_bytes(largest.read_bytes()[:-7])


def lose_all(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)


def damage_the_seal(checkpoint: Path) -> None:
    seal = checkpoint.with_suffix(".json")
    seal.write_text(seal.read_text()[:50])


@pytest.mark.parametrize("damage", [flip, lose_a_file, cut_short, lose_all, damage_the_seal])
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_used(
    log: Transitions, whole: Sweep, begun: Path, damage: Callable[[Path], None]
) -> None:
    damage(begun / "step-000000080")
    begins: list[int] = []
    said: list[str] = []
    resumed = trained(log, begun, begins=begins.append, say=said.append)
    assert begins == [70]
    assert len(said) == 1
    assert "step-000000080 is damaged, so the one before it is used" in said[0]
    assert same_bits(arrays(resumed), arrays(whole))


def test_where_every_checkpoint_is_damaged_the_training_starts_anew(
    log: Transitions, whole: Sweep, begun: Path
) -> None:
    for name in ("step-000000070", "step-000000080"):
        flip(begun / name)
    begins: list[int] = []
    said: list[str] = []
    resumed = trained(log, begun, begins=begins.append, say=said.append)
    assert (begins, len(said)) == ([0], 2)
    assert same_bits(arrays(resumed), arrays(whole))


def test_half_a_checkpoint_is_not_looked_at(log: Transitions, whole: Sweep, begun: Path) -> None:
    """What a kill leaves while it is written: no seal yet, and what Orbax or the seal's writer had begun."""
    shutil.copytree(begun / "step-000000080", begun / "step-000000090")
    files_in(begun / "step-000000090")[0].unlink()
    shutil.copytree(begun / "step-000000080", begun / "step-000000100.orbax-checkpoint-tmp")
    (begun / ".0123.unfinished").write_text('{"format": 1')
    begins: list[int] = []
    said: list[str] = []
    resumed = trained(log, begun, begins=begins.append, say=said.append)
    assert (begins, said) == ([80], [])
    assert same_bits(arrays(resumed), arrays(whole))


def test_a_checkpoint_of_other_shapes_is_refused(log: Transitions, begun: Path) -> None:
    with pytest.raises(TrainingError, match=r"the checkpoint of step 80 in .* is of a training of other shapes"):
        train(log, RUNS, replace(CONFIG, hidden=(17,)), checkpoint=begun)
    assert "step-000000080.json" in steps_in(begun)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tree = {"x": rng.normal(size=(3, 4)).astype(np.float32), "y": (np.int32(4), np.array([True, False]))}
    position = Position(7, tree, jax.tree.map(lambda x: x * 0, tree), [np.float32([np.nan, np.inf, -0.0])])
    assert newest(tmp_path / "none", position) is None
    write(tmp_path, position)
    like = jax.tree.map(np.zeros_like, position)._replace(step=0)
    read = newest(tmp_path, like)
    assert read is not None
    assert read.step == 7
    assert same_bits(read, position)
    for x, y in zip(jax.tree.leaves(read[1:]), jax.tree.leaves(position[1:]), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@pytest.fixture
def small_disk(disk_of: Callable[[int], Path]) -> Path:
    """A file system of 1 MiB."""
    return disk_of(1024)


NOISE = np.random.default_rng(0).normal(size=(2, 40_000)).astype(np.float32)
BIG = Position(1, NOISE, NOISE[:1, :1], NOISE[:1, :1])


def found_out_first(_: pytest.MonkeyPatch) -> None:
    """That the disk is too full, before anything is written."""


def found_out_by_orbax(patch: pytest.MonkeyPatch) -> None:
    """That it is, while it writes."""
    patch.setattr(checkpoint, "_require_room", lambda *_: None)


# Orbax's threads complain of a full disk on their own, too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("finds_out", [found_out_first, found_out_by_orbax])
def test_on_a_full_disk_the_checkpoints_before_are_intact(
    small_disk: Path, finds_out: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        write(small_disk / "kept", BIG._replace(step=step))
    before = {path: path.read_bytes() for path in files_in(small_disk)}
    (small_disk / "else").write_bytes(bytes(250_000))
    finds_out(monkeypatch)
    with pytest.raises(RunError, match=r"cannot write the checkpoint .*step-000000003.*No space.*make room") as error:
        write(small_disk / "kept", BIG._replace(step=3))
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in files_in(small_disk / "kept")} == before
    (small_disk / "else").unlink()
    read = newest(small_disk / "kept", BIG)
    assert read is not None
    assert read.step == 2
    assert same_bits(read[1:], BIG[1:])
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    write(small_disk / "kept", BIG._replace(step=3))
    assert steps_in(small_disk / "kept")[::2] == ["step-000000002", "step-000000003"]


@pytest.mark.parametrize("arrays", [1, 100])
def test_the_room_that_is_asked_for_is_enough(tmp_path: Path, arrays: int) -> None:
    position = BIG._replace(networks=np.split(NOISE, arrays, axis=1))
    write(tmp_path, position)
    used = sum(path.stat().st_blocks * 512 for path in tmp_path.rglob("*"))
    asked = NOISE.nbytes + checkpoint.PER_ARRAY * (arrays + 2) + checkpoint.PER_CHECKPOINT
    assert NOISE.nbytes < used < asked


# Imports once, then starts each try as a child, so that ten kills take no longer than one start.
TRIES = """
import json, os, signal, sys, time
kills, folder, words = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
import orbax.checkpoint, tyro, worldrex.commands.fit
from worldrex.cli import main
from worldrex.commands import fit
from worldrex.dynamics import sweep
sweep.REPORT_STEPS = 20
sweep.STRETCH = 5
whole = fit.checkpoints
fit.checkpoints = lambda *of: whole(*of) | {"checkpoint_seconds": 0.0}

def begin(*more):
    child = os.fork()
    if child == 0:
        sys.argv = ["worldrex"]
        os._exit(main([*words, *more]))
    return child

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

told = []
for number, (when, seconds) in enumerate(kills):
    out = os.path.join(folder, "out")
    child = begin("--out", out, *(["--resume"] if number else []))
    kept = os.path.join(out, "checkpoint", "fit")
    known = set(os.listdir(kept)) if os.path.isdir(kept) else set()
    deadline = time.monotonic() + 60
    # Until it is at work, or has begun a checkpoint that was not there: then at a random moment.
    def there():
        if when == "start":
            return os.path.exists(os.path.join(out, "config.json"))
        return os.path.isdir(kept) and set(os.listdir(kept)) - known
    still = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while not there() and time.monotonic() < deadline and os.waitid(os.P_PID, child, still) is None:
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    told.append([ended(child), sorted(os.listdir(kept)) if os.path.isdir(kept) else []])
    if told[-1][0] == 0:
        break
else:
    told.append([ended(begin("--out", os.path.join(folder, "out"), "--resume")), []])
told.append([ended(begin("--out", os.path.join(folder, "whole"))), []])
print(json.dumps(told))
"""


def test_killed_ten_times_and_resumed_it_ends_with_the_same_bytes(logs: dict[str, Path], tmp_path: Path) -> None:
    rng = random.Random(time.time_ns())
    kills = [("start" if number in (0, 4) else "checkpoint", rng.uniform(0, 0.25)) for number in range(10)]
    tiny = [
        "--members",
        "2",
        "--elites",
        "1",
        "--hidden",
        "8",
        "--batch",
        "32",
        "--warmup-steps",
        "100",
        "--steps",
        "900",
    ]
    words = ["fit", str(logs["logged"]), *tiny]
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    process = subprocess.run(
        [sys.executable, "-c", TRIES, json.dumps(kills), str(tmp_path), *words],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout.splitlines()[-1])
    assert [code for code, _ in told] == [-signal.SIGKILL] * 10 + [0, 0], (kills, told, process.stdout, process.stderr)
    assert len({tuple(names) for _, names in told}) > 5, told  # the kills met it at different places
    for name in ("model/model.safetensors", "model/model.json", "summary.json", "metrics.jsonl", "status.json"):
        resumed, whole = ((tmp_path / folder / name).read_bytes() for folder in ("out", "whole"))
        if name == "metrics.jsonl":  # only the hour differs
            resumed, whole = (re.sub(rb', "time": [\d.]+}', b"}", content) for content in (resumed, whole))
        assert resumed == whole, (name, kills, told)
    assert len((tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()) == 50
    assert not (tmp_path / "out" / "checkpoint").exists() or not list((tmp_path / "out" / "checkpoint").rglob("step-*"))


def test_a_full_disk_ends_fit_with_2(
    logs: dict[str, Path], small_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = fit.checkpoints
    monkeypatch.setattr(fit, "checkpoints", lambda *of: every(*of) | {"checkpoint_seconds": 0.0})
    out = small_disk / "out"
    sizes = [
        "--members",
        "2",
        "--elites",
        "1",
        "--hidden",
        "72",
        "72",
        "--batch",
        "32",
        "--warmup-steps",
        "20",
        "--steps",
        "60",
    ]
    words = ["fit", str(logs["logged"]), *sizes, "--out", str(out)]
    assert main(words) == 2
    err = capsys.readouterr().err
    last = err.splitlines()[-1]
    assert last.startswith(f"worldrex fit: cannot write the checkpoint {out}"), err
    assert "No space left on device" in last
    assert "make room" in last
    assert "Traceback" not in err
    kept = sorted(path.name for path in (out / "checkpoint" / "fit").iterdir())
    # How many fit is the disk's affair; none is half written.
    assert kept
    assert kept[1::2] == [f"{name}.json" for name in kept[::2]]
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert main([*words, "--resume"]) == 0
    assert f"goes on after step {int(kept[-2][5:])}" in "".join(capsys.readouterr())
    assert strict_json((out / "status.json").read_text())["state"] == "finished"


def test_resume_without_a_run_is_refused(
    logs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(logs["logged"]), "--out", str(tmp_path / "none"), "--resume"]) == 2
    assert "--resume: " in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
