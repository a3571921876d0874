"""A job as lines of text that fit a terminal, whatever its size."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from worldrex.terminal import printable
from worldrex.watch import sparkline as curve
from worldrex.watch.records import Status
from worldrex.watch.standing import Series, Standing
from worldrex.watch.words import number, pace, silence, steps

# What a cell has beside its value, from most to least: characters of its curve, and whether its change.
_DETAILS = ((12, True), (6, True), (6, False), (0, False))
_GAP, _VALUE, _CHANGE = 2, 8, 8
_WIDEST_VALUE, _WIDEST_CURVE = 14, 30
# Lines of a band beside those of the behaviors: the head, the penalty, the batches, an empty one.
_BESIDE = 4


class Layout(NamedTuple):
    """How much of a job fits."""

    name: int
    """Columns of a behavior's name."""
    value: int
    curve: int
    """Columns of a curve; 0 where there is no room for one."""
    change: bool
    across: int
    """Models or weights side by side."""
    bands: int
    """Rows of those that are shown."""
    behaviors: int


class Screen(NamedTuple):
    """What the picture has to fit."""

    width: int
    height: int
    ascii: bool


def layout(names: Sequence[str], series: int, width: int, height: int) -> Layout:
    """As much detail as fits with all behaviors of all models; else the least detail that loses the fewest of them.

    Args:
        names: of the behaviors.
        series: how many models or weights there are.
        width: columns.
        height: lines.

    Returns:
        The layout.
    """
    name = min(max(map(cell_len, ("training batches", *names))), max(width // 3, 12))

    def across(detail: tuple[int, bool]) -> int:
        return max(min((width - name) // _cell(*detail), series), 1)

    for detail in _DETAILS:
        bands = -(-series // across(detail))
        if bands * (len(names) + _BESIDE) <= height:
            return _widened(name, detail, across(detail), bands, len(names), width)
    fewest = -(-series // across(_DETAILS[-1]))
    # A curve that costs no band is worth its place.
    detail = next(detail for detail in _DETAILS if -(-series // across(detail)) == fewest)
    bands = max(min(fewest, height // (_BESIDE + 2)), 1)
    return _widened(name, detail, across(detail), bands, max(height // bands - _BESIDE, 1), width)


def _cell(of_curve: int, change: bool) -> int:
    return _GAP + _VALUE + (of_curve + 1 if of_curve else 0) + (_CHANGE if change else 0)


def _widened(name: int, detail: tuple[int, bool], across: int, bands: int, behaviors: int, width: int) -> Layout:
    of_curve, change = detail
    spare = max(width - name - across * _cell(of_curve, change), 0) // across
    if of_curve:
        return Layout(name, _VALUE, min(of_curve + spare, _WIDEST_CURVE), change, across, bands, behaviors)
    # The heads above the values can use it.
    return Layout(name, min(_VALUE + spare, _WIDEST_VALUE), 0, change, across, bands, behaviors)


def picture(folder: str, status: Status, standing: Standing | None, now: float | int, screen: Screen) -> list[Text]:
    """The job in lines, none wider and not more than the screen has.

    Args:
        folder: the run folder's name.
        status: how the job says that it stands.
        standing: the stage that reported last; None before the first report.
        now: seconds since 1970.
        screen: what it has to fit.

    Returns:
        The lines.
    """
    lines = [Text.assemble((_plain(folder, screen), "bold"), f"  {status.stage}, {status.state}")]
    if standing is None:
        lines += [Text("No report yet: the first comes once the programs are compiled and some steps are done.")]
        return _fitted(lines, screen)
    if status.stage != standing.stage and status.state == "running":
        lines.append(Text(f"{status.stage} has not reported; below is the last of {standing.stage}", "dim"))
    lines += [
        Text.assemble(f"{steps(standing)}  ", (_bar(standing, screen), "cyan")),
        Text(pace(standing, now if status.state == "running" else None)),
    ]
    quiet = standing.silent(now) if status == Status("running", standing.stage) else None
    if quiet is not None:
        lines.append(Text(silence(quiet, standing), "bold"))
    lines.append(Text(""))
    room = screen.height - len(lines) - 1
    names = standing.behaviors
    plan = layout([_plain(name, screen) for name in names], len(standing.series), screen.width, room)
    shown = _worst(standing, plan.behaviors)
    for start in range(0, plan.bands * plan.across, plan.across):
        lines += _band(standing.series[start : start + plan.across], shown, plan, screen)
    models = len(standing.series) - plan.bands * plan.across
    left = [f"{models} {'weights' if standing.stage == 'crossval' else 'models'}"] if models > 0 else []
    left += [f"{len(names) - len(shown)} behaviors of lower risk"] if len(shown) < len(names) else []
    if left:
        lines[-1] = Text(f"no room for {' and '.join(left)}", "dim")
    return _fitted(lines, screen)


def _worst(standing: Standing, most: int) -> list[str]:
    """The behaviors of the largest risks that any model has now, in their own order."""
    names = list(standing.behaviors)
    if len(names) <= most:
        return names

    def risk(name: str) -> float | int:
        return max((series.risks.get(name) or [None])[-1] or 0 for series in standing.series)

    kept = set(sorted(names, key=risk, reverse=True)[:most])
    return [name for name in names if name in kept]


def _band(series: Sequence[Series], names: Sequence[str], plan: Layout, screen: Screen) -> list[Text]:
    width = _cell(plan.curve, plan.change) - _GAP - _VALUE + plan.value
    gap = " " * _GAP
    heads = [f"{_sized(one.name, plan.value).strip():>{plan.value}}" if not plan.curve else one.name for one in series]
    head = _sized("held-out risk" if names else "", plan.name) + "".join(gap + _sized(one, width) for one in heads)
    rows = [(name, [one.risks.get(name) or [] for one in series]) for name in names]
    rows += [(name, [one.totals.get(name, []) for one in series]) for name in series[0].totals]
    lines = [Text(head, "dim")]
    for place, (name, curves) in enumerate(rows):
        cells = "".join(gap + _cell_of(values, plan, screen) for values in curves)
        lines.append(Text(_sized(_plain(name, screen), plan.name) + cells, "" if place < len(names) else "cyan"))
    return [*lines, Text("")]


def _cell_of(values: Sequence[float | int | None], plan: Layout, screen: Screen) -> str:
    latest = values[-1] if values else None
    text = f"{number(latest):>{plan.value}}"
    if plan.curve:
        levels = curve.ASCII if screen.ascii else curve.BLOCKS
        text += f" {curve.sparkline(values, plan.curve, levels):<{plan.curve}}"
    if plan.change:
        before = values[-2] if len(values) > 1 else None
        share = (latest / before - 1) * 100 if latest is not None and before else None
        text += f"{'' if share is None else f'{share:+.1f} %' if abs(share) < 999 else '':>{_CHANGE}}"
    return text


def _bar(standing: Standing, screen: Screen) -> str:
    if not standing.total:
        return ""
    room = max(min(screen.width - len(steps(standing)) - 2, 40), 0)
    done = room * min(standing.step, standing.total) // standing.total
    full, empty = "#." if screen.ascii else "━╌"
    return full * done + empty * (room - done)


def _plain(text: str, screen: Screen) -> str:
    """A name that a user gave, printable, and in ASCII where the terminal has nothing else."""
    text = printable(text)
    return text.encode("ascii", "backslashreplace").decode() if screen.ascii else text


def _sized(text: str, width: int) -> str:
    """Cut or filled to so many columns; two points say that it was cut."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, max(width - 2, 0)) + "..", width)


def _fitted(lines: Sequence[Text], screen: Screen) -> list[Text]:
    kept = list(lines[: screen.height])
    for text in kept:
        text.truncate(screen.width, overflow="crop")
        text.no_wrap = True
    return kept
