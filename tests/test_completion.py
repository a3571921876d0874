import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.program import Words
from worldrex.cli import VERBS

# What bash does at a press of Tab: the words so far, the last one unfinished, into the function that `complete` names.
PRESS = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
registered=$(complete -p worldrex); name=${registered##*-F }; ${name% *} worldrex "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
echo "$registered" >&2
"""


PROGRAM = "import sys; from worldrex.cli import main; sys.exit(main())"


def written(shell: str, path: Path) -> Path:
    command = [sys.executable, "-c", PROGRAM, "completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    path.write_text(done.stdout)
    return path


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written("bash", tmp_path_factory.mktemp("completion") / "worldrex")


def press_tab(script: Path, *words: str) -> set[str]:
    done = subprocess.run(["bash", "-c", PRESS, "bash", script, *words], capture_output=True, text=True, check=True)
    assert "-o default" in done.stderr  # a log's path, where there is nothing else
    return set(done.stdout.split())


def test_bash_completes_verbs_flags_and_choices(script: Path) -> None:
    assert set(VERBS) <= press_tab(script, "worldrex", "")
    assert press_tab(script, "worldrex", "cr") == {"crossval"}
    assert "--weights" in press_tab(script, "worldrex", "crossval", "--we")
    assert press_tab(script, "worldrex", "crossval", "--penalty", "va") == {"variance"}
    for verb in ("run", "collect", "evaluate"):
        assert press_tab(script, "worldrex", verb, "--task", "gusty-h") == {"gusty-hopper", "gusty-halfcheetah"}
    assert press_tab(script, "worldrex", "comp") == {"completion"}
    assert press_tab(script, "worldrex", "completion", "") - {"-h", "--help"} == {"bash", "zsh"}
    # What `run` sets itself is no flag, and no part of a description is a word.
    for verb in ("run", "crossval"):
        offered = press_tab(script, "worldrex", verb, "")
        assert offered
        assert all(word.startswith("-") for word in offered)
        assert not offered & {
            "--crossval.seed",
            "--crossval.termination",
            "--fit.features.history",
            "--optimize.action-low",
        }
    # `run` alone has its parts' names before the flags.
    assert {"--crossval.weights", "--crossval.weight-decay"} == press_tab(script, "worldrex", "run", "--crossval.we")


def test_the_script_is_the_same_in_a_narrow_terminal(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    assert written("bash", tmp_path / "narrow").read_text() == script.read_text()


class Zsh:
    """An interactive zsh in a folder, on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.terminal, its = pty.openpty()
        environment = os.environ | {"TERM": "dumb", "PS1": "", "ZDOTDIR": str(folder)}
        self.process = subprocess.Popen(
            ["zsh", "-f", "-i"], cwd=folder, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True
        )
        os.close(its)
        # What is in quotes is printed by the shell alone, not by the echo of the line.
        self.types("fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -d dump; print rea''dy\n", until="ready")

    def types(self, text: str, until: str, seconds: float = 60) -> str:
        """What the terminal shows from then on, until this is in it."""
        os.write(self.terminal, text.encode())
        shown, end = "", time.monotonic() + seconds
        while until not in shown and time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.1)[0]:
                shown += os.read(self.terminal, 2**16).decode(errors="replace")
        assert until in shown, shown
        return shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_verbs_flags_choices_and_files(tmp_path: Path) -> None:
    written("zsh", tmp_path / "_worldrex")
    (tmp_path / "operator_log.parquet").touch()
    zsh = Zsh(tmp_path)
    try:
        zsh.types("worldrex cros\t", until="worldrex crossval ")
        zsh.types("--penal\t", until="--penalty ")
        zsh.types("vari\t", until="variance ")
        zsh.types("\x15worldrex describe oper\t", until="operator_log.parquet ")  # from an empty line
        shown = zsh.types("\x15worldrex \t", until="watch ")
        assert re.search(f"crossval +-- {re.escape(VERBS['crossval'])}", shown)
    finally:
        zsh.close()


def test_each_shell_has_a_script_and_others_are_told(call: Callable[..., Words]) -> None:
    code, out, _ = call("completion", "zsh")
    assert code == 0
    assert out.startswith("#compdef worldrex")
    assert all(f"{verb!r}: {{'description': {what!r}" in out for verb, what in VERBS.items())
    assert out.splitlines()[-1] == '_tyro_worldrex "$@" || _files'
    assert out.count('_tyro_worldrex "$@"') == 1
    code, out, err = call("completion", "--help")
    assert (code, err) == (0, "")
    assert "worldrex completion bash >" in out
    for words, came in ((["fish"], "'fish'"), ([], "no shell"), (["bash", "zsh"], "'bash' 'zsh'")):
        code, out, err = call("completion", *words)
        assert (code, out) == (2, "")
        assert err.startswith(f"worldrex completion: {came} came; expected one of bash, zsh.")
