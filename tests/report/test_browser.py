"""The page in a real browser: Chromium without a window, driven by Playwright, judged by axe-core."""

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.made_up_runs import summary_of_gusty, summary_of_many, summary_of_pipeline, without_evidence
from tests.report.test_page import HOSTILE, renamed
from worldrex.report import write_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra test")
axe_core = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
# The tables that a reader may open, too.
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => (one.open = true))"
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
DRAWN = "[...document.querySelectorAll('.chart')].map((place) => place.querySelectorAll('svg').length)"
# Of those that are not folded away.
OPEN = 25
FOLDED = 12


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a page's text and wait until it is ready; in the end nothing was complained about and nothing fetched."""
    faults: list[str] = []
    contexts = []

    def open_text(text: str, *, size: str = "desktop", scheme: str = "light") -> Any:
        path = tmp_path / "shown.html"
        path.write_text(text, encoding="utf-8")
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda request: request.url == path.as_uri() or faults.append(f"request: {request.url}"))
        page.goto(path.as_uri())
        page.wait_for_function("document.documentElement.dataset.ready")
        return page

    yield open_text
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def page_of_50(tmp_path_factory: pytest.TempPathFactory) -> str:
    """50 behaviors, 10 weights and 10 seeds."""
    from tests.report.made_up_runs import write_folder

    folder = tmp_path_factory.mktemp("many")
    summary = summary_of_many(50, weights=(0, 1, 2, 3, 5, 10, 20, 30, 50, 100), seeds=10, unlogged=3)
    write_page([write_folder(folder / "run", summary)], folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_it_loads_fits_and_can_be_read_by_all(
    show: Callable[..., Any], gusty_page: str, size: str, scheme: str
) -> None:
    page = show(gusty_page, size=size, scheme=scheme)
    assert sum(page.evaluate(DRAWN)) == OPEN
    page.evaluate(OPEN_ALL)
    page.wait_for_function(f"{DRAWN}.every((count) => count === 1)")
    assert len(page.evaluate(DRAWN)) == OPEN + FOLDED
    assert not page.evaluate(TOO_WIDE)
    found = axe_core.Axe().run(
        page,
        options={
            "runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"],
            "resultTypes": ["violations"],
        },
    )
    assert [(issue["id"], issue["impact"], issue["nodes"][0]["html"]) for issue in found.response["violations"]] == []
    assert len(found.response["passes"]) > 15  # it did look


def test_a_legend_hides_and_shows_its_line_by_mouse_and_by_key(show: Callable[..., Any], gusty_page: str) -> None:
    page = show(gusty_page)
    button = page.locator('.legend[data-charts="run1-trained"] button').first
    lines = page.locator("#run1-trained .mark-line path")
    assert lines.count() == 4
    button.click()
    page.wait_for_function("document.querySelectorAll('#run1-trained .mark-line path').length === 3")
    assert button.get_attribute("aria-pressed") == "false"
    button.press("Enter")
    page.wait_for_function("document.querySelectorAll('#run1-trained .mark-line path').length === 4")
    assert button.get_attribute("aria-pressed") == "true"
    # One legend serves the three charts of the training.
    page.locator(".legend[data-charts~='run1-training-1'] button").first.click()
    page.wait_for_function(
        "[1, 2, 3].every((n) => document.querySelectorAll(`#run1-training-${n} .mark-line path`).length === 3)"
    )


def test_a_table_sorts_up_and_down_and_what_is_not_known_comes_last(show: Callable[..., Any], gusty_page: str) -> None:
    page = show(gusty_page)
    table = page.locator("table.sortable", has=page.locator("caption", has_text=re.compile("^Behaviors$")))
    heading = table.locator("thead th", has_text="episodes")
    column = "rows => rows.map((row) => Number(row.cells[3].textContent.replace(',', '')))"
    before = table.locator("tbody tr").evaluate_all(column)
    heading.locator("button").click()
    up = table.locator("tbody tr").evaluate_all(column)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").press("Enter")
    down = table.locator("tbody tr").evaluate_all(column)
    assert heading.get_attribute("aria-sort") == "descending"
    assert up == sorted(before) != before
    assert down == up[::-1]


def test_hostile_names_stay_text(show: Callable[..., Any], page_of: Callable[..., str]) -> None:
    page = show(page_of(renamed(summary_of_gusty())))
    assert page.evaluate("window.pwned") is None
    assert sum(page.evaluate(DRAWN)) == OPEN
    assert page.locator("main img").count() == 0
    said = page.locator("#run1-trained svg text").all_text_contents()
    assert HOSTILE[3] in said
    assert HOSTILE[0] in page.locator(".legend .name").all_text_contents()
    # A tooltip is made of a name, too.
    page.locator("#run1-trained .mark-symbol path").first.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert HOSTILE[0] in (page.locator("#vg-tooltip-element").text_content() or "")
    assert page.locator("#vg-tooltip-element script").count() == 0


def test_what_is_hidden_before_a_chart_is_drawn_stays_hidden(show: Callable[..., Any], gusty_page: str) -> None:
    # As soon as the first chart is there, while the one of this legend is not.
    clicking = """<script>
      const seen = new MutationObserver(() => {
        if (!document.querySelector("#run1-unlogged svg")) return;
        seen.disconnect();
        window.early = !document.querySelector("#run1-trained svg");
        document.querySelector('.legend[data-charts="run1-trained"] button').click();
      });
      seen.observe(document.body, { childList: true, subtree: true });
    </script>"""
    place = gusty_page.index('<script type="application/json"')
    page = show(gusty_page[:place] + clicking + gusty_page[place:])
    assert page.evaluate("window.early")
    page.wait_for_function("document.querySelectorAll('#run1-trained .mark-line path').length === 3")


