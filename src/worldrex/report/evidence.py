"""The sections of a run's page on calibration, many steps, uncertainty, distances between behaviors, and noise."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import altair as alt

from worldrex.report import diagnostic_figures, diagnostic_tables, noise_figures, readings, shift_figures, tables
from worldrex.report.diagnoses import Diagnosed, compared_models, diagnosed, drawn, number, values_of
from worldrex.report.folder import Record
from worldrex.report.palette import LEVEL_STYLES, MODEL_STYLES
from worldrex.report.section import Figure, Key, Panels, Section, Shade

Told = list[Diagnosed]


def evidence(summary: Record, name: str) -> list[Section]:
    """All of these sections, as far as the summary has what they show."""
    makers: tuple[Callable[[Record, str], list[Section]], ...] = (calibration, open_loop, uncertainty, shift, noise)
    return [section for make in makers for section in make(summary, name)]


def calibration(summary: Record, name: str) -> list[Section]:
    """PIT histograms and coverage."""
    table = diagnostic_tables.calibration(summary)
    if table is None:
        return []
    compared = compared_models(summary)
    unlogged, logged = drawn(summary, logged=False), drawn(summary, logged=True)
    histograms = {behavior: _histograms(each) for behavior, each in unlogged.items()}
    if histograms and logged:
        # Beside the unlogged ones it is enough to see the logged ones together.
        together = [one for one in diagnosed(summary) if one.logged]
        histograms = {"all logged behaviors": _histograms(together)} | histograms
    elif logged:
        histograms = {behavior: _histograms(each) for behavior, each in logged.items()}
    top = 1.08 * max((share for of in histograms.values() for shares in of.values() for share in shares), default=0.1)
    shown = [
        Figure(
            f"{name}-pit-{place}",
            diagnostic_figures.pit(of, compared, top),
            f"PIT histogram: {behavior}",
            _peaks(of, compared),
            title=behavior,
        )
        for place, (behavior, of) in enumerate(histograms.items(), start=1)
        if of
    ]
    covered = diagnostic_figures.coverage(unlogged | logged, compared)
    groups = [Panels(tuple(shown), "Where the truth falls in the model’s distribution: 0 the lowest, 1 the highest")]
    if covered is not None:
        figure = Figure(f"{name}-coverage", covered, "Coverage of the central intervals", readings.calibration(summary))
        groups.append(Panels((figure,), "How often an interval holds the truth"))
    words = (
        "A calibrated model’s histogram is flat at the dashed line, and its 50, 90 and 95 % intervals hold as many of the "
        "truths: each symbol on its own line. Two high ends, and symbols left of their lines, are a model that is too sure; a "
        "hill, and symbols to the right, one that is too cautious; a slope, one that is biased.",
        "Calibration under logged behaviors says little about unlogged ones.",
    )
    # Symbols tell the levels apart here; the models have their colors and lanes.
    keys = [replace(key, style=replace(key.style, shape="tick")) for key in _model_keys(compared)]
    keys += [Key(key, f"{key[1:]} %", style) for key, style in LEVEL_STYLES.items()]
    return [
        Section(
            "calibration", "Does the model know how far off it is?", words, readings.calibration(summary),
            tuple(panels for panels in groups if panels.figures), tuple(keys), folded=(table,),
        )
    ]  # fmt: skip


def _histograms(each: Sequence[Diagnosed]) -> dict[str, list[float | int]]:
    """Of each model the mean of the histograms, each behavior counting the same."""
    of_models: dict[str, list[list[float | int]]] = {}
    for one in each:
        shares = [share for share in values_of(one.told, "pit", "histogram") if share is not None]
        if shares:
            of_models.setdefault(one.model.key, []).append(shares)
    return {key: [sum(bins) / len(bins) for bins in zip(*shares, strict=False)] for key, shares in of_models.items()}


def _peaks(histograms: dict[str, list[float | int]], compared: Sequence[tables.Model]) -> str:
    return " ".join(
        f"{model.name}: lowest twentieth {100 * histograms[model.key][0]:.0f} %, highest "
        f"{100 * histograms[model.key][-1]:.0f} %, where 5 % is right."
        for model in compared
        if model.key in histograms
    )


def open_loop(summary: Record, name: str) -> list[Section]:
    """Errors and coverage of sampled trajectories over the steps."""
    table = diagnostic_tables.open_loop(summary)
    if table is None:
        return []

    def both(logged: bool) -> list[Panels]:
        each = {
            behavior: [one for one in of if _has_steps(one)] for behavior, of in drawn(summary, logged=logged).items()
        }
        each = {behavior: of for behavior, of in each.items() if of}
        if not each:
            return []
        axis = diagnostic_figures.open_loop_axis([one for of in each.values() for one in of])
        where = "logged-" if logged else ""
        errors = _figures(
            f"{name}-{where}open-loop-error", each, lambda of: diagnostic_figures.open_loop_errors(of, axis),
            "Error over the steps", _ends,
        )  # fmt: skip
        coverage = _figures(
            f"{name}-{where}open-loop-coverage", each, diagnostic_figures.open_loop_coverage,
            "Coverage of the 90 % interval over the steps", _ends,
        )  # fmt: skip
        return [
            Panels(errors, "Squared error after so many steps, in units of the one-step change"),
            Panels(coverage, "Truths inside the trajectories’ 90 % interval, %"),
        ]

    words = (
        "Sampled trajectories go on from the model’s own predictions along the logged actions. Good: the error grows slowly and "
        "stays well below the dotted line, the error of saying that nothing changes; the intervals hold 90 % of the truths at "
        "every step. Bad: above the dotted line, or a coverage that falls, for then errors add up that the model does not "
        "know of.",
    )
    compared = compared_models(summary)
    keys = (*_model_keys(compared), Key("persistence", "nothing changes", MODEL_STYLES["persistence"]))
    return [
        Section(
            "open-loop", "Over many steps", words, readings.open_loop(summary), _first_open(both(False), both(True)), keys,
            lines=True, folded=(table,),
        )
    ]  # fmt: skip


def uncertainty(summary: Record, name: str) -> list[Section]:
    """Sparsification curves."""
    table = diagnostic_tables.uncertainty(summary)
    if table is None:
        return []

    def curves(logged: bool) -> list[Panels]:
        each = {
            behavior: of
            for behavior, of in drawn(summary, logged=logged).items()
            if any(values_of(one.told, "uncertainty", "removed") for one in of)
        }
        if not each:
            return []
        ends = [
            share
            for of in each.values()
            for one in of
            for share in values_of(one.told, "uncertainty", "total", "curve")
            if share is not None
        ]
        # A single record that is left may have any error.
        top = min(1.08 * max([1.0, *ends]), 1.8)
        figures = _figures(
            f"{name}-{'logged-' if logged else ''}uncertainty", each,
            lambda of: diagnostic_figures.sparsification(of, top), "Error that remains", _correlations,
        )  # fmt: skip
        return [Panels(figures, "Mean error that remains, over the share of the most uncertain records removed, %")]

    words = (
        "Is the model unsure where it errs? The most uncertain records are taken away first. Good: the line falls towards the "
        "thin one, the best order that there is. Bad: flat at the dashed line, as by chance, or above it, for then the "
        "uncertainty misleads. Where all records have the same noise, even the true model’s line is flat.",
    )
    keys = (*_model_keys(compared_models(summary)), Key("oracle", "best order", MODEL_STYLES["oracle"]))
    return [
        Section(
            "uncertainty", "Does it know where it is wrong?", words, readings.uncertainty(summary),
            _first_open(curves(False), curves(True)), keys, lines=True, folded=(table,),
        )
    ]  # fmt: skip


def shift(summary: Record, name: str) -> list[Section]:
    """The map of the behaviors' records, and their distances."""
    part = summary["shift"]
    if not part or not part.get("behaviors"):
        return []
    names = {model.key: model.name for model in tables.models(summary)}
    found, shown = [], shift_figures.shift_map(part, names)
    if shown is not None:
        shades = tuple(
            Shade(shade.key, shade.name, tuple(Key(key, words, style) for key, words, style in shade.classes))
            for shade in shift_figures.shades(part, names)
        )
        words = (
            "Some records of each behavior on the first two principal components of what the logged ones see and do; those of "
            "unlogged behaviors are rings. Good: the rings lie among the dots. Bad: rings where there are no dots, and large "
            "errors with a small uncertainty there: the model is asked for what it has not seen, and does not know it.",
        )
        figure = Figure(f"{name}-shift", shown, "Map of the behaviors’ records", readings.shift(part))
        found.append(
            Section("shift", "Where the behaviors go", words, readings.shift(part), (Panels((figure,)),), shades=shades)
        )
    if table := diagnostic_tables.distances(part):
        pairs, tiles = diagnostic_tables.pairs(part), shift_figures.distances(part)
        figures = (
            (Panels((Figure(f"{name}-distances", tiles, pairs.caption, readings.apart(part), pairs),), ""),)
            if pairs and tiles is not None
            else ()
        )
        words = (
            "Distance of two behaviors’ records of observation and action (sliced Wasserstein, in standard deviations of the "
            "log); on the diagonal what chance makes. “Told apart” is how well a classifier does that: 0.5 not at all, 1 always. "
            "Good: some tenths, told apart between 0.5 and 0.95. Bad: as small as the diagonal, for then there is nothing to "
            "compare; or told apart almost always, for then they have nothing in common.",
        )
        found.append(
            Section("distances", "How far they lie apart", words, readings.apart(part), figures, tables=(table,))
        )
    return found


