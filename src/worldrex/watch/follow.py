"""Look at a job's folder once a second, and show what is new, until the job ends."""

import locale
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Group
from rich.live import Live

from worldrex.runs import plain
from worldrex.terminal import Terminal
from worldrex.watch.picture import Screen, picture
from worldrex.watch.records import MetricsFile, Status, read_status, read_verdict, require_run_folder
from worldrex.watch.standing import Standing, standing
from worldrex.watch.words import end, line, silence

SECONDS = 1.0


class Look(NamedTuple):
    """What one look at the folder found."""

    status: Status
    records: Sequence[dict[str, Any]]
    standing: Standing | None


def watch(folder: Path, terminal: Terminal, *, once: bool = False) -> dict[str, Any]:
    """Show how the job in `folder` stands until it ends, on a terminal in place, elsewhere a line for each report.

    Args:
        folder: a run folder.
        terminal: to show it on.
        once: show how it stands now, and return.

    Returns:
        How it stood at the last look, JSON-like.

    Raises:
        RunError: the folder is missing, is no run folder, or cannot be read.
        KeyboardInterrupt: from Ctrl-C; the job goes on.
    """
    require_run_folder(folder)
    on_screen = terminal.console.is_terminal and not terminal.console.is_dumb_terminal
    try:
        look = (_on_screen if on_screen else _in_lines)(folder, terminal, once)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"The job in {folder} was only watched.") from interrupt
    if look.status.state != "running":
        terminal.say(end(look.status, read_verdict(folder)), label=look.status.stage if not on_screen else "", indent=9)
    return _told(folder, look)


def _looks(folder: Path, once: bool) -> Iterator[Look]:
    metrics = MetricsFile(folder / "metrics.jsonl")
    now_at: Standing | None = None
    while True:
        # First how it stands: a job that says that it has ended has written its last report.
        status = read_status(folder)
        if metrics.read_on():
            now_at = standing(metrics.records)
        yield Look(status, metrics.records, now_at)
        if once or status.state != "running":
            return
        time.sleep(SECONDS)


def _on_screen(folder: Path, terminal: Terminal, once: bool) -> Look:
    console = terminal.console
    ascii_only = not (console.encoding.startswith("utf") and _locale_is_utf8())

    def drawn(look: Look) -> Group:
        screen = Screen(console.width, console.height, ascii_only)
        return Group(*picture(folder.resolve().name, look.status, look.standing, time.time(), screen))

    look = Look(Status("running", "start"), [], None)
    if not once:
        # On the terminal's other page, so that a window that changes its size leaves no remains.
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for look in _looks(folder, once):
                live.update(drawn(look), refresh=True)
    else:
        look = next(_looks(folder, once))
    console.print(drawn(look))
    return look


def _in_lines(folder: Path, terminal: Terminal, once: bool) -> Look:
    look = Look(Status("running", "start"), [], None)
    told, stage, quiet = None, "", False
    for look in _looks(folder, once):
        if look.status.state == "running" and look.status.stage != stage:
            stage = look.status.stage
            terminal.say("running", label=stage)
        # Of what was reported before the first look, the last report; a file that was replaced holds fewer.
        told = max(len(look.records) - 1, 0) if told is None else min(told, len(look.records))
        for here in _reports(look.records, told):
            terminal.say(line(here, time.time() if look.status.state == "running" else None), label=here.stage)
            quiet = False
        told = len(look.records)
        since = look.standing.silent(time.time()) if look.standing and look.standing.stage == stage else None
        if since is not None and not quiet and look.standing is not None and look.status.state == "running":
            quiet = True
            terminal.say(silence(since, look.standing), label=stage)
    return look


def _reports(records: Sequence[dict[str, Any]], told: int) -> Iterator[Standing]:
    """Where the job stood after each report that came behind the first `told` records."""
    for place in range(told, len(records)):
        after = records[place + 1] if place + 1 < len(records) else {}
        if (after.get("stage"), after.get("step")) != (records[place]["stage"], records[place]["step"]):
            here = standing(records[: place + 1])
            if here is not None:
                yield here


def _locale_is_utf8() -> bool:
    """Whether the locale is UTF-8, also where Python itself takes UTF-8 because the locale is C or POSIX."""
    taken = sys.version_info < (3, 15) and sys.flags.utf8_mode and "PYTHONUTF8" not in os.environ
    return not taken and locale.getencoding().lower().replace("-", "") == "utf8"


def _told(folder: Path, look: Look) -> dict[str, Any]:
    here = look.standing
    told: dict[str, Any] = {"folder": folder, "state": look.status.state, "stage": look.status.stage}
    if here is not None:
        told["report"] = {
            "stage": here.stage,
            "step": here.step,
            "total": here.total,
            "steps_per_second": here.steps_per_second,
            "seconds_left": here.seconds_left(time.time()) if look.status.state == "running" else None,
            "models": [
                {
                    "name": series.name,
                    "holdout_risk": {name: curve[-1] for name, curve in series.risks.items()},
                    "holdout_penalty": series.penalty[-1],
                    "train_risk": series.training[-1],
                }
                for series in here.series
            ],
        }
    return plain(told)
