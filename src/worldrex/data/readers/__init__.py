"""Logs of transitions, recognized by what is in them."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from worldrex.data.behaviors_of import require_one_source
from worldrex.data.columns import from_columns
from worldrex.data.episode_ends import Completed, complete_next_obs
from worldrex.data.findings import Finding, plural, quote, raise_errors, some_of
from worldrex.data.mapped import part_of, read_mapped
from worldrex.data.options import LoadOptions, with_cycle
from worldrex.data.readers.frames import Frame, read_frame, read_mapping
from worldrex.data.readers.reading import Reading
from worldrex.data.readers.recognition import find_logs, reader, recognize
from worldrex.data.timestamps import find_disorder
from worldrex.data.transitions import DataError, Transitions, concatenate
from worldrex.data.validate import require_valid
from worldrex.data.wide_columns import unused

Found = Path | Mapping[str, Any] | Frame
WIDTHS = ("obs_dims", "action_dims")
Log = str | os.PathLike[str] | Mapping[str, Any] | Frame


def load(
    *logs: Log,
    behavior_cycle: int | None = None,
    options: LoadOptions | None = None,
    say: Callable[[str], None] | None = None,
    part: tuple[int, int] = (0, 1),
) -> Transitions:
    """The records of one or more logs, checked: files and folders are recognized by content and not by suffix.

    Arguments:
        logs: files (Parquet, CSV, NPZ, a flat NPY matrix, HDF5 in D4RL's layout), folders (Parquet files, a Minari or
            LeRobot data set), `minari:ID` for a Minari data set by its id, mappings of arrays, data frames (pandas,
            polars). A log without a column `behavior` was logged by one behavior, called like the file without its
            suffix, or like the folder. Where next_obs is missing it comes from the next row of the episode, and the last
            record of each episode is dropped.
        behavior_cycle: in logs without that column, episode i of a log was logged by "behavior {i % behavior_cycle}".
        options: other sources of behaviors, and widths; `behavior_cycle` is short for the option of that name.
        say: called with a line for each log: what it was taken for, its records, how many steps were dropped, and which
            columns were left out.
        part: (k, n) for the k-th, from 0, of n parts of the logs in order, of a converted log's episodes; the others are not
            read.

    Returns all records in order; behaviors of the same name are one behavior, episodes are numbered anew if there are
    several logs.
    Raises DataError for a log that is missing, empty, damaged, of another format, or that has errors in its values, and
    where a column `timestamp` or `time` shows that rows of an episode are out of order.
    """
    return _load(logs, with_cycle(options, behavior_cycle), say, None, checked=True, part=part)


def load_each(
    *logs: Log, options: LoadOptions | None = None, say: Callable[[str], None] | None = None
) -> Iterator[Transitions]:
    """As `load`, one log after the other: what is done with the first is done before the second is read."""
    options = options or LoadOptions()
    given = _given(logs, options)
    for log, name in given:
        if isinstance(log, Path) and recognize(log) == "mapped":
            yield _in_place(log, 1, options, say)
        else:
            yield _read_one(log, name, len(given), options, say, None, checked=True)


def load_unchecked(
    *logs: Log,
    behavior_cycle: int | None = None,
    options: LoadOptions | None = None,
    say: Callable[[str], None] | None = None,
    found: Callable[[Finding], None] | None = None,
) -> Transitions:
    """As `load`, but values (NaN, continuity) may be wrong: for looking at what `validate` finds in them.

    `found` is called with each finding that only the log itself shows, and the Transitions do not: times out of order, or
    that are none.
    """
    return _load(logs, with_cycle(options, behavior_cycle), say, found, checked=False)


def _load(
    logs: tuple[Log, ...], options: LoadOptions, say: Callable[[str], None] | None,
    found: Callable[[Finding], None] | None, *, checked: bool, part: tuple[int, int] = (0, 1),
) -> Transitions:  # fmt: skip
    given = _given(logs, options)
    for log, _ in given if len(given) == 1 else _part_of(given, *part):
        if isinstance(log, Path) and recognize(log) == "mapped":
            return part_of(_in_place(log, len(given), options, say), *part)
    chosen = _part_of(given, *part)
    parts = [_read_one(log, name, len(given), options, say, found, checked=checked) for log, name in chosen]
    return parts[0] if len(parts) == 1 else concatenate(parts)


def _given(logs: tuple[Log, ...], options: LoadOptions) -> list[tuple[Found, str]]:
    """Each log, and what it is called."""
    given = [found for log in logs for found in _found(log)]
    if not given:
        raise DataError("no file was given. worldrex needs at least one file of logged transitions.")
    require_one_source(options, len(given))
    _require_use_of_widths(options, given)
    return list(zip(given, _names(given), strict=True))


def _require_use_of_widths(options: LoadOptions, logs: list[Found]) -> None:
    """Raise DataError for widths where no log needs any: whoever gives them takes the log for another one."""
    widths = [f"{name} ({getattr(options, name)})" for name in WIDTHS if getattr(options, name) is not None]
    # A log that is used where it lies takes no option at all, and says so itself.
    if widths and not any(isinstance(log, Path) and recognize(log) in ("npy", "mapped") for log in logs):
        raise DataError(
            f"there came {' and '.join(widths)}, which cut a flat NPY matrix into columns, and no log given is "
            "one. worldrex takes the widths of every other log from the log: leave them out."
        )


def _read_one(
    log: Found, name: str, together: int, options: LoadOptions, say: Callable[[str], None] | None,
    found: Callable[[Finding], None] | None, *, checked: bool,
) -> Transitions:  # fmt: skip
    source = repr(str(log)) if isinstance(log, Path) else "the data" if together == 1 else f"the data of {name!r}"
    reading = _read(log, options, source)
    completed = complete_next_obs(reading.columns, source=source, parts=reading.parts)
    read = from_columns(
        completed.columns, source=source, unlabeled=reading.name or name, options=options, parts=completed.parts
    )
    disorder = find_disorder(reading.columns, reading.parts, source)
    if say is not None:
        unread = [f"{finding.column} not looked at" for finding in disorder if finding.severity == "warning"]
        words = [_in_words(reading, completed, len(read)), *unread]
        say(f"{log if isinstance(log, Path) else 'in memory'}: {', '.join(words)}")
    if found is not None:
        for finding in disorder:
            found(finding)
    if checked:
        raise_errors(disorder, source)
        require_valid(read, source=source, bounds=options.action_bounds)
    return read


def _in_place(path: Path, together: int, options: LoadOptions, say: Callable[[str], None] | None) -> Transitions:
    """A log that `worldrex convert` wrote, its columns where they lie."""
    given = ", ".join(name for name, value in options.settings().items() if value is not None)
    if together > 1 or given:
        came = f"{together} logs at once" if together > 1 else given
        raise DataError(
            f"{str(path)!r} is used where it lies on disk, and there came {came}. worldrex needs such a log by itself, its "
            "behaviors named: give all logs, and what says their behaviors, to `worldrex convert`."
        )
    data = read_mapped(path)
    if say is not None:
        say(f"{path}: a converted log, used where it lies, {plural(len(data), 'record')}")
    return data


T = TypeVar("T")


def _part_of(logs: list[T], number: int, of: int) -> list[T]:
    if len(logs) < of:
        raise DataError(
            f"{of} processes share {plural(len(logs), 'log')}; each reads logs of its own. worldrex needs at least one for each: "
            "divide them into more files, or make one of them that is shared by episodes, with `worldrex convert`."
        )
    return logs[number * len(logs) // of : (number + 1) * len(logs) // of]


def _found(log: Log) -> Iterator[Found]:
    """A log's path, or the log itself where it is in memory; of a folder of Minari data sets, each of them."""
    if isinstance(log, Mapping | Frame):
        yield log
        return
    if not isinstance(log, str | os.PathLike):
        raise DataError(
            f"there came {type(log).__name__!r} for a log. worldrex needs a path, a mapping of arrays or a data frame."
        )
    yield from find_logs(os.fspath(log))


