import subprocess
import sys
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


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = "import sys; from worldrex.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "completion", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    path = tmp_path_factory.mktemp("completion") / "worldrex"
    path.write_text(done.stdout)
    return path


def press_tab(script: Path, *words: str) -> set[str]:
    done = subprocess.run(["bash", "-c", PRESS, "bash", script, *words], capture_output=True, text=True, check=True)
    assert "-o default" in done.stderr  # a log's path, where there is nothing else
    return set(done.stdout.split())


def test_bash_completes_verbs_flags_and_choices(script: Path) -> None:
    assert set(VERBS) <= press_tab(script, "worldrex", "")
    assert press_tab(script, "worldrex", "cr") == {"crossval"}
    assert "--weights" in press_tab(script, "worldrex", "crossval", "--we")
    assert press_tab(script, "worldrex", "crossval", "--penalty", "va") == {"variance"}
    # `run` alone has its parts' names before the flags.
    assert {"--crossval.weights", "--crossval.weight-decay"} == press_tab(script, "worldrex", "run", "--crossval.we")


def test_each_shell_has_a_script_and_others_are_told(call: Callable[..., Words]) -> None:
    code, out, _ = call("completion", "zsh")
    assert code == 0
    assert out.startswith("#compdef worldrex")
    assert all(verb in out for verb in VERBS)
    code, out, err = call("completion", "--help")
    assert (code, err) == (0, "")
    assert "worldrex completion bash >" in out
    for words, came in ((["fish"], "'fish'"), ([], "no shell"), (["bash", "zsh"], "'bash' 'zsh'")):
        code, out, err = call("completion", *words)
        assert (code, out) == (2, "")
        assert err.startswith(f"worldrex completion: {came} came; expected one of bash, zsh.")
