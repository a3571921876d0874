"""The sections of a run's page that compare errors, weights and slopes, and those on the training and the data."""

from collections.abc import Sequence

import altair as alt

from worldrex.report import alternatives, curves, figures, readings, tables, weights
from worldrex.report.folder import Record, Run
from worldrex.report.palette import LEFT_OUT_STYLES, MODEL_STYLES, behavior_style, fold_style
from worldrex.report.scales import extent
from worldrex.report.section import Figure, Key, Panels, Section
from worldrex.report.tables import Table

_MODEL_NAMES = {"erm": "ERM", "penalized": "Penalized", "plain": "Plain penalty", "model": "The model"}


def model_keys(summary: Record) -> list[Key]:
    """A key for each model that the run compares."""
    return [Key(model.key, model.name, MODEL_STYLES[model.key], model.description) for model in tables.models(summary)]


def behavior_keys(names: Sequence[str]) -> tuple[Key, ...]:
    """A key for each behavior, in the order in which figures number them."""
    return tuple(Key(f"b{index}", name, behavior_style(index)) for index, name in enumerate(names))


def panels(
    name: str, chart: alt.LayerChart | None, table: Table | None, alternative: str = "", *, own_table: bool = True
) -> tuple[Panels, ...]:
    """One chart by itself, with its table as its numbers; none where either is missing."""
    if chart is None or table is None:
        return ()
    words = alternative or alternatives.rows_in_words(table)
    return (Panels((Figure(name, chart, table.caption, words, table if own_table else None),)),)


def unlogged(summary: Record, name: str) -> list[Section]:
    """Errors under the unlogged behaviors; where there are none, on held-out episodes of the logged ones."""
    keys = model_keys(summary)
    logged = tables.errors(summary, "logged", "Squared error on held-out episodes of the logged behaviors")
    if not summary["unlogged"]:
        shown = panels(f"{name}-logged", figures.errors(summary, "logged"), logged)
        words = (
            "Squared error of the one-step prediction on episodes that were held out, in normalized units. Bars are "
            "intervals. A model that leans on what changes from behavior to behavior looks best here: this is no test of "
            "it.",
        )
        return [Section("logged", "On the logged behaviors", words, panels=shown, keys=tuple(keys))] if shown else []
    table = tables.errors(summary, "unlogged", "Squared error under each unlogged behavior, normalized")
    shown = panels(f"{name}-unlogged", figures.errors(summary, "unlogged"), table)
    if not shown:
        return []
    floors = [errors.get("noise_floor") for errors in summary["unlogged"].values()]
    if any(tables.noise_floor(errors) is not None for errors in summary["unlogged"].values()):
        floor = (
            "The upright line is the noise floor, the error of the true model; the number after each error is its multiple "
            "of the floor."
        )
        keys.append(Key("noise_floor", "noise floor", MODEL_STYLES["noise_floor"], "error of the true model"))
    elif any(floor is not None for floor in floors):
        floor = "The noise floor, the error of the true model, is next to nothing here and lies far to the left of the plot."
    else:
        floor = "The noise floor is not known for these data, so only the models can be compared."
    words = [f"Squared error of the one-step prediction, in normalized units. Bars are intervals. {floor}"]
    words += [note for note in (alternatives.below_floor(summary), _of_many(len(floors), figures.MOST_ROWS)) if note]
    return [
        Section(
            "unlogged", "Under behaviors that nobody logged", tuple(words), panels=shown, keys=tuple(keys),
            folded=(logged,) if logged else (),
        )
    ]  # fmt: skip


def _of_many(count: int, most: int) -> str:
    return f"The {most} of {count} with the largest errors are drawn; the table has all." if count > most else ""


