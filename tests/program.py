"""Starts worldrex as a person does, with trainings so small that only compiling takes time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from worldrex.data import CollectConfig, collect

Words = tuple[int, str, str]

_TRAINING = ("--members 1", "--elites 1", "--hidden 8", "--batch 32", "--warmup-steps 20", "--steps 20")
TINY = " ".join(_TRAINING).split()
TINY_RUN = [flag.replace("--", f"--{part}.") for part in ("crossval", "fit") for flag in TINY]
TINY_RUN += ["--crossval.seeds", "1", "--crossval.weights", "10"]
TINY_RUN += [
    "--policies",
    "2",
    "--episodes",
    "3",
    "--optimize.hidden",
    "8",
    "--optimize.batch",
    "16",
    "--optimize.steps",
    "30",
]
TINY_RUN += ["--optimize.rollouts", "20", "--optimize.rollout-every", "10"]

# The built-in task logs 10,240 records for each behavior; 200 will do.
_PROGRAM = """
import dataclasses, sys
from worldrex.tasks import registry
registry._TASKS.update({n: dataclasses.replace(t, steps_per_behavior=200) for n, t in registry._TASKS.items()})
from worldrex.cli import main
sys.exit(main())
"""
_SESSION = """
import contextlib, io, json, sys
from worldrex.cli import main
told = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        told.append((main(words), out, err))
print(json.dumps([(code, out.getvalue(), err.getvalue()) for code, out, err in told]))
"""


def write_logs(folder: Path) -> dict[str, Path]:
    """Small logs of the built-in task: `logged`, `unlogged`, and `two` with two behaviors."""
    paths = {name: folder / f"{name}.parquet" for name in ("logged", "unlogged", "two")}
    for behaviors in ("logged", "unlogged"):
        collect(CollectConfig(behaviors=behaviors, steps_per_behavior=200)).save(paths[behaviors])
    logged = collect(CollectConfig(steps_per_behavior=200))
    logged.rows(logged.behavior < 2).save(paths["two"])
    return paths


class Program:
    """worldrex in processes of its own that share what they compile."""

    def __init__(self, cache: Path) -> None:
        self.environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
            "COLUMNS": "80",
        }

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _PROGRAM, *map(str, words)]
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # Tests that run in the background ignore Ctrl-C, and a child would inherit that.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )

    def __call__(self, *words: str | Path) -> Words:
        """Exit code, stdout and stderr."""
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def session(self, commands: list[list[str]]) -> list[Words]:
        """Exit code, stdout and stderr of each of several commands, one after the other in one process, 100 columns wide."""
        done = subprocess.run(
            [sys.executable, "-c", _SESSION], input=json.dumps(commands), stdout=subprocess.PIPE, text=True,
            env=self.environment | {"COLUMNS": "100"}, check=True, timeout=900,
        )  # fmt: skip
        return [(code, out, err) for code, out, err in json.loads(done.stdout)]

    def end_at(self, stage: str, signal: int, *words: str | Path, out: Path) -> tuple[int, str, str, float]:
        """Send a signal as soon as status.json says `stage`; also the seconds until the end."""
        process = self.start(*words, "--out", out)
        deadline = time.monotonic() + 120
        wanted = {"state": "running", "stage": stage}
        while not (out / "status.json").exists() or state_of(out) != wanted:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        started = time.monotonic()
        process.send_signal(signal)
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout, stderr, time.monotonic() - started


def state_of(folder: Path) -> dict[str, str]:
    """How a run says that it stands, and where; not on which machine."""
    status = json.loads((folder / "status.json").read_text())
    return {name: status[name] for name in ("state", "stage")}


def strict_json(text: str) -> Any:
    """As JSON has it: no NaN, no Infinity."""

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
