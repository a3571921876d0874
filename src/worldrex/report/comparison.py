"""Several runs side by side: one table, and the errors that decide."""

from collections.abc import Sequence
from typing import NamedTuple

from worldrex.report import alternatives, numerals
from worldrex.report.dot_plot import Dot, Row, dot_plot
from worldrex.report.folder import Record, Run
from worldrex.report.palette import MODEL_STYLES
from worldrex.report.section import Figure, Key, Panels, Section
from worldrex.report.tables import Cell, Estimate, Model, Table, error_of, estimate, models, noise_floor
from worldrex.report.weights import compared_rows


class _Compared(NamedTuple):
    """One run: its name, and for ERM and the penalized model the worst left-out risk and the worst unlogged error."""

    name: str
    run: Run
    left_out: tuple[Estimate, Estimate]
    unlogged: tuple[Estimate, Estimate]
    floor: bool
    """Whether the unlogged errors are multiples of the noise floor."""


def names_of(runs: Sequence[Run]) -> list[str]:
    """What each run is called beside the others: its title, with its folder and then a number where that is not enough."""
    titles = [run.title for run in runs]
    names = [
        title if titles.count(title) == 1 else f"{title}, {run.folder.resolve().name}"
        for title, run in zip(titles, runs, strict=True)
    ]
    return [name if names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, start=1)]


def comparison_of(runs: Sequence[Run]) -> Section:
    """The section that a page of several runs begins with."""
    compared = [_compared(name, run) for name, run in zip(names_of(runs), runs, strict=True)]
    columns = (
        "run", "verdict", "chosen", "worst left-out, ERM", "worst left-out, penalized", "worst unlogged, ERM",
        "worst unlogged, penalized", "unit",
    )  # fmt: skip
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (one.name, _verdict(one.run), _chosen(one.run.summary), *one.left_out, *one.unlogged, _unit(one))
        for one in compared
    )
    table = Table("The runs", columns, rows)
    panels = (*_panel(compared, "left-out"), *_panel(compared, "unlogged"))
    words = (
        "The worst risk on a behavior left out of training, by which the weight is chosen, and the worst error under behaviors "
        "that nobody logged, by which it is judged: for ERM, and for the penalized model, the candidate where ERM was chosen. "
        "Errors are in variances of each run’s own outputs, so that only runs on the same data share a scale.",
    )
    keys = (
        Key("erm", "ERM", MODEL_STYLES["erm"], "no penalty"),
        Key("penalized", "penalized", MODEL_STYLES["penalized"], "best weight above 0"),
    )
    return Section("comparison", "Side by side", words, _reading(compared), panels, keys, tables=(table,), wide=True)


def _compared(name: str, run: Run) -> _Compared:
    summary = run.summary
    pair = compared_rows(summary)
    left_out = [estimate((row or {}).get("worst")) for row in pair or (None, None)]
    known = bool(summary["unlogged"]) and all(noise_floor(errors) for errors in summary["unlogged"].values())
    unlogged = [_worst(summary, model, known=known) for model in _pair(summary)]
    return _Compared(name, run, (left_out[0], left_out[1]), (unlogged[0], unlogged[1]), known)


def _pair(summary: Record) -> tuple[Model | None, Model | None]:
    by_key = {model.key: model for model in models(summary)}
    return by_key.get("erm"), by_key.get("chosen") or by_key.get("penalized")


def _worst(summary: Record, model: Model | None, *, known: bool) -> Estimate:
    found = []
    for errors in summary["unlogged"].values() if model else ():
        part, floor = error_of(errors, model.key if model else ""), noise_floor(errors) if known else 1.0
        if part.value is not None:
            found.append(Estimate(*(numerals.ratio(value, floor) for value in part)))
    return max(found, key=lambda part: part.value or 0.0, default=Estimate(None))


def _verdict(run: Run) -> str:
    verdict = run.summary["verdict"]
    return str(verdict["kind"]) if verdict else "no verdict" if run.finished else run.state


def _chosen(summary: Record) -> str:
    chosen = summary["chosen"]
    if not chosen:
        return "–"
    return f"{chosen.get('penalty')}, weight {numerals.weight(chosen['weight'])}" if chosen.get("weight") else "ERM"


def _unit(one: _Compared) -> str:
    if one.unlogged[0].value is None:
        return "–"
    return "times the noise floor" if one.floor else "variances"


def _panel(compared: Sequence[_Compared], part: str) -> tuple[Panels, ...]:
    rows = []
    for one in compared:
        pair = one.left_out if part == "left-out" else one.unlogged
        ending = "×" if part == "unlogged" and one.floor else ""
        dots = [
            Dot(key, name, value, numerals.number(value.value) + ending)
            for key, name, value in zip(("erm", "penalized"), ("ERM", "penalized"), pair, strict=True)
            if value.value is not None
        ]
        if dots:
            rows.append(Row(one.name, dots))
    title = (
        "Worst risk on a left-out behavior"
        if part == "left-out"
        else "Worst error under an unlogged behavior, × of the noise floor where it is known"
    )
    styles = {key: MODEL_STYLES[key] for key in ("erm", "penalized")}
    chart = dot_plot(rows, styles, title="squared error", what="run")
    if chart is None:
        return ()
    figure = Figure(f"comparison-{part}", chart, title, _in_words(rows))
    return (Panels((figure,), title),)


def _in_words(rows: Sequence[Row]) -> str:
    return " ".join(f"{row.name}: {', '.join(f'{dot.series} {dot.label}' for dot in row.dots)}." for row in rows)


def _reading(compared: Sequence[_Compared]) -> str:
    of_kinds: dict[str, list[str]] = {}
    for one in compared:
        of_kinds.setdefault(_verdict(one.run), []).append(f"“{one.name}”")
    return (
        ". ".join(
            f"{kind[:1].upper()}{kind[1:]}: {alternatives.names_in_words(names) if len(names) <= 6 else f'{len(names)} runs'}"
            for kind, names in of_kinds.items()
        )
        + "."
    )
