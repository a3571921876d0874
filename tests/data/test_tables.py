from rich.cells import cell_len
from rich.console import Console

from tests.data.logs import make_log
from worldrex.data import describe, render
from worldrex.data.tables import short_names


def test_long_names_stay_different():
    names = ["controller-of-the-north-plant-v1", "controller-of-the-north-plant-v2", "x" * 40, f"{'x' * 20}y{'x' * 19}"]
    assert short_names(["short", *names]) == [
        "short", "controller-…rth-plant-v1", "controller-…rth-plant-v2", f"{'x' * 11}…{'x' * 10}…4", f"{'x' * 11}…{'x' * 10}…5",
    ]  # fmt: skip
    assert short_names(["ü" * 25, "\x1b[31m"]) == [f"{'ü' * 11}…{'ü' * 12}", "\\x1b[31m"]
    wide = ["車" * 20 + name for name in ("甲", "乙")]
    assert len(set(short_names(wide))) == 2
    assert max(map(cell_len, short_names(wide))) <= 24


def test_behaviors_that_begin_alike_can_be_told_in_the_description():
    long = "night-shift-with-the-old-controller"
    console = Console(width=80)
    with console.capture() as captured:
        console.print(render(describe(make_log(behaviors=2, names=(f"{long}-1", f"{long}-2")))))
    text = captured.get()
    assert "night-shift…controller-1  " in text
    assert "night-shift…controller-2  " in text
