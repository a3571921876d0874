"""How long a large report takes to be made, and until a browser answers.

    .venv/bin/python benchmarks/report.py [--behaviors 50] [--weights 10] [--seeds 10] [--unlogged 3] [--rounds 5]

A run of 50 logged behaviors, 10 weights and 10 seeds that the tests make up, with 3 unlogged behaviors and diagnostics of all
of them, is written to a folder. Then, in turn, `worldrex report` makes the page, in a process of its own, and Chromium
(without a window, with a new profile) opens it. Prints a Markdown table of the medians [least, most] of the rounds:

- making the page, as a person waits for it: seconds of the clock, and of the processor
- opening: until the page answers, that is until a click on the first column's head of the first table has sorted it and the
  browser has painted that; then until every chart that is not folded away is drawn; with it the processor's seconds of the page
- the size of the file.

On a machine that others use, too, the processor's seconds tell more than those of the clock.
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Page, sync_playwright
from tests.report.made_up_runs import summary_of_many, write_folder

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
# Clicked as soon as the document is there; `answered` is when the browser has painted what the click did.
CLICK = """
addEventListener("DOMContentLoaded", () => setTimeout(() => {
  const heading = document.querySelector("table.sortable thead button");
  heading.click();
  requestAnimationFrame(() => setTimeout(() => {
    if (heading.parentElement.getAttribute("aria-sort")) window.answered = performance.now();
  }));
}));
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("behaviors", 50), ("weights", 10), ("seeds", 10), ("unlogged", 3), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    weights = [0, *(round(10 ** (3 * place / max(arguments.weights - 2, 1))) for place in range(arguments.weights - 1))]
    summary = summary_of_many(
        arguments.behaviors, weights=weights, seeds=arguments.seeds, unlogged=arguments.unlogged
    )  # fmt: skip
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = write_folder(Path(place) / "run", summary)
        for number in range(arguments.rounds):
            out = Path(place) / f"report-{number}.html"
            for name, value in made(folder, out).items():
                found.setdefault(name, []).append(value)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            for name, value in opened(browser.new_page(), out).items():
                found.setdefault(name, []).append(value)
            browser.close()
    print(
        f"{arguments.behaviors} behaviors, {len(weights)} weights, {arguments.seeds} seeds; {arguments.rounds} rounds\n"
    )
    print("| what | median [least, most] |\n|---|---|")
    for name, values in found.items():
        print(f"| {name} | {statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}] |")


def made(folder: Path, out: Path) -> dict[str, float]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", "from worldrex.cli import main; main()", "report", str(folder), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    spent, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "making the page, s": spent,
        "making the page, processor's s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "size, MB": out.stat().st_size / 1e6,
    }


def opened(page: Page, path: Path) -> dict[str, float]:
    page.add_init_script(CLICK)
    page.goto(path.as_uri())
    page.wait_for_function("window.answered && document.documentElement.dataset.ready", timeout=120_000)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return {
        "until a click is answered, s": page.evaluate("window.answered / 1000"),
        "until all is drawn, s": page.evaluate("document.documentElement.dataset.ready / 1000"),
        "until all is drawn, processor's s": metrics["ProcessTime"],
    }


if __name__ == "__main__":
    main()