def test_50_behaviors_10_weights_and_10_seeds_stay_usable(show: Callable[..., Any], page_of_50: str) -> None:
    assert len(page_of_50.encode()) <= 3_000_000
    # How long it takes, benchmarks/report.py tells.
    page = show(page_of_50)
    button = page.locator('.legend[data-charts="run1-trained"] button').first
    button.click()
    page.wait_for_function("document.querySelectorAll('#run1-trained .mark-line path').length === 49")
    page.evaluate(OPEN_ALL)
    assert not page.evaluate(TOO_WIDE)


def test_it_prints_on_light_paper_without_what_needs_a_screen(show: Callable[..., Any], gusty_page: str) -> None:
    page = show(gusty_page, scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("button.copy").first.is_visible()
    # As wide as the text on A4, charts end with the paper.
    page.set_viewport_size({"width": 680, "height": 960})
    page.wait_for_timeout(200)
    assert not page.evaluate(TOO_WIDE)
    pdf = page.pdf(prefer_css_page_size=True, format="A4")
    assert 3 <= pdf.count(b"/Type /Page\n") <= 16


def test_the_switch_gives_the_colors_of_the_map_another_meaning(show: Callable[..., Any], gusty_page: str) -> None:
    page = show(gusty_page)
    points = page.locator("#run1-shift .mark-symbol path")
    painted = "(path) => path.getAttribute('fill') + path.getAttribute('stroke')"
    colors = f"[...new Set([...document.querySelectorAll('#run1-shift .mark-symbol path')].map({painted}))].join()"
    assert points.count() == 7 * 60
    assert "ramp" not in page.evaluate(colors)
    legend = page.locator('.legend[data-charts="run1-shift"]:visible')
    assert legend.count() == 1
    assert "random torques (not logged)" in legend.inner_text()
    page.get_by_label("squared error, ERM").check(force=True)
    page.wait_for_function(f"{colors}.includes('--ramp4')")
    assert "--green" not in page.evaluate(colors)
    errors = [
        page.locator("#run1-shift .mark-symbol path").evaluate_all(
            f"(paths) => paths.filter((path) => ({painted})(path).includes('--ramp{step}'))"
            ".map((path) => path.__data__.datum.squared_error_erm)"
        )
        for step in range(5)
    ]
    assert all(max(less) < min(more) for less, more in itertools.pairwise(errors))
    assert points.count() == 7 * 60
    assert legend.count() == 1
    assert legend.locator("button").count() == 5
    # By key, too; and a class is hidden as a behavior is.
    page.get_by_label("squared error, ERM").press("ArrowRight")
    assert page.get_by_label("squared error, chosen").is_checked()
    legend.locator("button").first.click()
    page.wait_for_function(f"!{colors}.includes('--ramp0')")
    assert points.count() < 7 * 60
    # What is hidden under one meaning is not under another.
    page.get_by_label("behavior", exact=True).check(force=True)
    page.wait_for_function(f"document.querySelectorAll('#run1-shift .mark-symbol path').length === {7 * 60}")


def test_unlogged_behaviors_are_rings(show: Callable[..., Any], gusty_page: str) -> None:
    page = show(gusty_page)
    symbols = "[...document.querySelectorAll('#run1-shift .mark-symbol path')]"
    filled = f"{symbols}.filter((path) => path.getAttribute('fill') !== 'transparent').length"
    assert page.evaluate(filled) == 4 * 60


def test_several_runs_begin_with_their_comparison(show: Callable[..., Any], write_run: Any, tmp_path: Path) -> None:
    runs = [write_run(without_evidence(summary_of_gusty()), "one"), write_run(summary_of_pipeline(), HOSTILE[3])]
    write_page(runs, tmp_path / "both.html")
    page = show((tmp_path / "both.html").read_text(encoding="utf-8"))
    table = page.locator("#runs-comparison-section table").first
    column = "rows => rows.map((row) => row.cells[1].textContent)"
    assert table.locator("tbody tr").evaluate_all(column) == ["helps", "buys nothing"]
    table.locator("thead th", has_text="verdict").locator("button").click()
    assert table.locator("tbody tr").evaluate_all(column) == ["buys nothing", "helps"]
    table.locator("a", has_text="gusty-pendulum").click()
    assert page.evaluate("location.hash") == "#run1"
    assert page.locator("#comparison-left-out .mark-symbol path").count() == 4


def test_hover_shows_values(show: Callable[..., Any], gusty_page: str) -> None:
    page = show(gusty_page)
    for chart, words in (
        ("run1-coverage", "90 %"),
        ("run1-open-loop-error-1", "step"),
        ("run1-uncertainty-1", "removed, %"),
        ("run1-shift", "squared error, ERM"),
        ("run1-noise", "batch"),
    ):
        symbols = page.locator(f"#{chart} .mark-symbol path")
        # Not at the edge, where half of a symbol is cut off.
        symbols.nth(1 if chart == "run1-coverage" else 5).hover(force=True)
        page.wait_for_function(
            "(words) => document.querySelector('#vg-tooltip-element.visible')?.textContent.includes(words)", arg=words
        )
