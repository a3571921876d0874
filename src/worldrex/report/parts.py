"""What a page says of a run, whatever its format: figures with their keys and tables, and the facts around them."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from worldrex.report import alternatives, curves, figures, numerals, tables
from worldrex.report.folder import Record, Run
from worldrex.report.palette import LEFT_OUT_STYLES, MODEL_STYLES, Style, behavior_style, fold_style
from worldrex.report.scales import extent

_MODEL_NAMES = {"erm": "ERM", "penalized": "Penalized", "plain": "Plain penalty"}


@dataclass(frozen=True)
class Key:
    """An entry of a legend: its button hides the series in the charts beside it."""

    key: str
    name: str
    style: Style
    description: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart with what stands for it where it is not seen."""

    name: str
    chart: alt.LayerChart
    alternative: str
    table: tables.Table
    title: str = ""


def parts_of(run: Run, name: str) -> dict[str, Any]:
    """All that is shown of a run.

    Args:
        run: as read from its folder.
        name: what its figures' names begin with.

    Returns:
        What the templates take, by their names for it.
    """
    summary, data = run.summary, run.summary["data"]
    training, training_keys = _training(run, name)
    compared = tables.models(summary)
    model_keys = [Key(model.key, model.name, MODEL_STYLES[model.key], model.description) for model in compared]
    floor = any(tables.noise_floor(errors) is not None for errors in summary["unlogged"].values())
    noiseless = not floor and any(errors.get("noise_floor") is not None for errors in summary["unlogged"].values())
    floor_key = Key("noise_floor", "noise floor", MODEL_STYLES["noise_floor"], "error of the true model")
    truth_key = Key("truth", "truth", MODEL_STYLES["truth"])
    trained, left_out = tables.trained_on(summary), tables.left_out(summary)
    unlogged = tables.errors(summary, "unlogged", "Squared error under each unlogged behavior, normalized")
    slopes = tables.slopes(summary)
    return {
        "name": name,
        "run": run,
        "summary": summary,
        "facts": _facts(summary),
        "models": compared,
        "key_numbers": tables.key_numbers(summary),
        "figures": {
            "unlogged": _figure(f"{name}-unlogged", figures.unlogged_errors(summary), unlogged),
            "trained": _figure(
                f"{name}-trained", figures.trained_on_risks(summary), trained, alternatives.coming_together(summary)
            ),
            "left_out": _figure(
                f"{name}-left-out", figures.left_out_risks(summary), left_out, alternatives.worst_and_mean(summary)
            ),
            "slope": _figure(f"{name}-slope", figures.slope(summary), slopes),
            "training": training,
        },
        "keys": {
            "unlogged": [*model_keys, *([floor_key] if floor else [])],
            "trained": _behavior_keys(trained.columns[1:] if trained else ()),
            "left_out": _left_out_keys(summary),
            "slope": [truth_key, *model_keys],
            "training": training_keys,
        },
        "floor": floor,
        "noiseless": noiseless,
        "come_together": alternatives.come_together(summary),
        "below_floor": alternatives.below_floor(summary),
        "logged": tables.errors(summary, "logged", "Squared error on held-out episodes of the logged behaviors"),
        "slopes": slopes,
        "behaviors": tables.behaviors(data),
        "findings": tables.findings(data),
        "seconds": tables.seconds(summary),
        "settings": tables.settings(run.config.get("config") or {}, "Configuration"),
        "versions": tables.settings(run.environment, "Versions and machine"),
        "command": _command(run),
    }


def title_of(runs: Sequence[Run]) -> str:
    """What a page of these runs is called."""
    return runs[0].title if len(runs) == 1 else f"{len(runs)} runs"


def _figure(name: str, chart: alt.LayerChart | None, table: tables.Table | None, alternative: str = "") -> list[Figure]:
    if chart is None or table is None:
        return []
    return [Figure(name, chart, alternative or alternatives.rows_in_words(table), table)]


def _training(run: Run, name: str) -> tuple[list[Figure], list[Key]]:
    fitted = curves.training_curves(run.metrics)
    behaviors = list(dict.fromkeys(behavior for model in fitted for behavior in model.risks))
    # Curves that start high at random weights would flatten what matters; the logarithm keeps both.
    risks = [risk for model in fitted for curve in model.risks.values() for _, risk in curve]
    axis = extent(risks, log_above=8)
    shown = []
    for model in fitted:
        title = _MODEL_NAMES.get(model.model, model.model)
        table = tables.training(model.risks, f"Held-out risk over the steps: {title}")
        chart = figures.training(model, behaviors, axis)
        shown.append(Figure(f"{name}-training-{len(shown) + 1}", chart, alternatives.ends_of(model), table, title))
    return shown, _behavior_keys(behaviors)


def _left_out_keys(summary: Record) -> list[Key]:
    totals = [Key(key, key, style) for key, style in LEFT_OUT_STYLES.items()]
    return totals + [
        Key(f"b{index}", name, fold_style(index)) for index, name in enumerate(tables.left_out_behaviors(summary))
    ]


def _behavior_keys(names: Sequence[str]) -> list[Key]:
    return [Key(f"b{index}", name, behavior_style(index)) for index, name in enumerate(names)]


def _facts(summary: Record) -> list[str]:
    data = summary["data"]
    behaviors = data.get("behaviors") or []
    facts = []
    if data.get("records") is not None:
        facts.append(f"{numerals.number(data['records'])} records")
    if data.get("episodes") is not None:
        facts.append(f"{numerals.number(data['episodes'])} episodes")
    if behaviors:
        facts.append(f"{len(behaviors)} logged behavior{'s' if len(behaviors) != 1 else ''}")
    if summary["seed"] is not None:
        facts.append(f"seed {summary['seed']}")
    return facts


def _command(run: Run) -> str:
    command = run.summary["command"] or run.config.get("command") or ""
    return command if isinstance(command, str) else shlex.join(str(word) for word in command)
