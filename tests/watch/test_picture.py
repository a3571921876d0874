import re
from collections.abc import Sequence

import pytest
from rich.cells import cell_len

from tests.watch.made_up import BEHAVIORS, START, reports
from worldrex.watch.picture import Screen, picture
from worldrex.watch.records import Status
from worldrex.watch.sparkline import BLOCKS
from worldrex.watch.standing import standing

MANY = tuple(f"operator {index}, of the second shift" for index in range(50))
RUNNING = Status("running", "fit")


def drawn(
    records: Sequence[dict], width: int = 80, height: int = 24, *, ascii: bool = False, status: Status = RUNNING,
    now: float = START + 21,
) -> list[str]:  # fmt: skip
    lines = picture("gusty", status, standing(records), now, Screen(width, height, ascii))
    return [line.plain for line in lines]


def test_all_that_matters_is_there_on_80_by_24() -> None:
    lines = drawn(reports([500, 1000, 2000]))
    text = "\n".join(lines)
    assert lines[0] == "gusty  fit, running"
    assert lines[1].startswith("step 2,000 of 6,000 (33 %)  ━")
    assert lines[2] == "100 steps/s, 0:39 left of fit"
    for name in ("ERM", "penalized", "plain penalty", *(name[:24] for name in BEHAVIORS)):
        assert name in text
    # Behind the latest risk its curve, and by how much it changed since the report before.
    (row, *_) = [line for line in lines if line.startswith("compensates a quarter")]
    assert "    2.05 " in row
    assert f"{100 * ((2 + 100 / 2001) / (2 + 100 / 1001) - 1):+.1f} %" in row
    assert set(row) & set(BLOCKS)
    penalties = [line for line in lines if line.startswith("penalty ")]
    assert sum(line.count("0.25") for line in penalties) == 3
    assert "Not shown" not in text


@pytest.mark.parametrize("size", [(200, 60), (80, 24), (60, 24), (60, 12), (40, 10), (20, 5), (8, 2), (1, 1)])
@pytest.mark.parametrize("ascii", [False, True], ids=["utf-8", "ascii"])
@pytest.mark.parametrize(
    ("behaviors", "weights"), [(BEHAVIORS, ()), (MANY, tuple(range(10))), (("一二三" * 9, "ω"), (1,))]
)
def test_it_fits_every_terminal(size: tuple[int, int], ascii: bool, behaviors: tuple, weights: tuple) -> None:
    records = reports([500, 1000, 2000], behaviors=behaviors, weights=weights)
    lines = drawn(records, *size, ascii=ascii, status=Status("running", records[0]["stage"]))
    assert len(lines) <= size[1]
    assert max(map(cell_len, lines)) <= size[0]
    if ascii:
        assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("width", [60, 80])
def test_of_too_many_behaviors_the_worst_are_shown(width: int) -> None:
    text = "\n".join(drawn(reports([500, 1000], behaviors=MANY), width))
    assert "operator 49" in text
    assert "operator 0," not in text
    assert re.search(r"no room for \d+ behaviors of lower risk", text)
    for model in ("ERM", "penalized", "plain"):
        assert model in text


def test_weights_without_room_are_counted() -> None:
    text = "\n".join(drawn(reports([500], weights=range(10)), 40, 14, status=Status("running", "crossval")))
    assert re.search(r"no room for \d+ weights", text)


def test_before_the_first_report_and_between_stages() -> None:
    assert "No report yet" in drawn([])[1]
    lines = drawn(reports([6000], weights=(0.0,)), status=RUNNING)
    assert "fit has not reported; below is the last of crossval" in lines[1]


def test_a_silent_job_is_said_to_be_perhaps_dead() -> None:
    text = "\n".join(drawn(reports([500, 1000]), now=START + 10 + 125))
    assert "no report for 2:05" in text
    ended = drawn(reports([500, 1000]), now=START + 10 + 125, status=Status("interrupted", "fit"))
    assert "no report" not in "\n".join(ended)


def test_names_cannot_move_the_cursor() -> None:
    text = "\n".join(drawn(reports([500], behaviors=("\x1b[2Ja\nb", "[red]c[/red]"))))
    assert "\x1b" not in text
    assert "\\x1b[2Ja\\nb" in text
    assert "[red]c[/red]" in text
