"""The section of an evaluated policy's page: what it returned, by its actions and by draws, and what others return."""

from typing import Any

from worldrex.report import numerals
from worldrex.report.dot_plot import Dot, Row, dot_plot
from worldrex.report.folder import Record
from worldrex.report.palette import MODEL_STYLES
from worldrex.report.section import Figure, Key, Panels, Section
from worldrex.report.tables import Cell, Table, estimate

_SERIES = {"real": "in reality", "promised": "promised by the model"}
_COLUMNS = {
    "return": "return", "mean": "mean", "normalized": "score", "promised": "promised", "gap": "promised less mean",
}  # fmt: skip
MOST_ROWS = 12


def evaluated(summary: Record, name: str) -> list[Section]:
    """Returns of the policies and the baselines of `worldrex evaluate`."""
    if summary["kind"] != "evaluate" or not summary.get("policies"):
        return []
    told = entries(summary)
    rows = [Row(what, _dots(entry)) for what, entry in list(told.items())[:MOST_ROWS]]
    series = [key for key in _SERIES if any(dot.key == key for row in rows for dot in row.dots)]
    styles = {key: MODEL_STYLES[key] for key in series}
    chart = dot_plot(rows, styles, title="return of an episode", what="policy", value="return")
    used = [key for key in _COLUMNS if any(entry.get(key) for entry in told.values())]
    cells: list[tuple[Cell, ...]] = [
        (what, *(estimate(entry.get(key)) for key in used)) for what, entry in told.items()
    ]
    table = Table("Return of an episode", ("policy", *(_COLUMNS[key] for key in used)), tuple(cells))
    said = reading(summary)
    figures = () if chart is None else (Panels((Figure(f"{name}-returns", chart, table.caption, said),)),)
    words = (
        f"Each ran {summary['episodes']} episodes in {summary['env']}, the same for all; the return is the mean of the middle "
        "half, the mean is of all, bars are 95 % intervals. Good: above every baseline, with intervals apart, and as promised. "
        "Bad: within a baseline’s interval, which so many episodes do not tell apart; or far below the promise.",
    )
    keys = tuple(Key(key, _SERIES[key], style) for key, style in styles.items())
    return [Section("returns", "What the policy is worth", words, "", figures, keys, tables=(table,))]


def entries(summary: Record) -> dict[str, dict[str, Any]]:
    """What was told of each policy, all together, and each baseline, by what the page calls it."""
    policies, found = summary["policies"], {}
    for place, entry in enumerate(policies):
        whose = "The policy" if len(policies) == 1 else str(entry.get("path") or f"policy {place + 1}")
        found |= {whose: entry["deterministic"], f"{whose}, its draws": entry["stochastic"]}
    if "all" in summary:
        together = summary["all"]
        found = {
            "All policies together": together["deterministic"],
            "All policies together, their draws": together["stochastic"],
        } | found
    best = summary.get("best_behavior")
    for name, entry in (summary.get("baselines") or {}).items():
        found[f"Best logged behavior: {name}" if name == best else name[:1].upper() + name[1:]] = entry
    return found


def reading(summary: Record) -> str:
    """What a person wants to know first."""
    told = entries(summary)
    first, entry = next(iter(told.items()))
    best = (summary.get("baselines") or {}).get(summary.get("best_behavior") or "")
    returns = "return" if "all" in summary else "returns"
    said = f"{first} {returns} {numerals.number(estimate(entry['return']).value)}"
    said += f"; the best logged behavior {numerals.number(estimate(best['return']).value)}." if best else "."
    gap = estimate(entry.get("gap"))
    if gap.value is not None:
        much = "too much" if gap.value > 0 else "too little"
        said += f" The model promises {numerals.number(abs(gap.value))} {much} on average."
    return said


def _dots(entry: Record) -> list[Dot]:
    found = {"real": estimate(entry.get("return")), "promised": estimate(entry.get("promised"))}
    return [
        Dot(key, _SERIES[key], part, numerals.number(part.value))
        for key, part in found.items()
        if part.value is not None
    ]
