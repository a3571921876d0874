"""The files of one folder become one log."""

from collections.abc import Sequence

import numpy as np

from worldrex.data.columns import FLAGS, MATRICES, NAMES, end_flags, per_record
from worldrex.data.findings import some_of
from worldrex.data.transitions import DataError
from worldrex.data.wide_columns import TIMES

Table = dict[str, np.ndarray]


def join(
    tables: Sequence[Table], sources: Sequence[str], folder: str, *, numbered_throughout: bool = False
) -> tuple[Table, list[int]]:
    """All records in the files' order, and how many each file has.

    Files may number their episodes each from 0: where one number stands for several episodes, all are numbered anew.
    An episode goes on from one file to the next only where its observation does. With `numbered_throughout`, a number is
    one episode in all files.

    Raises DataError where the files have different columns, widths or kinds of labels.
    """
    known = [{name for name, values in table.items() if values.ndim > 0 and len(values)} - {NAMES} for table in tables]
    counts = [
        max((len(values) for name, values in table.items() if values.ndim and name != NAMES), default=0)
        for table in tables
    ]
    filled = [i for i, count in enumerate(counts) if count]
    everywhere = set.intersection(*(known[i] for i in filled)) if filled else set()
    everywhere -= {name for name in TIMES if len({tables[i][name].dtype.kind for i in filled if name in tables[i]}) > 1}
    known = [names - (set(TIMES) - everywhere) for names in known]  # files may tell the time or not
    if len(filled) <= 1:
        return tables[filled[0] if filled else 0], counts
    first = filled[0]
    for i in filled:
        differ = known[i] ^ known[first]
        for name in known[i] & known[first]:
            one, other = tables[first][name], tables[i][name]
            if one.shape[1:] != other.shape[1:] or (one.dtype.kind in "SU") != (other.dtype.kind in "SU"):
                differ.add(name)
        if (NAMES in tables[i]) != (NAMES in tables[first]):
            differ.add("behavior")
        if differ:
            raise DataError(
                f"{folder} cannot be used as one log: {sources[i]} and {sources[first]} differ in "
                f"{some_of(sorted(differ))} (there in one of them only, or of another width or type). worldrex needs the "
                "same columns in every file: export them alike, or load them as logs of their own."
            )
    used = [dict(tables[i]) for i in filled]
    names = _one_numbering(used)
    if "episode" in known[first] and not numbered_throughout:
        _number_episodes(used)
    absent = {name: values for name, values in used[0].items() if name not in (*known[first], *TIMES, NAMES)}
    # Where one of the files does not tell the time, none is known to; an empty column is told of.
    absent |= {name: np.empty(0) for name in TIMES if name not in everywhere and any(name in table for table in used)}
    joined = absent | {name: np.concatenate([table[name] for table in used]) for name in known[first]}
    return joined | ({} if names is None else {NAMES: names}), counts


def _one_numbering(tables: list[Table]) -> np.ndarray | None:
    """Give the same behavior the same number in all tables. Returns the names."""
    if NAMES not in tables[0]:
        return None
    names = list(dict.fromkeys(str(name) for table in tables for name in table[NAMES]))
    number_of = {name: number for number, name in enumerate(names)}
    for table in tables:
        new = np.array([number_of[str(name)] for name in table[NAMES]], np.int32)
        behavior = per_record(table["behavior"]).astype(np.float64)
        if not ((behavior >= 0) & (behavior < len(new)) & (behavior == np.trunc(behavior))).all():
            raise DataError("a file has behavior numbers without a name: export it again.")
        table["behavior"] = new[behavior.astype(np.int64)]
    return np.array(names, dtype=object)


def _number_episodes(tables: list[Table]) -> None:
    """Leave the numbers as they are where each stands for one episode, and else number anew in order."""
    seen: set = set()
    clash, goes_on = False, [False]
    for before, after in zip([None, *tables], tables, strict=False):
        numbers = set(np.unique(per_record(after["episode"])).tolist())
        if before is not None:
            goes_on.append(_goes_on(before, after))
            shared = numbers & seen
            clash |= bool(shared - ({per_record(after["episode"])[0].item()} if goes_on[-1] else set()))
        seen |= numbers
    if not clash:
        return
    count = 0
    for table, continued in zip(tables, goes_on, strict=True):
        episode = per_record(table["episode"])
        starts = np.concatenate([[not continued], episode[1:] != episode[:-1]])
        table["episode"] = count - 1 + np.cumsum(starts)
        count += int(starts.sum())


def _goes_on(before: Table, after: Table) -> bool:
    """Whether the first record of a file is the one after the last of the file before."""
    if per_record(before["episode"])[-1] != per_record(after["episode"])[0]:
        return False
    if not {"reward", *MATRICES} <= set(before):
        return False
    flags = {name: before[name] for name in FLAGS if name in before}
    if end_flags(flags, len(before["reward"]))[2][-1]:
        return False
    return np.array_equal(before["next_obs"][-1], after["obs"][0])
