"""What LeRobot's metadata say of each episode: lines in meta/episodes.jsonl (version 2), Parquet in meta/episodes (3)."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from worldrex.data.columns import NAMES, per_record
from worldrex.data.findings import damaged, plural, quote, some_of
from worldrex.data.options import LoadOptions
from worldrex.data.readers.arrow_columns import columns_of
from worldrex.data.readers.folders import inside
from worldrex.data.readers.parquet import column_names, parquet_files, read_file
from worldrex.data.readers.tables_joined import Table, join
from worldrex.data.transitions import DataError

LINES, FILES = ("meta", "episodes.jsonl"), ("meta", "episodes")
EPISODE = "episode_index"
OWN = "/"  # in the names of LeRobot's own: statistics, and where an episode lies


def episode_columns(folder: Path) -> list[str]:
    """What is told of each episode beside its number, in the metadata's order; nothing where there are none.

    Raises DataError for metadata that are damaged or lie elsewhere.
    """
    if (folder / Path(*LINES)).exists():
        names = [key for line in _lines(folder) for key in line]
    else:
        files = parquet_files(folder, *FILES) if (folder / Path(*FILES)).exists() else []
        names = [name for file in files for name in column_names(file)]
    return [name for name in dict.fromkeys(names) if name != EPISODE and OWN not in name]


def behavior_of_episodes(folder: Path, column: str, episode: np.ndarray) -> dict[str, np.ndarray]:
    """Each frame's behavior as raw columns, `behavior` and, where it is a text, `behavior_names`.

    Arguments:
        folder: a LeRobot data set whose metadata have the column.
        column: of the metadata; a list of texts, as `tasks` is, is one name.
        episode: [frame] numbers.

    Raises DataError where the metadata do not say it of every episode exactly once.
    """
    source = repr(str(folder))
    told = _table_of_lines(folder, column) if (folder / Path(*LINES)).exists() else _table_of_files(folder, column)
    if any("episode" not in has or has["episode"].dtype.kind not in "biuf" for has in (told, {"episode": episode})):
        raise DataError(
            f"{source} has metadata of episodes or frames without {EPISODE}, or with one that is no number. worldrex needs "
            "it to know who acted: download the data set again, or give a list (--behaviors)."
        )
    numbers, behavior = per_record(told["episode"]), per_record(told["behavior"])
    known, row, times = np.unique(numbers, return_index=True, return_counts=True)
    if (times > 1).any():
        raise DataError(
            f"{source} tells of {plural(int((times > 1).sum()), 'episode')} more than once in its metadata, first of "
            f"{known[np.argmax(times > 1)]}. worldrex needs one row for each: download the data set again."
        )
    used, place = np.unique(episode, return_inverse=True)
    missing = [str(number) for number in used[~np.isin(used, known)]]
    if missing:
        raise DataError(
            f"{source} has no {quote(column)} for {plural(len(missing), 'episode')} in its metadata: {some_of(missing)}. "
            "worldrex needs it of every episode: download the data set again, or give a list (--behaviors)."
        )
    behavior = behavior[row[np.searchsorted(known, used)]]
    if NAMES not in told:
        return {"behavior": behavior[place]}
    distinct, behavior = np.unique(behavior, return_inverse=True)
    return {"behavior": behavior[place], NAMES: told[NAMES][distinct]}


def _table_of_files(folder: Path, column: str) -> Table:
    options = replace(LoadOptions(), behavior_column=column)
    files = parquet_files(folder, *FILES)
    tables = [read_file(file, options, {}, {EPISODE: "episode"}) for file in files]
    return join(tables, [repr(str(file)) for file in files], repr(str(folder)), numbered_throughout=True)[0]


def _table_of_lines(folder: Path, column: str) -> Table:
    path = folder / Path(*LINES)
    lines = _lines(folder)
    try:
        table = pa.table({name: pa.array([line.get(name) for line in lines]) for name in (EPISODE, column)})
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError) as error:
        raise damaged(path, "JSON", error) from error
    return columns_of(table, {"episode": [EPISODE], "behavior": [column]}, repr(str(path)))


def _lines(folder: Path) -> list[dict]:
    path = inside(folder, *LINES)
    try:
        # Not splitlines, to which characters within a text end a line, too.
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        if not all(isinstance(line, dict) for line in lines):
            raise ValueError("a line is not a JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, "JSON", error) from error
    return lines
