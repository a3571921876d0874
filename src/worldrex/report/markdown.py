"""Run folders as Markdown, for a repository, an issue or a paper's appendix."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from worldrex.report import numerals, tables
from worldrex.report.comparison import comparison_of, names_of
from worldrex.report.export import named_figures
from worldrex.report.folder import Run
from worldrex.report.parts import parts_of, title_of
from worldrex.report.section import Figure
from worldrex.templates import environment

_HERE = Path(__file__).parent


def render_markdown(runs: Sequence[Run], figures: str) -> str:
    """The report as GitHub's Markdown.

    Args:
        runs: one or more.
        figures: where the figures lie, relative to the file that the text will be in.

    Returns:
        The text.
    """
    shown = [parts_of(run, f"run{index}") for index, run in enumerate(runs, start=1)]
    compared = comparison_of(runs) if len(runs) > 1 else None
    files = {figure.name: name for name, (figure, _) in named_figures(shown, compared).items()}

    def image(figure: Figure) -> str:
        place = quote(f"{figures}/{files[figure.name]}")
        return f"![{escaped(figure.caption)}. {escaped(figure.alternative)}]({place}.svg)\n\n[PNG]({place}.png)"

    filters = {"text": escaped, "table": table, "fenced": fenced, "image": image, "duration": numerals.duration}
    # Each name that is written goes through the filter `text`, which escapes it for Markdown.
    made = environment(_HERE, filters, html=False)
    text = made.get_template("page.md.j2").render(
        title=title_of(runs), names=names_of(runs), runs=shown, comparison=compared
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escaped(value: object) -> str:
    """Text that means itself in Markdown, in one line: no markup, no HTML, no end of a table's cell."""
    line = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]{}<>|&#~$!])", r"\\\1", line)


def fenced(text: str) -> str:
    """A block of code, in a fence that the text itself does not have."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def table(shown: tables.Table) -> str:
    """Rows between bars, numbers to the right."""
    numeric = [
        any(not isinstance(row[place], str) for row in shown.rows) and place > 0 for place in range(len(shown.columns))
    ]
    lines = [
        [escaped(column) for column in shown.columns],
        ["---:" if right else "---" for right in numeric],
        *([_cell(value) for value in row] for row in shown.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: tables.Cell) -> str:
    if isinstance(value, tables.Estimate):
        reach = tables.interval(value)
        return numerals.number(value.value) + (f" ({reach})" if reach else "")
    return escaped(value) if isinstance(value, str) else numerals.number(value)
