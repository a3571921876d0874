"""docs/tutorial.md: every command and every line of Python runs in order, with trainings cut short; what it prints is there."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import pages
from tests.program import TINY, Program, Words

# What each verb is given besides, so that it ends soon.
SHORT = {
    "collect": ["--steps-per-behavior", "1000"],
    "crossval": [*TINY, "--seeds", "1", "--weights", "300"],
    "fit": TINY,
    "optimize": "--hidden 8 --batch 16 --steps 30 --rollouts 20 --rollout-every 10".split(),
    "evaluate": "--episodes 3 --cloning-steps 10".split(),
}


def labels(text: str) -> list[str]:
    """What each line of an output says before its first number: the words that do not depend on how long was trained."""
    found = [" ".join(re.split(r"[-\[]*\d", line)[0].split()) for line in text.splitlines()]
    return [label for label in found if label]


def test_the_tutorial(
    call: Callable[..., Words],
    program: Program,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    said, verbs = "", []
    for language, content in pages.blocks(pages.read("tutorial.md")):
        match language:
            case "sh":
                said = ""
                for line in content.splitlines():
                    word, verb, *flags = shlex.split(line)
                    assert word == "worldrex"
                    run = (
                        program if verb in ("crossval", "fit", "score", "optimize", "evaluate") else call
                    )  # compiles faster
                    code, out, err = run(verb, *flags, *SHORT.get(verb, []))
                    assert code == 0, err
                    verbs.append(verb)
                    said += out
            case "python":
                exec(compile(content, "docs/tutorial.md", "exec"), {})
                said = capsys.readouterr().out
            case "text":
                told = " ".join(said.split())
                assert [label for label in labels(content) if label not in told] == []
            case other:
                assert other == "console"
    assert set(verbs) == {"collect", "describe", "crossval", "fit", "score", "optimize", "evaluate", "report"}
    assert (tmp_path / "report.html").stat().st_size > 10_000
