import os
import pty
import re
import sys
from collections.abc import Callable, Sequence

import pytest
from rich.cells import cell_len
from rich.table import Table

from worldrex import terminal
from worldrex.evaluation import ERM, Estimate, Selection, WeightRow, Worst
from worldrex.summary_tables import (
    HORIZONS_CAPTION,
    SCORES_CAPTION,
    WEIGHTS_CAPTION,
    folds_table,
    horizons_table,
    score_table,
    unlogged_caption,
    unlogged_table,
    weights_table,
)
from worldrex.terminal import Terminal, printable

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONG = "steers against the gust with twice the force that is needed"


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, use: Callable[[Terminal], None], columns: int = 80) -> str:
    """What a terminal of so many columns receives."""
    ours, theirs = pty.openpty()
    with monkeypatch.context() as context, os.fdopen(theirs, "w") as stdout:
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
            context.delenv(name, raising=False)
        context.setenv("TERM", "xterm")
        context.setenv("COLUMNS", str(columns))
        context.setattr(sys, "stdout", stdout)
        use(Terminal())
    received = b""
    try:
        while chunk := os.read(ours, 4096):
            received += chunk
    except OSError:  # the end of a pseudo-terminal
        pass
    os.close(ours)
    return received.decode().replace("\r\n", "\n")


def lines_on_a_terminal(monkeypatch: pytest.MonkeyPatch, use: Callable[[Terminal], None]) -> list[str]:
    return ESCAPES.sub("", on_a_terminal(monkeypatch, use)).splitlines()


def test_elsewhere_lines_are_plain_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    there = Terminal()
    there.say("a " * 100 + "b", label="verdict")
    with there.stage("fit", "7 members") as tick:
        tick(1, 2)
    assert capsys.readouterr().out == f"verdict  {'a ' * 100}b\nfit      7 members\n"
    assert set(there.seconds) == {"fit"}


@pytest.mark.parametrize("columns", [None, "60"])
def test_elsewhere_a_table_is_as_wide_as_columns_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    table = Table("name")
    table.add_row("x" * 300)
    Terminal().show(table)
    assert max(map(len, capsys.readouterr().out.splitlines())) == int(columns or 120)


def test_elsewhere_progress_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "PLAIN_SECONDS", 0.0)
    with Terminal().stage("fit", "x") as tick:
        tick(1, 3)
        tick(3, 3)
    assert capsys.readouterr().out == "fit      x\n         33 %\n"


def test_markup_is_text_and_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    there = Terminal()
    there.say("[red]x[/red] \x1b[2J \udcff\n:smile:")
    with there.stage("collect", "[bold]task"):
        pass
    assert capsys.readouterr().out == (
        "         [red]x[/red] \\x1b[2J \\udcff\n         :smile:\ncollect  [bold]task\n"
    )
    assert printable("two\nlines") == "two\\nlines"


def test_with_json_on_stdout_words_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(stderr=True).say("x", indent=0)
    assert capsys.readouterr() == ("", "x\n")


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(there: Terminal) -> None:
        with there.stage("fit", "7 members") as tick:
            for done in range(1, 4):
                tick(done, 4)
                there.console.file.flush()

    received = on_a_terminal(monkeypatch, work)
    assert "━" in received
    assert "%" in received
    assert max(cell_len(line) for line in ESCAPES.sub("", received).replace("\r", "\n").splitlines()) <= 80
    assert "\x1b[?25h" in received  # the cursor is back


def test_a_terminal_gets_hanging_lines_and_whole_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/" + "long-folder/" * 10
    lines = lines_on_a_terminal(monkeypatch, lambda there: there.say(f"{'word ' * 20}{path}", label="report"))
    assert lines[0].startswith("report   word word")
    assert all(line.startswith(" " * 9) for line in lines[1:])
    assert [line for line in lines if len(line) > 80] == [" " * 9 + path]


def estimate(value: float) -> Estimate:
    return Estimate(value, value * 0.98765, value * 1.01234)


