"""docs/tutorial.md: every command and every line of Python runs in order, with trainings cut short; what it prints is there."""

import re
import shlex
from pathlib import Path

import pytest

from tests import pages
from tests.program import TINY, Program

# What each verb is given besides, so that it ends soon.
SHORT = {
    "collect": ["--steps-per-behavior", "1000"],
    "crossval": [*TINY, "--seeds", "1", "--weights", "300"],
    "fit": TINY,
    "optimize": ["--hidden", "8", "--batch", "16", "--steps", "30", "--rollouts", "20", "--rollout-every", "10"],
    "evaluate": ["--episodes", "3", "--cloning-steps", "10"],
}


def commands(block: str) -> list[list[str]]:
    return [[*shlex.split(line), *SHORT.get(line.split()[1], [])] for line in block.splitlines()]


def labels(text: str) -> list[str]:
    """What each line of an output says before its first number: the words that do not depend on how long was trained."""
    found = [" ".join(re.split(r"[-\[]*\d", line)[0].split()) for line in text.splitlines()]
    return [label for label in found if label]


def test_the_tutorial(
    program: Program, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    page = pages.blocks(pages.read("tutorial.md"))
    given = [command for language, content in page if language == "sh" for command in commands(content)]
    assert {words[0] for words in given} == {"worldrex"}
    verbs = {"collect", "describe", "crossval", "fit", "score", "optimize", "evaluate", "report"}
    assert {words[1] for words in given} == verbs
    told = program.session([words[1:] for words in given])
    assert [(words, err) for words, (code, _, err) in zip(given, told, strict=True) if code] == []
    assert (tmp_path / "report.html").stat().st_size > 10_000

    outputs, said = iter(told), ""
    for language, content in page:
        match language:
            case "sh":
                said = "".join(next(outputs)[1] for _ in commands(content))
            case "python":
                exec(compile(content, "docs/tutorial.md", "exec"), {})
                said = capsys.readouterr().out
            case "text":
                spaced = " ".join(said.split())
                assert [label for label in labels(content) if label not in spaced] == []
            case other:
                assert other == "console"
