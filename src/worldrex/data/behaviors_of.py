"""Which policy logged each record: from a column, a rule, a list of episodes, or else the log's name."""

import csv
import os
import re
from collections.abc import Sequence

import numpy as np

from worldrex.data.findings import plural, quote, some_of
from worldrex.data.options import LoadOptions
from worldrex.data.transitions import DataError

RULES = ("behavior_cycle", "behavior_pattern", "behaviors", "behavior_column")

Parts = Sequence[tuple[str, int]]
Behaviors = tuple[np.ndarray, tuple[str, ...]]


def require_one_source(options: LoadOptions, logs: int) -> None:
    """Raise DataError where `options` name more than one source of behaviors, or one that `logs` logs cannot have."""
    given = [f"{name} ({getattr(options, name)})" for name in RULES if getattr(options, name) is not None]
    if len(given) > 1:
        raise DataError(
            f"there came {' and '.join(given)}, and each says by itself which policy logged an episode. "
            "worldrex needs one of them: leave the others out."
        )
    if options.behaviors is not None and logs > 1:
        raise DataError(
            f"behaviors ({options.behaviors}) numbers the episodes of one log, and there came {logs}. worldrex cannot "
            "tell whose episodes are meant: load them one by one, or give each log a column behavior."
        )


def behaviors_of(
    column: np.ndarray | None,
    column_names: np.ndarray | None,
    episode: np.ndarray,
    *,
    options: LoadOptions,
    source: str,
    unlabeled: str,
    parts: Parts = (),
) -> Behaviors:
    """Each record's behavior as an id from 0, and the behaviors' names.

    Arguments:
        column: [record] the log's own labels, numbers or names; None where it has none.
        column_names: [behavior] names of the numbers in `column`, where the log has them.
        episode: [record] as the log numbers them.
        options: the sources of behaviors that were given.
        source: how an error calls the data.
        unlabeled: name of the log, and of its behavior where nothing else says one.
        parts: name and number of records of each file, for a log of several files.

    Raises DataError where two sources conflict, or where the one given says nothing about some record.
    """
    rule = next((name for name in RULES[:3] if getattr(options, name) is not None), None)
    if column is not None and rule is not None:
        said, short = _in_words(options, rule)
        raise DataError(
            f"{source} has a column behavior, and {said} was given. "
            f"worldrex needs one or the other: leave out the {short}, or remove the column."
        )
    if rule == "behavior_cycle":
        return _by_turns(episode, options.behavior_cycle or 0)
    if rule == "behavior_pattern":
        named = [_matched(str(options.behavior_pattern), name) for name, _ in (parts or ((unlabeled, len(episode)),))]
        names = tuple(dict.fromkeys(named))
        counts = [count for _, count in parts] or [len(episode)]
        return np.repeat([names.index(name) for name in named], counts), names
    if rule == "behaviors" and options.behaviors is not None:
        return _listed(episode, options.behaviors, source)
    if column is not None:
        return _numbered(column, column_names)
    return np.zeros(len(episode)), (unlabeled,)


def _in_words(options: LoadOptions, rule: str) -> tuple[str, str]:
    value = getattr(options, rule)
    if rule == "behavior_cycle":
        return f"a behavior cycle of {value}", "cycle"
    return (f"the pattern {value!r}", "pattern") if rule == "behavior_pattern" else (f"the list {value}", "list")


def _by_turns(episode: np.ndarray, cycle: int) -> Behaviors:
    if cycle < 1:
        raise DataError(f"the behavior cycle is {cycle}. worldrex needs the number of behaviors, 1 or more.")
    order = np.concatenate([[0], np.cumsum(episode[1:] != episode[:-1])])
    if order[-1] + 1 < cycle:
        raise DataError(
            f"the behavior cycle is {cycle}, and the log has {plural(int(order[-1]) + 1, 'episode')}. worldrex needs an episode "
            "of each behavior: say how many took turns."
        )
    return order % cycle, tuple(f"behavior {i}" for i in range(cycle))


def _matched(pattern: str, name: str) -> str:
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise DataError(
            f"behavior_pattern {quote(pattern)} is not a regular expression: {error}. Give one such as 'run-(\\w+)-\\d+'."
        ) from error
    if match is None:
        raise DataError(
            f"behavior_pattern {quote(pattern)} is not found in the name {quote(name)}. worldrex needs a behavior for "
            "each log: widen the pattern, or rename the log."
        )
    found = match.group(1) if match.re.groups else match.group(0)
    if not found:
        raise DataError(
            f"behavior_pattern {quote(pattern)} finds nothing of the name {quote(name)} for the behavior. "
            "worldrex needs a group that holds at least one character: change the pattern."
        )
    return found


def _listed(episode: np.ndarray, path: str | os.PathLike[str], source: str) -> Behaviors:
    name_of = _read_list(path)
    distinct, place = np.unique(episode, return_inverse=True)
    keys = [_key(number) for number in distinct.tolist()]
    missing = [key for key in keys if key not in name_of]
    if missing:
        named = some_of([_shown(key) for key in missing])
        raise DataError(
            f"{str(path)!r} has no behavior for {plural(len(missing), 'episode')} of {source}: {named}. "
            "worldrex needs a row for every episode, numbered as in the log (from 0 where it has no column episode)."
        )
    names = tuple(sorted({name_of[key] for key in keys}))
    number_of = {name: number for number, name in enumerate(names)}
    return np.array([number_of[name_of[key]] for key in keys])[place], names


def _read_list(path: str | os.PathLike[str]) -> dict[str, str]:
    """Episode (a whole number without its zeros in front, or a name) to behavior."""
    name_of: dict[str, str] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or []
            if "episode" not in columns or "behavior" not in columns:
                came = some_of([quote(name, 30) for name in columns]) or "an empty file"
                raise DataError(f"{str(path)!r} needs the columns episode and behavior; there came {came}.")
            for row in rows:
                key, name = _key(row["episode"] or ""), row["behavior"] or ""
                if not key or not name:
                    raise DataError(
                        f"{str(path)!r} has a row without episode or behavior at line {rows.line_num}: complete it."
                    )
                if name_of.setdefault(key, name) != name:
                    raise DataError(
                        f"{str(path)!r} gives episode {_shown(key)} to {quote(name_of[key])} and to {quote(name)}. "
                        "worldrex needs one behavior per episode: remove one of the rows."
                    )
    except OSError as error:
        raise DataError(
            f"cannot read {str(path)!r}: {error.strerror or error}. Check the path of behaviors."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{str(path)!r} is not a CSV file in UTF-8 ({error}). worldrex needs one with the columns episode and "
            "behavior: export it again."
        ) from error
    return name_of


def _shown(key: str) -> str:
    """A number as it is, and a name, which may be anything, in quotes."""
    return key if key.lstrip("+-").isdecimal() and len(key) < 30 else quote(key)


def _key(episode: object) -> str:
    """One spelling for 7, 7.0 and "007"."""
    text = episode.decode("utf-8", "surrogateescape") if isinstance(episode, bytes) else str(episode).strip()
    try:
        number = float(text)
        return str(int(text)) if text.lstrip("+-").isdecimal() else str(int(number)) if number.is_integer() else text
    except (ValueError, OverflowError):
        return text


def _numbered(values: np.ndarray, names: np.ndarray | None) -> Behaviors:
    if values.dtype.kind in "biuf" and names is not None:
        return values, tuple(_text(name) for name in names.reshape(-1))
    distinct, ids = np.unique(values, return_inverse=True)
    named = distinct.dtype.kind in "SU"
    return ids, tuple(_text(value) if named else f"behavior {int(value)}" for value in distinct)


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
