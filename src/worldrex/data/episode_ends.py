"""Logs without next_obs: it is the next row's obs within an episode, and unknown at the episode's end."""

from typing import NamedTuple

import numpy as np

from worldrex.data.behaviors_of import Parts
from worldrex.data.columns import FLAGS, NAMES, Columns, check_columns, end_flags, number_episodes, per_record
from worldrex.data.findings import raise_errors
from worldrex.data.transitions import DataError


class Completed(NamedTuple):
    """Columns with next_obs.

    Arguments:
        columns: the records that are left.
        parts: the files' records that are left.
        dropped: how many were dropped, each the last of its episode.
        terminal: how many of those were terminal.
    """

    columns: Columns
    parts: Parts
    dropped: int
    terminal: int


def complete_next_obs(columns: Columns, *, source: str, parts: Parts = ()) -> Completed:
    """Columns that have next_obs stay as they are; in others it comes from the next row of the same episode.

    What an episode's last action led to is not in such a log: its record is dropped and counted, also where it is
    terminal. The record before it is then the last one, and truncated, since its future is known to exist.

    Arguments:
        columns: raw columns, with an episode column or flags where there is no next_obs.
        source: how an error calls the data.
        parts: name and number of records of each file; no episode goes on from one file to the next.

    Raises DataError where nothing says where the episodes end.
    """
    if "next_obs" in columns or not {"obs", "action", "reward"} <= set(columns):
        return Completed(columns, parts, 0, 0)
    if not {"episode", *FLAGS} & set(columns):
        raise DataError(
            f"{source} has no next_obs, and no column that says where an episode ends. worldrex needs one of the two: "
            "add next_obs, or episode, or terminated and truncated (an episode's last record is then left out)."
        )
    raise_errors(check_columns({**columns, "next_obs": columns["obs"]}), source)
    length = len(columns["reward"])
    terminated, _, last = end_flags(columns, length)
    if "episode" in columns:
        episode = per_record(columns["episode"])
        last = last | np.concatenate([episode[1:] != episode[:-1], [True]])
    else:
        episode = number_episodes(last)
    last[np.cumsum([count for _, count in parts], dtype=int) - 1] = True
    last[-1] = True
    keep = ~last
    if not keep.any():
        raise DataError(
            f"{source} has no next_obs, and all its {length:,} records are the last of their episode. worldrex needs "
            "episodes of two records or more: add next_obs, or check the columns that say where episodes end."
        )
    obs = columns["obs"]
    completed = {
        name: values if name == NAMES else values[keep] for name, values in columns.items() if len(values) == length
    }
    for flag in FLAGS:
        completed.pop(flag, None)
    completed |= {
        "next_obs": obs[1:][keep[:-1]],
        "terminated": np.zeros(int(keep.sum()), bool),
        "truncated": np.append(last[1:], True)[keep],
        "episode": episode[keep],
    }
    if NAMES in columns:
        completed[NAMES] = columns[NAMES]
    starts = np.cumsum([0, *(count for _, count in parts)])
    left = [(name, int(keep[start : start + count].sum())) for (name, count), start in zip(parts, starts, strict=False)]
    return Completed(completed, left, int(last.sum()), int((last & terminated).sum()))
