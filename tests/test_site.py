"""What docs/hooks does when the site is built: commands out of their own help, and no public name without its entry."""

import re
import runpy
import tomllib
from importlib import import_module
from typing import Any

import pytest

from tests import pages
from worldrex.cli import VERBS


def hook(name: str) -> dict[str, Any]:
    return runpy.run_path(str(pages.DOCS / "hooks" / f"{name}.py"))


def test_the_page_of_commands_has_each_verb_and_each_flag(monkeypatch: pytest.MonkeyPatch):
    commands = hook("commands")
    monkeypatch.setenv("COLUMNS", "80")  # is set, and put back
    sections = re.split(r"^## ", commands["sections"](), flags=re.MULTILINE)[1:]
    assert [section.split("\n", 1)[0] for section in sections] == list(VERBS)
    for verb, section in zip(VERBS, sections, strict=True):
        flags = set(re.findall(r"^│ (--[\w.-]+)", commands["help_of"](verb), re.MULTILINE))
        assert flags
        assert set(re.findall(r"^\| `(--[\w.-]+)", section, re.MULTILINE)) == flags
    assert (
        "| `--weight FLOAT` | Weight of the penalty; 0 is empirical risk minimization (ERM). (default: 100.0) |"
        in (sections[list(VERBS).index("fit")])
    )


def test_the_version_to_cite_is_the_one_that_there_is():
    version = tomllib.loads((pages.DOCS.parent / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (pages.DOCS.parent / "CITATION.cff").read_text()
    assert f"version = {{{version}}}" in pages.read("citing.md")


def test_a_line_of_a_help_that_belongs_to_no_flag_is_an_error():
    with pytest.raises(ValueError, match="belongs to no flag"):
        hook("commands")["groups"]("╭─ options ─╮\n│         lost │\n")


def test_every_public_name_has_a_docstring_and_must_be_on_the_reference(monkeypatch: pytest.MonkeyPatch):
    names = hook("public_names")
    every = [f"{room}.{name}" for room in names["ROOMS"] for name in import_module(room).__all__]
    page = "".join(f'<h3 id="{name}">' for name in every)
    assert names["undocumented"](page) == []
    assert names["undocumented"]("") == every
    # `worldrex.load` is `worldrex.data.load`: without both it is missed.
    without = page.replace('id="worldrex.load"', "")
    assert names["undocumented"](without) == []
    assert names["undocumented"](without.replace('id="worldrex.data.load"', "")) == [
        "worldrex.load",
        "worldrex.data.load",
    ]
    monkeypatch.setattr("worldrex.data.DataError.__doc__", None)
    assert names["undocumented"](page) == ["worldrex.DataError", "worldrex.data.DataError"]
