"""What a page says of a run, whatever its format: the facts, the verdict's numbers, and the sections."""

import shlex
from collections.abc import Sequence
from typing import Any

from altair.utils.schemapi import debug_mode

from worldrex.report import evaluated, evidence, numerals, policies, sections, tables
from worldrex.report.folder import Record, Run
from worldrex.report.key_numbers import key_numbers
from worldrex.report.section import Section
from worldrex.report.weights import left_out_behaviors


def parts_of(run: Run, name: str) -> dict[str, Any]:
    """All that is shown of a run.

    Args:
        run: as read from its folder.
        name: what its figures' names begin with.

    Returns:
        What the templates take, by their names for it.
    """
    summary = run.summary
    return {
        "name": name,
        "run": run,
        "summary": summary,
        "facts": _facts(summary),
        "headline": _headline(summary),
        "key_numbers": key_numbers(summary),
        "sections": sections_of(run, name),
        "seconds": tables.seconds(summary),
        "settings": tables.settings(run.config.get("config") or {}, "Configuration"),
        "versions": tables.settings(run.environment, "Versions and machine"),
        "command": _command(run),
    }


def sections_of(run: Run, name: str) -> list[Section]:
    """The sections in the order of the page, as far as the run has what they show."""
    summary = run.summary
    # The tests hold every chart against the schema; here, each part of each would cost most of the time.
    with debug_mode(False):
        return [
            *sections.unlogged(summary, name),
            *sections.compared_weights(summary, name),
            *sections.slope(summary, name),
            *policies.policies(summary, name),
            *evaluated.evaluated(summary, name),
            *evidence.evidence(summary, name),
            *sections.training(run, name),
            *sections.data(summary),
        ]


def title_of(runs: Sequence[Run]) -> str:
    """What a page of these runs is called."""
    return runs[0].title if len(runs) == 1 else f"{len(runs)} runs"


def _headline(summary: Record) -> str:
    """What stands in the verdict's place where a run has none: what was chosen, or fitted."""
    if summary["verdict"]:
        return ""
    if summary["kind"] == "fit":
        weight = summary["weight"]
        return (
            f"A model fitted with the {summary['penalty']} penalty at weight {numerals.weight(weight)}."
            if weight
            else "A model fitted without a penalty (ERM)."
        )
    if summary["kind"] == "optimize":
        return f"A policy that its model promises a return of {numerals.number(summary.get('model_return'))}."
    if summary["kind"] == "evaluate":
        return evaluated.reading(summary)
    if not summary["chosen"]:
        return ""
    if summary["chosen"].get("weight"):
        penalty, weight = summary["chosen"]["penalty"], numerals.weight(summary["chosen"]["weight"])
        return f"Leaving behaviors out chooses the {penalty} penalty at weight {weight}."
    return "Leaving behaviors out chooses plain ERM: no weight of the penalty lowers the worst risk by enough."


def _facts(summary: Record) -> list[str]:
    data = summary["data"]
    behaviors = len(data.get("behaviors") or summary["holdout_risk"] or left_out_behaviors(summary))
    facts = []
    if data.get("records") is not None:
        facts.append(f"{numerals.number(data['records'])} records")
    if data.get("episodes") is not None:
        facts.append(f"{numerals.number(data['episodes'])} episodes")
    if behaviors:
        facts.append(f"{behaviors} logged behavior{'s' if behaviors != 1 else ''}")
    if summary["seed"] is not None:
        facts.append(f"seed {summary['seed']}")
    return facts


def _command(run: Run) -> str:
    command = run.summary["command"] or run.config.get("command") or ""
    return command if isinstance(command, str) else shlex.join(str(word) for word in command)