def _read(log: Found, options: LoadOptions, source: str) -> Reading:
    if isinstance(log, Path):
        return reader(recognize(log))(log, options)
    return read_mapping(log, options, source) if isinstance(log, Mapping) else read_frame(log, options, source)


def _names(logs: list[Found]) -> list[str]:
    """What each log, and its behavior if nothing else names one, is called. Raises DataError for a path twice."""
    paths = [log for log in logs if isinstance(log, Path)]
    for path, times in Counter(os.path.realpath(path) for path in paths).items():
        if times > 1:
            raise DataError(
                f"{str(path)!r} was given {times} times. worldrex needs each record once: name the file once."
            )
    stems = {path: path.resolve().name if os.path.isdir(path) else path.stem for path in paths}
    often = Counter(stems.values())
    names, in_memory = [], 0
    for log in logs:
        if isinstance(log, Path):
            names.append(stems[log] if often[stems[log]] == 1 else f"{log.resolve().parent.name}/{stems[log]}")
        else:
            names.append(f"behavior {in_memory}")
            in_memory += 1
    return names


def _in_words(reading: Reading, completed: Completed, records: int) -> str:
    words = [reading.kind, plural(records, "record")]
    if completed.dropped:
        why = "the last of their episode, next_obs unknown"
        terminal = f"; {completed.terminal:,} of them terminal" if completed.terminal else ""
        words.append(f"{plural(completed.dropped, 'step')} dropped ({why}{terminal})")
    if names := unused(reading.columns):
        words.append(f"{plural(len(names), 'column')} left out: {some_of([quote(name, 30) for name in names])}")
    return ", ".join([*words, *reading.notes])
