"""A description as tables for a terminal of 80 columns."""

from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from worldrex.data.describe import BehaviorSummary, ColumnSummary, Description
from worldrex.data.findings import Finding, plural
from worldrex.terminal import printable

MOST_BEHAVIORS = 20
MOST_FINDINGS = 12
LONGEST_NAME = 24  # cells
FIRST_COLUMNS = 6
NOTABLE_COLUMNS = 6
UNUSUAL = 5.0  # standard deviations from the mean


def render(description: Description) -> RenderableType:
    """Tables of behaviors and columns, and the findings; many columns are cut to the first and the most notable."""
    head = (
        f"{plural(description.records, 'record')} in {plural(description.episodes, 'episode')} by "
        f"{plural(len(description.behaviors), 'behavior')}\n"
        f"{plural(description.obs_width, 'obs component')}, {plural(description.action_width, 'action component')}"
    )
    parts: list[RenderableType] = [Text(head, style="bold"), Text(), _behaviors(description.behaviors), Text()]
    # next_obs has the ranges of obs but for the episodes' ends; --json tells both.
    shown = [column for column in description.columns if not column.name.startswith("next_obs")]
    parts += [_columns(shown), Text()]
    return Group(*parts, _findings(description.findings))


def _behaviors(behaviors: Sequence[BehaviorSummary]) -> RenderableType:
    rows = table("behavior", "records", "episodes", "steps", "return", "± std", "|action|")
    names = short_names([behavior.name for behavior in behaviors[:MOST_BEHAVIORS]])
    for name, behavior in zip(names, behaviors, strict=False):
        rows.add_row(
            Text(name),
            f"{behavior.records:,}",
            f"{behavior.episodes:,}",
            number_in_words(behavior.mean_steps),
            number_in_words(behavior.mean_return),
            number_in_words(behavior.std_return),
            number_in_words(behavior.mean_action),
        )
    return Group(rows, *_more(len(behaviors) - MOST_BEHAVIORS, "behavior"))


def short_names(names: Sequence[str], longest: int = LONGEST_NAME) -> list[str]:
    """Different names as different texts of at most so many cells: cut in the middle, and numbered where that is not enough."""
    cut = [_cut(printable(name), longest) for name in names]
    alike = Counter(cut)
    marks = [f"…{place + 1}" if alike[text] > 1 else "" for place, text in enumerate(cut)]
    return [
        f"{set_cell_size(text, longest - cell_len(mark)).rstrip()}{mark}" if mark else text
        for text, mark in zip(cut, marks, strict=True)
    ]


def _cut(text: str, longest: int) -> str:
    if cell_len(text) <= longest:
        return text
    half = longest // 2
    end = set_cell_size(text[::-1], half)[::-1].lstrip()
    return f"{set_cell_size(text, longest - 1 - half).rstrip()}…{end}"


def _columns(columns: Sequence[ColumnSummary]) -> RenderableType:
    rows = table("column", "min", "mean", "std", "max", "")
    chosen = _notable(columns)
    for place, column in enumerate(columns):
        if place in chosen:
            rows.add_row(
                Text(column.name),
                *(number_in_words(value) for value in (column.min, column.mean, column.std, column.max)),
                Text(remark(column), style="yellow"),
            )
    return Group(rows, *_more(len(columns) - len(chosen), "column"))


def _notable(columns: Sequence[ColumnSummary]) -> set[int]:
    """Places of the first few, of the last two (an action and the reward) and of those with the strongest remarks."""
    everything = range(len(columns))
    if len(columns) <= FIRST_COLUMNS + NOTABLE_COLUMNS + 2:
        return set(everything)
    chosen = {*everything[:FIRST_COLUMNS], *everything[-2:]}
    remarkable = [place for place in everything if place not in chosen and remark(columns[place])]
    return chosen | set(sorted(remarkable, key=lambda place: _oddness(columns[place]), reverse=True)[:NOTABLE_COLUMNS])


def _oddness(column: ColumnSummary) -> float:
    return float("inf") if column.unusual is None or column.std == 0 else column.unusual


def remark(column: ColumnSummary) -> str:
    """What is notable about a component, in a few words; empty for most."""
    if column.unusual is None:
        return "no finite value"
    if column.std == 0:
        return "constant"
    return f"up to {column.unusual:.0f} std away" if column.unusual > UNUSUAL else ""


def _findings(findings: Sequence[Finding]) -> RenderableType:
    if not findings:
        return Text("No problems found.", style="green")
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings[:MOST_FINDINGS]:
        style = "bold red" if finding.severity == "error" else "yellow"
        table.add_row(Text(finding.severity, style=style), Text(finding.message))
    return Group(table, *_more(len(findings) - MOST_FINDINGS, "finding"))


def _more(count: int, noun: str) -> list[RenderableType]:
    if count <= 0:
        return []
    return [Padding(Text(f"and {plural(count, f'more {noun}')}; --json has all", style="dim"), (0, 0, 0, 2))]


def table(first: str, *numbers: str) -> Table:
    """A table of names and numbers, without lines."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    made.add_column(first, no_wrap=True, overflow="ellipsis", max_width=LONGEST_NAME)
    for name in numbers:
        made.add_column(name, justify="right" if name else "left", no_wrap=True, overflow="ellipsis")
    return made


def number_in_words(value: float | None) -> str:
    """A number as a person reads it; a dash where there is none."""
    return "–" if value is None else f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.3g}"
