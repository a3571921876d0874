"""A log's own clock: the rows of an episode must be in its order."""

from collections.abc import Mapping

import numpy as np

from worldrex.data.behaviors_of import Parts
from worldrex.data.columns import end_flags, number_episodes, per_record
from worldrex.data.findings import Finding, plural
from worldrex.data.wide_columns import TIMES


def find_disorder(columns: Mapping[str, np.ndarray], parts: Parts, source: str) -> list[Finding]:
    """Errors for rows whose time is before that of the row above them in the same episode.

    Arguments:
        columns: raw columns that can become Transitions (before rows are dropped for want of next_obs); a column of
            times that are not all numbers or dates, or that its reader left empty for that, is a warning.
        parts: name and number of records of each file; a clock may start anew in each.
        source: how a message calls the log.
    """
    length = len(columns["reward"])
    numbered = "episode" in columns
    episode = per_record(columns["episode"]) if numbered else number_episodes(end_flags(columns, length)[2])
    inside = episode[1:] == episode[:-1]
    ends = np.cumsum([count for _, count in parts], dtype=np.int64)[:-1]
    inside[ends[(ends > 0) & (ends < length)] - 1] = False  # files may be empty, also the last ones
    findings = []
    for name in TIMES:
        time = columns.get(name)
        if time is None:
            continue
        if time.size != length or time.shape[:1] != (length,) or time.dtype.kind not in "biufmM":
            findings.append(
                Finding(
                    "warning",
                    name,
                    length,
                    None,
                    f"{name} was not looked at, for it does not have a number or a date in each record. worldrex needs that to "
                    "see whether rows are in order: convert it (seconds, or 2026-01-31T12:00:00), or rename it if it is no time.",
                )
            )
            continue
        time = per_record(time)
        back = inside & (time[1:] < time[:-1])
        if back.any():
            row, count = int(np.argmax(back)) + 1, int(back.sum())
            findings.append(
                Finding(
                    "error",
                    name,
                    count,
                    row,
                    f"{name} goes back within an episode at row {row:,} of {source}: {time[row]} after {time[row - 1]} "
                    f"({plural(count, 'such place')} in {plural(length, 'record')}). worldrex needs the rows of an episode "
                    "in time order: sort the log by episode and time, or give separate recordings different numbers.",
                )
            )
    return findings