def compared_weights(summary: Record, name: str) -> list[Section]:
    """The curves that come together, the left-out risk against the weight, each fold, and each penalty."""
    trained, left_out = weights.trained_on(summary), weights.left_out(summary)
    found = []
    if shown := panels(
        f"{name}-trained", figures.trained_on_risks(summary), trained, alternatives.coming_together(summary)
    ):
        title = (
            "The curves that come together as the weight grows"
            if alternatives.come_together(summary)
            else "The risk of each behavior as the weight grows"
        )
        words = (
            "Each line is the risk on held-out episodes of one behavior that the model was trained on. Where the risks "
            "differ, the model leans on something that changes from behavior to behavior; the penalty presses them "
            "together.",
        )
        said = " ".join(filter(None, (alternatives.coming_together(summary), readings.spread(summary))))
        keys = behavior_keys(trained.columns[1:] if trained else ())
        found.append(Section("trained", title, words, said, shown, keys, lines=True))
    if shown := panels(
        f"{name}-left-out", figures.left_out_risks(summary), left_out, alternatives.worst_and_mean(summary)
    ):
        words = [
            "Each behavior in turn is left out of training, and the model is scored on it. The mean rewards a model that does "
            "well wherever the left-out behavior resembles the rest; a behavior that nobody logged need not, and the worst "
            "is nearer to what it will meet. The band is the interval of the worst.",
        ]
        if summary["selection"].get("rule"):
            words.append(f"Rule: {summary['selection']['rule']}")
        found.append(
            Section(
                "left-out", "The weight is chosen by the worst, not the mean", tuple(words),
                alternatives.worst_and_mean(summary), shown, _left_out_keys(summary), lines=True,
            )
        )  # fmt: skip
    if folds := weights.folds(summary):
        words = (
            "The risk on each behavior when it is left out. Good: the penalized model is better where ERM is worst; that it is "
            "worse on easy ones, where ERM’s shortcut pays, is the price. Bad: a behavior that is hard for both and lies "
            "far from the rest, for then the log does not tell enough.",
        )
        said = " ".join(filter(None, (readings.left_out(summary), readings.pairs(summary))))
        found.append(Section("folds", "Each behavior when it is left out", words, said, tables=(folds,)))
    if (of_all := weights.penalties(summary)) and (
        shown := panels(
            f"{name}-penalties", figures.worst_of_penalties(summary), of_all, alternatives.best_of_penalties(summary)
        )
    ):
        keys = [
            Key(f"p{index}", penalty, behavior_style(index))
            for index, penalty in enumerate(weights.rows_of_penalties(summary))
        ]
        words = (
            "The worst risk on a left-out behavior, for each penalty at each weight; all of them begin at ERM. The figures "
            "above are those of the best of them.",
        )
        said = alternatives.best_of_penalties(summary)
        found.append(Section("penalties", "Which penalty", words, said, shown, tuple(keys), lines=True))
    return found


def slope(summary: Record, name: str) -> list[Section]:
    """What the action does, beside the truth."""
    table = tables.slopes(summary)
    if table is None:
        return []
    words = (
        f"The mean slope of each model’s prediction of {summary['slope']['output']} in {summary['slope']['action']}, beside the "
        "simulator’s. A model with the wrong slope fails as soon as a policy acts for reasons of its own.",
    )
    shown = panels(f"{name}-slope", figures.slope(summary), table, own_table=False)
    keys = (Key("truth", "truth", MODEL_STYLES["truth"]), *model_keys(summary))
    return [Section("slope", "What the action does", words, panels=shown, keys=keys, tables=(table,), beside=True)]


def training(run: Run, name: str) -> list[Section]:
    """The curves of the final fits; of a single fit also where they end."""
    found, risks = [], run.summary["holdout_risk"]
    if risks:
        table = Table("Risk on held-out episodes", ("behavior", "risk"), tuple(risks.items()))
        shown = panels(f"{name}-held-out", figures.held_out_risks(risks), table)
        words = (
            "The fitted model’s risk on episodes that were held out. Good: about the same under each behavior, at the noise. "
            "Bad: far apart, for then the model leans on something that changes from behavior to behavior.",
        )
        found.append(Section("held-out", "Under each behavior", words, panels=shown))
    fitted = curves.training_curves(run.metrics)
    behaviors = list(dict.fromkeys(behavior for model in fitted for behavior in model.risks))
    # Curves that start high at random weights would flatten what matters; the logarithm keeps both.
    axis = extent([risk for model in fitted for curve in model.risks.values() for _, risk in curve], log_above=8)
    shown = []
    for model in fitted:
        title = _MODEL_NAMES.get(model.model, model.model)
        table = tables.training(model.risks, f"Held-out risk over the steps: {title}")
        chart = figures.training(model, behaviors, axis)
        place = f"{name}-training-{len(shown) + 1}"
        shown.append(Figure(place, chart, table.caption, alternatives.ends_of(model), table, title))
    if shown:
        words = ("Risk on held-out episodes of each behavior over the steps of the final fits, on one scale.",)
        keys = behavior_keys(behaviors)
        found.append(Section("training", "Training", words, "", (Panels(tuple(shown)),), keys, lines=True))
    return found


def data(summary: Record) -> list[Section]:
    """The behaviors of the data and what its check found."""
    described = summary["data"]
    behaviors, findings = tables.behaviors(described), tables.findings(described)
    if behaviors is None:
        return []
    words = ""
    if described.get("obs_dims") is not None:
        ending = "" if described["action_dims"] == 1 else "s"
        words = f"{described['obs_dims']} observation and {described['action_dims']} action dimension{ending}. "
    words += "" if findings else "The check of the columns found nothing to report."
    return [
        Section(
            "data", "The data", (words.strip(),) if words else (), tables=tuple(filter(None, (behaviors, findings)))
        )
    ]


def _left_out_keys(summary: Record) -> tuple[Key, ...]:
    totals = [Key(key, key, style) for key, style in LEFT_OUT_STYLES.items()]
    folds = weights.left_out_behaviors(summary)
    return (*totals, *(Key(f"b{index}", name, fold_style(index)) for index, name in enumerate(folds)))
