import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from tests.program import Words, strict_json
from tests.report.conftest import WriteRun
from tests.report.made_up_runs import summary_of_gusty, summary_of_pipeline
from tests.report.test_page import HOSTILE, renamed
from worldrex.report import Run, read_run
from worldrex.report.folder import SUMMARY_PARTS
from worldrex.report.markdown import escaped, fenced, render_markdown, table
from worldrex.report.tables import Estimate, Table


def test_the_verdict_the_tables_and_the_figures(
    write_run: WriteRun, tmp_path: Path, call: Callable[..., Words]
) -> None:
    out = tmp_path / "my reports" / "gusty.md"
    code, said, err = call("report", write_run(summary_of_gusty()), "--format", "md", "--out", out, "--json")
    assert (code, strict_json(said)["page"]) == (0, str(out)), err
    assert len(strict_json(said)["figures"]) == 2 * 25
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# gusty-pendulum\n\n40,960 records · 412 episodes")
    assert "**The penalty helps.** The penalized model holds" in text
    assert "| leans with the gust | 2.95 (2.80 to 3.13) | 1.04 (0.988 to 1.10) | 1.88 (1.79 to 1.99) | 1.00 |" in text
    for words in (
        "*Squared error after so many steps, in units of the one-step change*",
        "### leans with the gust",
        "## Where the behaviors go",
        "The hardest for ERM is “ignores the gust”",
    ):
        assert words in text, words
    assert "```\nworldrex run --task gusty-pendulum\n```" in text
    linked = re.findall(r"\]\(([^)]+)\)", text)
    assert len(linked) == 2 * 25
    assert all((out.parent / unquote(place)).is_file() for place in linked)
    assert not re.search(r"\n{3,}|[ \t]+$", text, re.MULTILINE)


def as_html(text: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(text)


def test_every_table_is_whole(write_run: WriteRun) -> None:
    text = render_markdown([read_run(write_run(summary_of_pipeline()))], "figures")
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(blocks) >= 8
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block
    html = as_html(text)
    assert html.count("<table>") >= 6
    assert "<strong>These behaviors do not disagree about the dynamics, so the penalty buys nothing;" in html


def test_hostile_names_stay_text(write_run: WriteRun) -> None:
    names = (*HOSTILE[:3], "**a** | [b](http://c) `d` $e$", "<details>")
    summary = renamed(summary_of_gusty())
    text = render_markdown([read_run(write_run(summary))], "figures")
    html = as_html(text)
    assert "<script" not in html
    assert "onerror='" not in re.sub(r"&lt;.*?(&gt;|>)", "", html)
    for name in names:
        assert "<" not in re.sub(r"\\<", "", escaped(name))
    cell = as_html(table(Table("t", ("a", "b"), ((names[3], 1.0),))))
    assert "<strong>" not in cell
    assert "<a " not in cell
    assert "<code>" not in cell
    assert cell.count("<td") == 2


def test_cells_and_fences() -> None:
    shown = Table("t", ("name", "error"), (("a\nb", Estimate(1.0, 0.9, 1.1)), ("c", None)))
    assert table(shown).splitlines()[1:] == ["| --- | ---: |", "| a b | 1.00 (0.900 to 1.10) |", "| c | – |"]
    assert fenced("a ``` b") == "````\na ``` b\n````"


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_a_run_that_is_not_finished_says_so(state: str) -> None:
    empty = SUMMARY_PARTS | {"task": "gusty-pendulum"}
    text = render_markdown([Run(Path("run"), state, "fit", empty, {}, {}, ())] * 2, "figures")
    assert text.startswith("# 2 runs")
    assert text.count(f"**This run is not finished** ({state}, at the stage fit)") == 2
