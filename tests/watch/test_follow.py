import os
import platform
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from fcntl import ioctl
from functools import partial
from pathlib import Path

import pytest

from tests.program import Words, strict_json
from tests.watch.made_up import as_lines, reports, set_state, write_job
from worldrex.runs import write_json

PROGRAM = (
    "import sys; from worldrex.cli import main; code = main(); "
    "assert not {'jax', 'altair', 'optax'} & set(sys.modules), 'imported'; sys.exit(code)"
)


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has things happen while the program waits for its next look, one at a time."""

    def plan(*happen: Callable[[], object]) -> None:
        coming = iter(happen)
        monkeypatch.setattr(time, "sleep", lambda seconds: next(coming)())

    return plan


def append(folder: Path, records: Iterable[dict]) -> None:
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(as_lines(records))


def replace(folder: Path, records: Iterable[dict]) -> None:
    (folder / "metrics.new").write_text(as_lines(records))
    (folder / "metrics.new").replace(folder / "metrics.jsonl")


def test_on_a_pipe_each_new_report_is_a_line(
    call: Callable[..., Words], tmp_path: Path, between_looks: Callable[..., None]
) -> None:
    of = partial(reports, weights=(0.0, 10.0), start=time.time())
    folder = write_job(tmp_path / "job", of([500, 1000]), stage="crossval")
    (folder / "summary.json").write_text('{"verdict": {"sentence": "It helps."}}')

    def end() -> None:
        append(folder, of([2000]))
        set_state(folder, "finished", "report")

    between_looks(lambda: None, partial(append, folder, of([1500])), end)
    code, out, err = call("watch", folder)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "crossval running"
    # Of the reports before, only the last.
    for line, step, percent in zip(lines[1:4], ("1,000", "1,500", "2,000"), (16, 25, 33), strict=True):
        left = " |" if step == "2,000" else ", "  # the job has ended at that look
        assert line.startswith(f"crossval step {step} of 6,000 ({percent} %), 100 steps/s{left}")
        assert re.search(r"\| weight 10: ignores the gust 1\.\d+, .*, penalty 0\.25$", line)
    assert lines[4:] == ["report   finished. It helps."]


def test_reports_that_come_between_two_looks_have_a_line_each(
    call: Callable[..., Words], tmp_path: Path, between_looks: Callable[..., None]
) -> None:
    folder = write_job(tmp_path / "job", [])
    between_looks(
        partial(append, folder, reports([500, 1000, 1500])),
        # As a resumed run does: what it forgets is not told again, what it adds is.
        partial(replace, folder, reports([500, 1000])),
        partial(append, folder, reports([1500])),
        partial(set_state, folder, "interrupted"),
    )
    code, out, _ = call("watch", folder)
    assert code == 0
    assert re.findall(r"step ([\d,]+)", out) == ["500", "1,000", "1,500", "1,500"]
    assert out.splitlines()[-1].startswith("fit      interrupted at the stage fit. The command that began it goes on")


@pytest.mark.parametrize(("state", "words"), [("finished", "finished"), ("failed", "failed at the stage fit")])
def test_a_job_that_has_ended_is_shown_as_it_ended(
    call: Callable[..., Words], tmp_path: Path, state: str, words: str
) -> None:
    folder = write_job(tmp_path / "job", reports([500, 6000]), state=state)
    code, out, err = call("watch", folder, "--json")
    assert code == 0
    told = strict_json(out)
    assert (told["state"], told["report"]["step"], told["report"]["models"][0]["holdout_penalty"]) == (
        state,
        6000,
        0.25,
    )
    assert "step 6,000 of 6,000 (100 %)" in err
    assert words in err


def test_once_does_not_wait(call: Callable[..., Words], tmp_path: Path) -> None:
    code, out, _ = call("watch", write_job(tmp_path / "job", reports([500])), "--once")
    assert code == 0
    assert "step 500 of 6,000 (8 %), speed known after the next report" in out


def test_a_silent_job_is_told_once(
    call: Callable[..., Words], tmp_path: Path, between_looks: Callable[..., None]
) -> None:
    folder = write_job(tmp_path / "job", reports([500, 1000]))  # of long ago
    between_looks(lambda: None, lambda: None, partial(set_state, folder, "interrupted"))
    _, out, _ = call("watch", folder)
    assert out.count("the job may have been killed") == 1


def test_of_a_job_that_reported_once_no_usual_interval_is_told(
    call: Callable[..., Words], tmp_path: Path, between_looks: Callable[..., None]
) -> None:
    folder = write_job(tmp_path / "job", reports([500]))
    between_looks(lambda: None, partial(set_state, folder, "interrupted"))
    _, out, _ = call("watch", folder)
    assert re.search(r"no report for [\d:]+: the job may have been killed", out.replace("\n", " "))


def test_watching_a_killed_job_ends(call: Callable[..., Words], tmp_path: Path) -> None:
    folder = write_job(tmp_path / "job", reports([500, 1000]))
    inode = (folder / "config.json").stat().st_ino
    write_json(
        folder / "status.json", {"state": "running", "stage": "fit", "locked_on": f"{platform.node()}, inode {inode}"}
    )
    code, out, err = call("watch", folder, "--json")
    assert code == 0
    told = strict_json(out)
    assert (told["state"], told["report"]["seconds_left"]) == ("killed", None)
    assert "left of fit" not in err
    assert "killed at the stage fit: it says that it runs, and its process is gone. The command that began it" in err


def test_a_folder_that_is_not_there_is_one_clear_error(call: Callable[..., Words], tmp_path: Path) -> None:
    code, out, err = call("watch", tmp_path / "later")
    assert (code, out) == (2, "")
    assert err.startswith(f"worldrex watch: {tmp_path / 'later'} is not there (yet). Name the --out of a job")
    assert err.count("\n") == 1


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal of 80 x 24."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    yield ours, theirs
    os.close(ours)


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "COLUMNS", "LINES"))
    }
    kept.pop("NO_COLOR", None)
    return kept | {"TERM": "xterm", **more}


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_on_a_terminal_it_is_drawn_anew_until_ctrl_c(tmp_path: Path, terminal: tuple[int, int], locale: str) -> None:
    ours, theirs = terminal
    folder = write_job(tmp_path / "job", reports([500, 1000]))
    command = [sys.executable, "-c", PROGRAM, "watch", str(folder)]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Tests that run in the background ignore Ctrl-C, and a child would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(LC_ALL=locale)
    )  # fmt: skip
    os.close(theirs)
    received = b""

    def read_until(word: bytes) -> None:
        nonlocal received
        deadline = time.monotonic() + 30
        while word not in received:
            assert time.monotonic() < deadline, received
            received += os.read(ours, 4096)

    read_until(b"step 1,000 of 6,000")
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(as_lines(reports([1500])))
    read_until(b"step 1,500 of 6,000")
    process.send_signal(signal.SIGINT)
    try:
        while chunk := os.read(ours, 4096):
            received += chunk
    except OSError:  # the end of a pseudo-terminal
        pass
    assert process.wait() == 130
    text = received.decode()
    assert f"interrupted. The job in {folder} was only watched." in " ".join(text.split())
    assert text.rindex("\x1b[?1049l") > text.rindex("\x1b[?1049h")  # back on the page where it began
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # with the cursor
    assert text.isascii() == (locale == "C")
