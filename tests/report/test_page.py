import html.parser
import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.conftest import WriteRun
from tests.report.made_up_runs import summary_of_gusty, summary_of_many, summary_of_pipeline
from worldrex.report import ReportError, Run, render_page, write_page
from worldrex.report.folder import SUMMARY_PARTS
from worldrex.report.page import script_json
from worldrex.runs import RunError

HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    "<!-- <img src=x onerror='window.pwned = 1'> --> &amp; \"'",
    "\u2028' + alert(1) + `${window.pwned = 1}`\u2029",
    "__proto__",
    "a.b[0]\\",
)
FILES_WITH_CHARTS = ("summary.json", "metrics.jsonl")


def renamed(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with each name that a user may give replaced by a hostile one."""
    text = json.dumps(summary)
    old = [behavior["name"] for behavior in summary["data"]["behaviors"]] + [summary["task"]]
    for name, hostile in zip(old, HOSTILE, strict=True):
        text = text.replace(json.dumps(name), json.dumps(hostile))
    summary = json.loads(text)
    summary["slope"] |= {"action": HOSTILE[0], "output": HOSTILE[1]}
    summary["unlogged"] = {HOSTILE[index]: errors for index, errors in enumerate(summary["unlogged"].values())}
    return summary


class Elements(html.parser.HTMLParser):
    """The start tags with their attributes, the text outside scripts, and whether every tag is closed in order."""

    VOID = frozenset({"meta", "br", "img", "hr", "link", "input", "path", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


@pytest.mark.parametrize("behaviors", [4, 50])
def test_the_page_is_well_formed_small_and_needs_no_network(
    page_of: Callable[..., str], gusty_page: str, behaviors: int
) -> None:
    text = gusty_page if behaviors == 4 else page_of(summary_of_many(behaviors))
    assert len(text.encode()) < 3_000_000
    page = Elements(text)
    assert not [tag for tag, attributes in page.tags if attributes.keys() & {"src", "srcset"} or tag in ("link", "img")]
    assert all((attributes.get("href") or "#").startswith("#") for _, attributes in page.tags)
    assert "default-src 'none'" in text
    assert "@import" not in text
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))


def test_headings_are_in_order_and_each_chart_has_words_and_a_table(gusty_page: str) -> None:
    page = Elements(gusty_page)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert next(attributes for tag, attributes in page.tags if tag == "html")["lang"] == "en"
    charts = [attributes for _, attributes in page.tags if attributes.get("class") == "chart"]
    # Eight of errors, weights, policies and training; seventeen open ones of the evidence, and twelve that are folded away.
    assert len(charts) == 8 + 17 + 12
    assert all(len(attributes["aria-label"] or "") > 40 for attributes in charts)
    assert len([tag for tag, _ in page.tags if tag == "details"]) >= 12


def test_the_verdict_comes_first_with_the_numbers_it_rests_on(gusty_page: str) -> None:
    text = Elements(gusty_page).text
    wanted = (
        "gusty-pendulum",
        "helps",
        "The penalized model holds",
        "2.95×",
        "1.04×",
        "Worst left-out risk falls",
        "Under behaviors",
    )
    places = [text.index(part, text.index("40,960 records") if part == "helps" else 0) for part in wanted[1:]]
    assert places == sorted(places)


def page_without_files(summary: dict[str, Any]) -> str:
    return render_page([Run(Path("run"), "finished", None, SUMMARY_PARTS | summary, {}, {}, ())])


@pytest.mark.parametrize("kind", ["buys nothing", "hurts", "cannot tell"])
def test_each_kind_of_verdict_is_named(kind: str) -> None:
    summary = summary_of_pipeline() | {"selection": {}}
    summary["verdict"] |= {"kind": kind, "sentence": "A sentence."}
    text = Elements(page_without_files(summary)).text
    assert kind in text[: text.index("A sentence.")]
    assert "The noise floor is not known" in text
    assert "What the action does" not in text


def test_a_page_of_an_unfinished_run_says_so_and_shows_what_there_is(page_of: Callable[..., str]) -> None:
    text = page_of(
        summary_of_gusty(),
        without=("summary.json", "environment.json"),
        status={"state": "interrupted", "stage": "fit"},
    )
    words = Elements(text).text
    assert "This run is not finished: it was interrupted, at the stage “fit”" in words
    assert "The penalty " not in words
    assert "Training" in words
    assert "worldrex run --task gusty-pendulum" in words


def test_a_run_with_only_its_configuration_has_a_page(page_of: Callable[..., str]) -> None:
    without = ("summary.json", "environment.json", "metrics.jsonl", "status.json")
    text = page_of(summary_of_gusty(), without=without)
    assert "This run is not finished" in text
    assert "crossval.weights" in text
    assert len(text) < 100_000, "no charts, so no chart library"


def test_numbers_that_are_null_leave_gaps_not_failures() -> None:
    def emptied(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: emptied(item) for key, item in value.items()}
        if isinstance(value, list):
            return [emptied(item) for item in value]
        return None if isinstance(value, float) else value

    summary = summary_of_gusty()
    empty = {part: emptied(summary[part]) for part in ("unlogged", "logged", "slope", "seconds")}
    rows = [emptied(row) | {"weight": row["weight"]} for row in summary["selection"]["weights"]]
    hollow = summary | empty | {"selection": {"rule": None, "weights": rows}}
    assert "–" in Elements(page_without_files(hollow)).text


def test_several_runs_on_one_page(write_run: WriteRun, tmp_path: Path) -> None:
    without = ("metrics.jsonl",)
    folders = [write_run(summary_of_gusty(), "one", without), write_run(summary_of_pipeline(), "two", without)]
    write_page(folders, tmp_path / "both.html")
    page = Elements((tmp_path / "both.html").read_text())
    assert [attributes["id"] for tag, attributes in page.tags if tag == "article"] == ["run1", "run2"]
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_hostile_names_stay_text(page_of: Callable[..., str]) -> None:
    text = page_of(renamed(summary_of_gusty()))
    page = Elements(text)
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 3
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    for name in HOSTILE:
        assert name in page.text


def test_json_in_a_script_element_cannot_end_it() -> None:
    text = script_json({"name": "".join(HOSTILE)})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {"name": "".join(HOSTILE)}


def test_a_page_is_written_whole_or_not_at_all(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = write_run(summary_of_gusty(), without=FILES_WITH_CHARTS), tmp_path / "new" / "report.html"
    write_page([folder], out)
    assert os.listdir(out.parent) == ["report.html"]
    out.write_text("the page of yesterday")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=r"cannot write .*report\.html: No space left on device"):
        write_page([folder], out)
    assert out.read_text() == "the page of yesterday"
    assert os.listdir(out.parent) == ["report.html"]


def test_no_folder_and_a_place_that_cannot_be_written(write_run: WriteRun, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no run folder"):
        write_page([], tmp_path / "report.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot make the folder .*file"):
        write_page([write_run(summary_of_gusty(), without=FILES_WITH_CHARTS)], tmp_path / "file" / "report.html")
