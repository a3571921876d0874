"""The tables of `worldrex evaluate`, and those of the policies of a run, for a terminal of 80 columns."""

from typing import Any

from rich.table import Table

from worldrex.data.findings import plural
from worldrex.summary_tables import name_cell, number_table


def returns_caption(summary: dict[str, Any]) -> str:
    """What the numbers of `returns_table` are."""
    caption = f"Return of an episode: mean of the middle half of {summary['episodes']} episodes [95 % interval], and mean of all."
    if summary["reference"] is not None:
        low, high = summary["reference"]
        caption += f" Score: 0 at {_number(low)}, 100 at {_number(high)}."
    if summary["bounded"] is not None:
        caption += " Promised: mean return in the model from the same starts."
    if summary["bounded"] is False:
        caption += " Its rollouts are not bounded by the log, as in learning they are: give it with --data."
    return caption


def returns_table(summary: dict[str, Any]) -> Table:
    """A row for each policy and manner of acting, for all together, and for each baseline."""
    scored, promised = summary["reference"] is not None, summary["bounded"] is not None
    table = number_table("", "return", "mean", *["score"] * scored, *["promised"] * promised)
    several = len(summary["policies"]) > 1

    def add(name: str, entry: dict[str, Any], style: str = "") -> None:
        cells = [_with_interval(entry["return"]), _number(entry["mean"]["value"])]
        if scored:
            cells.append(f"{entry['normalized']['value']:.1f}")
        if promised:
            cells.append(_with_interval(entry["promised"]) if "promised" in entry else "")
        table.add_row(name_cell(name), *cells, style=style)

    for entry in summary["policies"]:
        name = _name(entry, several)
        add(name, entry["deterministic"], "bold")
        add("  its draws", entry["stochastic"])
    if several:
        add("all together", summary["all"]["deterministic"], "bold")
        add("  their draws", summary["all"]["stochastic"])
    for name, entry in summary["baselines"].items():
        # Before the name, whose end a narrow terminal cuts.
        add(f"{'< ' if name == summary['best_behavior'] else ''}{name}", entry)
    return table


def returns_sentences(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What the numbers say of the promise and of the best logged behavior (marked <), each with its label."""
    told = []
    several = len(summary["policies"]) > 1
    for entry in summary["policies"]:
        gap = entry["deterministic"].get("gap")
        if gap is None:
            continue
        much = f"{_number(abs(gap['value']))} too {'much' if gap['value'] > 0 else 'little'}"
        of = "" if gap["share"] is None else f", {100 * abs(gap['share']):.0f} % of the return"
        kept = " The interval holds 0." if gap["low"] <= 0 <= gap["high"] else ""
        whose = f"{_name(entry, several)}: " if several else ""
        told.append(("promise", f"{whose}the model promises {much} [{_range(gap)}]{of}.{kept}"))
    over = summary.get("over_best_behavior")
    best = summary["best_behavior"]
    if over is not None:
        how = "above" if over["value"] > 0 else "below"
        sure = "" if over["low"] > 0 or over["high"] < 0 else " The interval holds 0."
        told.append(
            ("best", f"{_number(abs(over['value']))} {how} the best logged behavior, {best} [{_range(over)}].{sure}")
        )
    return told


CONTENDERS = {
    "erm": "out of ERM's model",
    "chosen": "out of the chosen model",
    "penalized": "out of the penalized model",
    "simulator": "out of the simulator itself",
    "cloning": "behavior cloning",
}


def policies_caption(summary: dict[str, Any]) -> str:
    """What the numbers of `policies_table` are."""
    rows, told = summary["policy"], summary["returns"]
    if told["env"] is None:
        return (
            f"What an episode of {told['episode_steps']} steps returns: the policies as the model that each was learned in "
            "promises [95 % interval], and as the penalized model foretells; the behavior as logged. No real environment was "
            "given (--env), so nothing of this is proven."
        )
    count = rows["erm"]["policies"]
    return (
        f"Return of an episode in {told['env']}: mean of the middle half [95 % interval], and mean of all, of "
        f"{rows['erm']['episodes'] // count} episodes for each of {plural(count, 'seed')}; and what the model promised of them."
    )


def policies_table(summary: dict[str, Any]) -> Table:
    """A row for each contender, the best logged behavior, and the other baselines."""
    rows, told = summary["policy"], summary["returns"]
    real = told["env"] is not None
    table = number_table("policy", *(("return", "mean", "promised") if real else ("promised", "foretold")))
    for key, name in CONTENDERS.items():
        if key not in rows or (key == "chosen" and "penalized" in rows):
            continue
        row = rows[key]
        promised = _with_interval(row["promised"]) if "promised" in row else ""
        foretold = _with_interval(row["foretold"] if "foretold" in row else row["promised"]) if not real else ""
        cells = [_flat(row), _number(row["mean"]["value"]), promised] if real else [promised, foretold]
        marked = key == "chosen" or (key == "erm" and "penalized" in rows)
        table.add_row(f"{name}{' <' if marked else ''}", *cells, style="bold" if marked else "")
    for name, entry in told["baselines"].items():
        kind = "best logged: " if name == (rows.get("best_behavior") or {}).get("name") else ""
        cells = [_with_interval(entry["return"]), _number(entry["mean"]["value"]), ""]
        table.add_row(name_cell(f"{kind}{name}"), *(cells if real else [cells[0], ""]))
    return table


def policy_sentences(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What became of the promises, each with its label."""
    told = []
    for key, row in summary["policy"].items():
        if "gap" not in row or (key == "chosen" and "penalized" in summary["policy"]):
            continue
        model = CONTENDERS[key].removeprefix("out of ")
        promised, mean = (_number(row[part]["value"]) for part in ("promised", "mean"))
        sentence = f"{model[0].upper()}{model[1:]} promised {promised} of its policy, and {mean} came of it on average."
        if "foretold" in row:
            judge = CONTENDERS["penalized" if "penalized" in summary["policy"] else "chosen"].removeprefix("out of ")
            sentence += f" {judge[0].upper()}{judge[1:]} had foretold {_number(row['foretold']['value'])}."
        told.append(("promise", sentence))
    return told


def _flat(row: dict[str, Any]) -> str:
    return f"{_number(row['return'])} [{_range(row)}]"


def _name(entry: dict[str, Any], several: bool) -> str:
    return str(entry["path"]) if several else "the policy"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _range(entry: dict[str, Any]) -> str:
    return f"{_number(entry['low'])}, {_number(entry['high'])}"


def _with_interval(entry: dict[str, Any]) -> str:
    return f"{_number(entry['value'])} [{_range(entry)}]"
