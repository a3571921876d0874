"""What the owner of usable data should know about it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32

from worldrex.data.findings import Finding, plural, quote, some_of
from worldrex.data.leaks import find_copies
from worldrex.data.transitions import Transitions, component, same_episode

FEW_RECORDS = 50


def find_cautions(data: Transitions) -> list[Finding]:
    """Warnings about data without errors: weak behaviors, constants, copies, ends of episodes."""
    return _behaviors(data) + _constants(data) + find_copies(data) + _ends(data)


def _constants(data: Transitions) -> list[Finding]:
    findings = []
    for column in ("obs", "action", "reward"):
        values = getattr(data, column)
        places = np.flatnonzero(_constant(values))
        if len(places) and len(data) > 1:
            names = [component(column, values, int(place))[0] for place in places]
            findings.append(
                _warning(
                    column,
                    len(names),
                    f"{some_of(names)} {_is(names)} constant in all {len(data):,} records. What never changes teaches "
                    "nothing about its effect: leave it out if it means nothing.",
                )
            )
    if not _constant(data.action).all():
        held = [i for i in map(int, np.unique(data.behavior)) if _constant(data.action[data.behavior == i]).all()]
        if held:
            names = [quote(data.behavior_names[i]) for i in held]
            findings.append(
                _warning(
                    "action",
                    len(held),
                    f"{some_of(names, 3)} always took the same action. The effect of an action shows only in "
                    "comparison with other behaviors there: log some variation if you can.",
                )
            )
    return findings


def _ends(data: Transitions) -> list[Finding]:
    findings = []
    last = np.concatenate([~same_episode(data), [True]])
    open_ended = np.flatnonzero(last & ~data.terminated & ~data.truncated)
    if len(open_ended):
        row = int(open_ended[0])
        findings.append(
            _warning(
                "truncated",
                len(open_ended),
                f"{plural(len(open_ended), 'episode')} of {int(last.sum()):,} without terminated or truncated at the "
                f"end (first at row {row:,}). worldrex takes them as truncated: the future exists and was not logged.",
                row,
            )
        )
    outlived = np.flatnonzero(~last & data.terminated)
    if len(outlived):
        row = int(outlived[0])
        findings.append(
            _warning(
                "terminated",
                len(outlived),
                f"{plural(len(outlived), 'record')} with terminated = 1 before the end of an episode (first at row "
                f"{row:,}). Nothing should follow the end: check terminated or the episode numbers.",
                row,
            )
        )
    return findings


def _behaviors(data: Transitions) -> list[Finding]:
    counts = np.bincount(data.behavior, minlength=data.num_behaviors)
    findings = []
    few = np.flatnonzero(counts < FEW_RECORDS)
    if len(few):
        named = some_of([f"{quote(data.behavior_names[i])} ({counts[i]:,})" for i in few], 3)
        one = len(few) == 1
        findings.append(
            _warning(
                "behavior",
                len(few),
                f"{plural(len(few), 'behavior')} with fewer than {FEW_RECORDS} records: {named}. "
                f"{'Its risk' if one else 'Their risks'} will be little more than noise: log more of "
                f"{'it, or leave it' if one else 'them, or leave them'} out.",
            )
        )
    logged = int((counts > 0).sum())
    if logged == 1:
        findings.append(
            _warning(
                "behavior",
                1,
                "there is a single behavior, so no penalty can compare anything: all weights give the same model as 0. "
                "Give logs of several policies, or, if these are, a behavior for each record "
                "(a column behavior, one file for each, or --behavior-cycle).",
            )
        )
    if logged == 2:
        findings.append(
            _warning(
                "behavior",
                2,
                "there are two behaviors: leaving one out trains on a single one, where the penalty is zero, so "
                "leave-one-out cannot choose a weight. A model can still be fitted on both with a weight that you "
                "choose; to have it chosen, log a third.",
            )
        )
    return findings


def _constant(values: Float32[np.ndarray, "record ..."]) -> Bool[np.ndarray, "..."]:
    """Which components are the same in every record."""
    return np.atleast_1d((values == values[0]).all(0))


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _warning(column: str, count: int, message: str, row: int | None = None) -> Finding:
    return Finding("warning", column, count, row, message)