def selection(choices: Sequence[tuple[str, float]] = (ERM, ("variance", 0.125), ("variance", 300.0))) -> Selection:
    rows = [
        WeightRow(
            *choice, Worst(0.1234567, 0.12, 0.13, LONG), estimate(0.1), {LONG: estimate(0.1234)}, {}, estimate(-0.0123)
        )
        for choice in choices
    ]
    return Selection("rule", rows, "variance", 300.0, 300.0)


def summary(*, floor: float | None = 0.361, weight: float = 300.0) -> dict:
    entry = {"erm": 4.4567, "penalized": 0.40123, "plain": 0.50123, "chosen": 0.40123, "noise_floor": floor}
    slope = {"action": "torque", "output": "ω", "truth": 0.15, "erm": -0.045, "penalized": 0.149, "plain": 0.12}
    return {
        "chosen": {"weight": weight},
        "unlogged": {LONG: entry, "[red]x\n[/red]": entry},
        "slope": slope if floor else None,
    }


SCORES = {
    LONG: {
        "model": 0.12345,
        "intervals": {"model": (0.1123, 0.1345)},
        "nll": {"model": -1.2},
        "coverage": {"model": 0.9},
        "diagnostics": {
            "model": {
                "crps": {"value": 0.0123},
                "coverage": {"50": {"value": 0.512}, "90": {"value": 0.8}, "95": {"value": 1.0}},
                "open_loop": {
                    "steps": list(range(1, 41)),
                    "squared_error": {"value": [0.01234 * step for step in range(1, 41)]},
                    "coverage": {"90": {"value": [0.9] * 39 + [0.8765]}},
                },
                "uncertainty": {"total": {"rank_correlation": -0.1234}},
            }
        },
    }
}


@pytest.mark.parametrize(
    ("table", "numbers"),
    [
        (weights_table(selection()), ["300 <", "0.123 [0.12, 0.13]", "-0.0123 [-0.0121, -0.0125]"]),
        (
            weights_table(selection([ERM, ("group_dro", 300.0), ("variance", 300.0)])),
            ["ERM  ", "group_dro ", " 300  ", "variance ", "300 <", "0.123 [0.12, 0.13]"],
        ),
        (folds_table(selection(), {LONG: 1.2345}), ["1.23 ", "0.123 [0.122, 0.125]", "weight 300"]),
        (unlogged_table(summary()), ["12.35 x", "1.11 x", "1.39 x", "0.361", "0.150 true", "penalized <"]),
        (unlogged_table(summary(floor=None, weight=0.0)), ["4.46", "0.401", "0.501", "ERM <"]),
        (score_table(SCORES), ["0.123 [0.112, 0.135]", "-1.200", "0.0123", "51/80/100 %"]),
        (horizons_table(SCORES), ["1: 0.0123, 10: 0.123, 40: 0.494", "88 %", "-0.12"]),
    ],
)
def test_tables_fit_80_columns_and_never_cut_a_number(
    monkeypatch: pytest.MonkeyPatch, table: Table, numbers: list[str]
) -> None:
    lines = lines_on_a_terminal(monkeypatch, lambda there: there.show(table))
    assert max(map(cell_len, lines)) <= 80
    shown = "\n".join(lines)
    assert all(number in shown for number in numbers), shown
    assert lines[0] == lines[-1] == ""
    # A row for each, and the heads.
    assert len(lines) == 2 + 1 + table.row_count


def test_the_caption_tells_the_unit() -> None:
    assert "multiples of the noise floor" in unlogged_caption(summary())
    assert "variances of the outputs" in unlogged_caption(summary(floor=None))
    assert "variances of the outputs" in unlogged_caption(summary(floor=1e-6))  # a simulator's rounding


def test_a_caption_stands_above_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    for caption in (WEIGHTS_CAPTION, SCORES_CAPTION, HORIZONS_CAPTION):
        lines = lines_on_a_terminal(monkeypatch, lambda there, text=caption: there.show(Table("a"), caption=text))
        assert caption.startswith(lines[1])
        assert max(map(len, lines)) <= 80
