import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data.describe import describe
from worldrex.data.page import render_page

NAMES = ("<script>alert(1)</script>", "two\nlines", "a & 'b' \"c\"", "\udc80")


class Page(HTMLParser):
    """Tags and texts; fails on a tag that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def text() -> str:
    data = make_log(behaviors=4, steps=5, obs=30, names=NAMES)
    data.obs[:, 20] = data.next_obs[:, 20] = 4
    return render_page(describe(data))


def test_names_stay_names_and_nothing_runs_or_is_loaded(text):
    page = Page(text)
    assert "script" not in page.tags
    assert {"<script>alert(1)</script>", "two\\nlines", "a & 'b' \"c\"", "\\udc80"} <= set(page.texts)
    assert not re.search(r"https?://|src=|@import|url\(", text)
    text.encode("utf-8")


def test_it_has_every_component_and_every_finding(text):
    page = Page(text)
    for column in ("obs", "next_obs"):
        assert {f"{column}[:, {i}]" for i in range(30)} <= set(page.texts)
    assert "constant" in page.texts
    shown = "".join(page.texts)
    assert "4 behaviors with fewer than 50 records" in shown
    assert "The log cannot be used" not in shown
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


def test_errors_come_first_and_none_is_said():
    assert "No problems found." in render_page(describe(make_log(behaviors=3)))
    data = make_log(behaviors=3)
    data.obs[3] = np.nan
    shown = "".join(Page(render_page(describe(data))).texts)
    assert "The log cannot be used as it is" in shown
    assert "obs[:, 0] has 1 NaN value" in shown
    assert "No problems found." not in shown