def noise(summary: Record, name: str) -> list[Section]:
    """What of the plain penalty is noise."""
    told, compared = summary["penalty_noise"] or {}, tables.models(summary)
    table = diagnostic_tables.noise(told, compared)
    if table is None:
        return []
    chart = noise_figures.share_of_noise(told, compared)
    said = readings.noise(summary)
    figures = () if chart is None else (Figure(f"{name}-noise", chart, "Share of noise in the plain penalty", said),)
    words = (
        "The plain variance of a mini-batch’s risks is the variance of the true risks, which the penalty is for, and the chance "
        "of sampling. Good: a small share at the batch of this fit. Bad: most of it, for then a plain penalty flattens noise; "
        "the debiased one, the default, takes it out, but pays with a noisier gradient. The band is the interval over episodes.",
    )
    keys = _model_keys([model for model in compared if told.get(model.key)])
    panels = (Panels(figures),) if figures else ()
    return [Section("noise", "Penalty against noise", words, said, panels, keys, lines=True, tables=(table,))]


def _model_keys(compared: Sequence[tables.Model]) -> tuple[Key, ...]:
    return tuple(Key(model.key, model.name, MODEL_STYLES[model.key], model.description) for model in compared)


def _first_open(unlogged: list[Panels], logged: list[Panels]) -> tuple[Panels, ...]:
    """The unlogged behaviors' panels, those of the logged ones folded beneath; by themselves these are open."""
    if not unlogged:
        return tuple(logged)
    folded = [Panels(panels.figures, f"{panels.title}: logged behaviors", folded=True) for panels in logged]
    return (*unlogged, *folded)


def _has_steps(one: Diagnosed) -> bool:
    return bool(values_of(one.told, "open_loop", "steps"))


def _figures(
    name: str, each: dict[str, Told], chart: Callable[[Told], alt.LayerChart], what: str, said: Callable[[Told], str]
) -> tuple[Figure, ...]:  # fmt: skip
    numbers = itertools.count(1)
    return tuple(
        Figure(f"{name}-{next(numbers)}", chart(of), f"{what}: {behavior}", said(of), title=behavior)
        for behavior, of in each.items()
    )


def _ends(each: Told) -> str:
    said = []
    for one in each:
        errors = values_of(one.told, "open_loop", "squared_error", "value")
        covered = values_of(one.told, "open_loop", "coverage", "90", "value")
        if errors and covered and errors[-1] is not None and covered[-1] is not None:
            said.append(
                f"{one.model.name}: error {errors[-1]:.3g} after {len(errors)} steps, "
                f"{100 * covered[-1]:.0f} % of the truths inside."
            )
    return " ".join(said)


def _correlations(each: Told) -> str:
    found = [(one.model.name, number(one.told, "uncertainty", "total", "rank_correlation")) for one in each]
    return " ".join(f"{name}: rank correlation {value:.2f}." for name, value in found if value is not None)
