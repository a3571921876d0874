"""Files of logged transitions, recognized by what is in them."""

import os
from collections import Counter
from pathlib import Path

from worldrex.data.columns import from_columns
from worldrex.data.readers import npz, parquet
from worldrex.data.transitions import DataError, Transitions, concatenate
from worldrex.data.validate import require_valid

READERS = (parquet, npz)


def load(*paths: str | os.PathLike[str], behavior_cycle: int | None = None) -> Transitions:
    """The records of one or more files, checked: Parquet or NPZ, recognized by content and not by suffix.

    Arguments:
        paths: files, each with obs, action, reward and next_obs. A file without a column `behavior` was logged by one
            behavior, called like the file without its suffix.
        behavior_cycle: in files without that column, episode i of a file was logged by "behavior {i % behavior_cycle}".

    Returns all records in order; behaviors of the same name are one behavior, episodes are numbered anew if there are
    several files.
    Raises DataError for a file that is missing, empty, damaged, of another format, or that has errors in its values.
    """
    return _load(paths, behavior_cycle, checked=True)


def load_unchecked(*paths: str | os.PathLike[str], behavior_cycle: int | None = None) -> Transitions:
    """As `load`, but values (NaN, continuity) may be wrong: for looking at what `validate` finds in them."""
    return _load(paths, behavior_cycle, checked=False)


def _load(paths: tuple[str | os.PathLike[str], ...], behavior_cycle: int | None, *, checked: bool) -> Transitions:
    files = [Path(path) for path in paths]
    if not files:
        raise DataError("no file was given. worldrex needs at least one file of logged transitions.")
    for file, times in Counter(file.resolve() for file in files).items():
        if times > 1:
            raise DataError(
                f"{str(file)!r} was given {times} times. worldrex needs each record once: name the file once."
            )
    stems = Counter(file.stem for file in files)
    parts = []
    for file in files:
        name = file.stem if stems[file.stem] == 1 else f"{file.resolve().parent.name}/{file.stem}"
        columns = _reader(file).read_columns(file)
        part = from_columns(columns, source=repr(str(file)), unlabeled=name, behavior_cycle=behavior_cycle)
        if checked:
            require_valid(part, source=repr(str(file)))
        parts.append(part)
    return parts[0] if len(parts) == 1 else concatenate(parts)


def _reader(path: Path):
    """The reader whose first bytes the file has."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DataError(
            f"cannot read {str(path)!r}: {error.strerror or error}. worldrex needs a file that exists and is readable: "
            "check the path."
        ) from error
    if not start:
        raise DataError(
            f"{str(path)!r} is empty (0 bytes). worldrex needs logged transitions: copy or export it again."
        )
    for reader in READERS:
        if start.startswith(reader.MAGICS):
            return reader
    raise DataError(
        f"{str(path)!r} is neither a Parquet nor an NPZ file (it starts with {start!r}). "
        "worldrex reads these two: convert the log, or, if it is one of them, copy it again, for it is damaged."
    )
