"""examples/slurm: the batch scripts run, with stand-ins for SLURM's commands that start the tasks on this machine."""

import json
import os
import shlex
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.program import Program

RECIPES = Path(__file__).parents[1] / "examples" / "slurm"
TRAINING = "--members 2 --elites 1 --hidden 8 --batch 32 --warmup-steps 20 --steps 20"

# Two nodes, both of them this machine; as many tasks at a time as srun is asked for, or as the job has.
SRUN = """#!{python}
import os, subprocess, sys
words, tasks = sys.argv[1:], int(os.environ["SLURM_NTASKS"])
while words and words[0].startswith("--"):
    tasks = int(words[0].split("=")[1]) if words[0].startswith("--ntasks=") else tasks
    words = words[1:]
step = os.environ | {{"SLURM_NTASKS": str(tasks), "SLURM_STEP_NODELIST": os.environ["SLURM_JOB_NODELIST"]}}
started = [
    subprocess.Popen(words, env=step | {{"SLURM_PROCID": str(n), "SLURM_LOCALID": str(n)}}) for n in range(tasks)
]
sys.exit(max(process.wait() for process in started))
"""
SCONTROL = """#!/bin/bash
echo localhost
echo localhost
"""
WORLDREX = """#!/bin/bash
words=()
for word in "$@"; do [[ $word == --batch || $word == 4096 ]] || words+=("$word"); done
exec {python} -c 'import sys; from worldrex.cli import main; sys.exit(main())' "${{words[@]}}" {flags}
"""


def free_number() -> int:
    """A job's number of which the scripts make a port that is free."""
    for number in range(os.getpid() % 4096, 4096):
        with suppress(OSError), socket.create_server(("", 61440 + number)):
            return number
    pytest.skip("no port is free from 61440 on")


@pytest.fixture
def job(tmp_path: Path, logs: dict[str, Path], program: "Program") -> dict[str, str]:
    """The environment of a batch script in `tmp_path`, where `logs/` has two files."""
    (tmp_path / "logs").mkdir()
    for number in range(2):
        (tmp_path / "logs" / f"part-{number}.parquet").write_bytes(logs["logged"].read_bytes())
    (tmp_path / "bin").mkdir()
    python = shlex.quote(sys.executable)
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("worldrex", WORLDREX)):
        (tmp_path / "bin" / name).write_text(
            text.format(python=sys.executable if name == "srun" else python, flags=TRAINING)
        )
        (tmp_path / "bin" / name).chmod(0o755)
    return program.environment | {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "SLURM_JOB_ID": str(free_number()),
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_CPUS_PER_TASK": "1",
    }


def test_the_processes_of_a_fit_come_together(job: dict[str, str], tmp_path: Path):
    done = subprocess.run(
        ["bash", RECIPES / "fit.sbatch"], cwd=tmp_path, env=job, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "processes" not in done.stderr
    (summary,) = tmp_path.glob("runs/fit-*/summary.json")
    assert json.loads(summary.read_text())["weight"] == 100
    assert "records for process 0" in done.stdout
