"""The section of a run's page on the policies out of its models: what was promised, and what came of it."""

from worldrex.report import numerals
from worldrex.report.dot_plot import Dot, Row, dot_plot
from worldrex.report.folder import Record
from worldrex.report.palette import MODEL_STYLES
from worldrex.report.section import Figure, Key, Panels, Section
from worldrex.report.tables import Cell, Estimate, Table, estimate

_PLACES = {
    "erm": "ERM’s model",
    "chosen": "the chosen model",
    "penalized": "the penalized model",
    "simulator": "the simulator itself",
}
_NAMES = {key: f"out of {place}" for key, place in _PLACES.items()} | {"cloning": "behavior cloning"}
_BESIDE = {"simulator": "one that was learned there", "cloning": "one that imitates the log (behavior cloning)"}
# Of the baselines those that a figure has room for; the table has all.
_DRAWN = ("do nothing", "random actions")
_SERIES = {
    "real": "in reality",
    "promised": "promised by its own model",
    "foretold": "foretold by {judge}",
}


def policies(summary: Record, name: str) -> list[Section]:
    """Returns of the policies beside the promises; without a real environment, what the models say of them."""
    told = contenders(summary)
    series = {key: name.format(judge=judge_of(summary)) for key, name in _SERIES.items()}
    if not told:
        note = summary["policy_note"]
        return [Section("policies", "A policy out of it", (f"There is none: {note}",))] if note else []
    real, table = summary["returns"].get("env") is not None, _table(summary, told)
    shown = ("real", "promised") if real else ("promised", "foretold")
    rows = [Row(_row_name(key), _dots(row, shown, series)) for key, row in told.items()]
    best = summary["policy"].get("best_behavior")
    if best:
        dot = Dot("real", _SERIES["real"], estimate(best["mean"]), "")
        rows.append(Row(f"Best logged behavior: {best['name']}", [_labeled(dot)]))
    for baseline in _DRAWN:
        if real and baseline in summary["returns"]["baselines"]:
            found = estimate(summary["returns"]["baselines"][baseline]["mean"])
            rows.append(Row(baseline[0].upper() + baseline[1:], [_labeled(Dot("real", _SERIES["real"], found, ""))]))
    drawn = dict.fromkeys(("real", *shown)) if best else dict.fromkeys(shown)
    styles = {key: MODEL_STYLES[key] for key in drawn}
    chart = dot_plot(rows, styles, title="mean return of an episode", what="policy", value="return")
    said = reading(summary)
    figures = () if chart is None else (Panels((Figure(f"{name}-policies", chart, table.caption, said),)),)
    keys = tuple(
        Key(key, series[key] if real or key != "real" else "as logged", style) for key, style in styles.items()
    )
    return [
        Section(
            "policies", "A policy out of each model", (_words(summary, real),), said, figures, keys, tables=(table,)
        )
    ]


def contenders(summary: Record) -> dict[str, Record]:
    """The rows that differ: where ERM was chosen, the chosen model's policies are ERM's."""
    rows = summary["policy"]
    return {key: rows[key] for key in _NAMES if key in rows and not (key == "chosen" and "penalized" in rows)}


def judge_of(summary: Record) -> str:
    """The penalized model, which is asked about all policies, by what the page calls it."""
    return _PLACES["penalized" if "penalized" in summary["policy"] else "chosen"]


def reading(summary: Record) -> str:
    """What became of the promises."""
    sentences = []
    for key, row in contenders(summary).items():
        promised, real = estimate(row.get("promised")).value, estimate(row.get("mean")).value
        foretold = estimate(row.get("foretold")).value
        if promised is None:
            continue
        model = _PLACES[key][0].upper() + _PLACES[key][1:]
        said = f"{model} promises {numerals.number(promised)} of its policy"
        if real is not None:
            said += f", and {numerals.number(real)} comes of it on average"
        if foretold is not None:
            said += f"; {judge_of(summary)} foretells {numerals.number(foretold)}"
        sentences.append(f"{said}.")
    simulator, best = (summary["policy"].get(key) for key in ("simulator", "best_behavior"))
    if simulator and best:
        sentences.append(
            f"Learned in the simulator itself, a policy returns {numerals.number(estimate(simulator['mean']).value)}; the "
            f"best logged behavior {numerals.number(estimate(best['mean']).value)}."
        )
    return " ".join(sentences)


def _words(summary: Record, real: bool) -> str:
    steps = summary["returns"].get("episode_steps")
    if not real:
        return (
            f"Policies were learned in the models (MOPO), and the models asked what an episode of {steps} steps will return. No "
            "real environment was given, so nothing of this is proven: a policy seeks out what its model gets wrong. Good: "
            "the model that was not used for learning foretells the same, above the best logged behavior. Bad: it foretells "
            "much less than was promised."
        )
    *others, best = [*(words for key, words in _BESIDE.items() if key in summary["policy"]), "the best logged behavior"]
    beside = f"{', '.join(others)} and {best}" if others else best
    return (
        f"Policies were learned in each model (MOPO) and then tried in {summary['returns']['env']}, in the same episodes of at "
        f"most {steps} steps, beside {beside}. Good: the return is above the best "
        "logged behavior’s, and as promised. Bad: a promise that reality does not keep, for the policy found what the model "
        "has wrong. Bars are 95 % intervals over episodes and seeds; of a promise, over the members."
    )


def _row_name(key: str) -> str:
    return f"Policy {_NAMES[key]}" if key in _PLACES else _NAMES[key].capitalize()


def _dots(row: Record, shown: tuple[str, ...], series: dict[str, str]) -> list[Dot]:
    found = {
        "real": estimate(row.get("mean")),  # a promise is a mean
        "promised": estimate(row.get("promised")),
        "foretold": estimate(row.get("foretold") or row.get("promised")),
    }
    return [_labeled(Dot(key, series[key], found[key], "")) for key in shown]


def _labeled(dot: Dot) -> Dot:
    return dot._replace(label=numerals.number(dot.estimate.value))


def _table(summary: Record, told: dict[str, Record]) -> Table:
    columns = ("policy", "return", "mean", "promised", "promised less mean", f"foretold by {judge_of(summary)}")
    rows: list[tuple[Cell, ...]] = [
        (
            _NAMES[key], Estimate(*(row.get(end) for end in ("return", "low", "high"))),
            estimate(row.get("mean")), estimate(row.get("promised")), estimate(row.get("gap")), estimate(row.get("foretold")),
        )
        for key, row in told.items()
    ]  # fmt: skip
    nothing = Estimate(None)
    rows += [
        (name, estimate(of["return"]), estimate(of["mean"]), nothing, nothing, nothing)
        for name, of in summary["returns"]["baselines"].items()
    ]
    used = [place for place in range(len(columns)) if place == 0 or any(_value(row[place]) is not None for row in rows)]
    caption = "Return of an episode: mean of the middle half, and of all"
    return Table(
        caption, tuple(columns[place] for place in used), tuple(tuple(row[place] for place in used) for row in rows)
    )


def _value(cell: Cell) -> Cell:
    return cell.value if isinstance(cell, Estimate) else cell
