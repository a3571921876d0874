"""Logs beyond memory: a folder of NPY files, used where they lie on disk.

What a record holds of floats lies side by side in one row of `records.npy` (obs, action, next_obs, reward), so that a
record is one place of the disk to read; what is looked at column by column (labels and ends) has files of its own.
`columns.json` is written last: a folder without it is no log.
"""

import json
import mmap
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from worldrex.data.findings import quote, reason_of
from worldrex.data.npy_header import DAMAGE, declared_bytes, quiet
from worldrex.data.transitions import COLUMNS, ROWS_AT_ONCE, DataError, Transitions
from worldrex.runs import RunError, write_json

FILE = "columns.json"
FORMAT = 2
KEYS = ("format", "records", "obs", "action", "behavior_names")
RECORDS = ("obs", "action", "next_obs", "reward")
LABELS = {"terminated": np.bool_, "truncated": np.bool_, "episode": np.int32, "behavior": np.int32}
TYPES = {"records": np.float32, **LABELS}
HEADER = 256  # bytes, room for any shape
MOST_RESIDENT = 600_000_000
WATCH_SECONDS = 0.01
STATUS = Path("/proc/self/statm")


def write_mapped(parts: Iterable[Transitions], path: str | os.PathLike[str]) -> int:
    """Write the records of all parts, one part in memory at a time; the folder appears whole or not at all.

    Behaviors of the same name are one behavior, and episodes are numbered from 0 anew.

    Arguments:
        parts: logs of the same system, each checked.
        path: of a folder that does not exist.

    Returns the number of records.
    Raises DataError for no records or parts of other widths, RunError where the folder cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise RunError(f"{path} exists and is never overwritten. Choose another --out.")
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        content = _write(parts, unfinished)
        if not content["records"]:
            raise DataError("there are no records to write. worldrex needs at least one log with records.")
        write_json(unfinished / FILE, {"format": FORMAT, **content})
        unfinished.rename(path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}. Nothing was changed there: choose a place in a folder that "
            "exists and is writable, on a disk with room."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return content["records"]


def _write(parts: Iterable[Transitions], folder: Path) -> dict[str, Any]:
    names: dict[str, int] = {}
    widths: tuple[int, int] | None = None
    records = episodes = 0
    with ExitStack() as opened:  # closes all, also where closing one fails on a full disk
        files: dict[str, IO[bytes]] = {}
        for name in TYPES:
            files[name] = opened.enter_context(open(folder / f"{name}.npy", "xb"))
            files[name].write(bytes(HEADER))
        for number, part in enumerate(parts):
            found = part.obs.shape[1], part.action.shape[1]
            widths = widths or found
            if found != widths:
                raise DataError(
                    f"log {number + 1} has obs and action of widths {found}, the first one {widths}. worldrex needs "
                    "the same columns everywhere: write together only logs of the same system."
                )
            ids = np.array([names.setdefault(name, len(names)) for name in part.behavior_names], np.int32)
            distinct, episode = np.unique(part.episode, return_inverse=True)
            told: dict[str, np.ndarray] = {
                "records": np.column_stack([getattr(part, name) for name in RECORDS]),
                "terminated": part.terminated,
                "truncated": part.truncated,
                "episode": episode + episodes,
                "behavior": ids[part.behavior],
            }
            for name, file in files.items():
                np.asarray(told[name], TYPES[name]).tofile(file)
            records, episodes = records + len(part), episodes + len(distinct)
        obs, action = widths or (0, 0)
        for name, file in files.items():
            file.seek(0)
            file.write(_header(TYPES[name], (records, 2 * obs + action + 1) if name == "records" else (records,)))
            file.flush()
            os.fsync(file.fileno())
    return {"records": records, "obs": obs, "action": action, "behavior_names": list(names)}


def _header(dtype: Any, shape: tuple[int, ...]) -> bytes:
    """An NPY header of version 1 that fills its room."""
    text = repr({"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape})
    magic = np.lib.format.magic(1, 0)
    room = HEADER - len(magic) - 2
    return magic + room.to_bytes(2, "little") + text.ljust(room - 1).encode() + b"\n"


def read_mapped(path: Path) -> Transitions:
    """The log in such a folder, its columns read-only and where they lie: nothing is read before it is used.

    Values are not checked: they were before the folder was written.

    Raises DataError for a folder that is damaged, or of another version.
    """
    try:
        content = _described(path)
        if content["format"] != FORMAT:
            raise DataError(
                f"{str(path)!r} is of format {quote(content['format'])}, and this worldrex reads {FORMAT}: install the worldrex "
                "that wrote it, or convert the log again."
            )
        names, records, widths = content["behavior_names"], content["records"], (content["obs"], content["action"])
        if not all(type(number) is int and number > 0 for number in (records, *widths)):
            raise ValueError(f"{FILE} tells of {quote(records)} records of widths {quote(widths)}")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"the behavior_names of {FILE} are no names")
        if len(set(names)) < len(names):
            raise ValueError(f"{FILE} has a behavior name twice")
        obs, action = widths
        with quiet():
            matrix = _column(path, "records", (records, 2 * obs + action + 1))
            columns = {name: _column(path, name, (records,)) for name in LABELS}
        columns |= zip(RECORDS, np.split(matrix, (obs, obs + action, 2 * obs + action), axis=1), strict=True)
        columns["reward"] = columns["reward"][:, 0]
        behavior = columns["behavior"]
        if behavior.min() < 0 or behavior.max() >= len(names):
            raise ValueError(
                f"behavior.npy has numbers from {behavior.min()} to {behavior.max()}, and {FILE} {len(names):,} names"
            )
    except DataError:
        raise
    except DAMAGE as error:
        told = f"{Path(str(error.filename)).name}: {error.strerror}" if isinstance(error, OSError) else reason_of(error)
        raise DataError(
            f"{str(path)!r} is a converted log that is not whole: {told}. worldrex needs the folder as `worldrex convert` wrote "
            "it: copy it again, or convert the log again."
        ) from error
    return Transitions(**columns, behavior_names=tuple(names))


def _described(folder: Path) -> dict[str, Any]:
    """What `columns.json` tells. Raises DAMAGE."""
    if (folder / FILE).is_symlink():
        raise ValueError(f"{FILE} is a link")
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{FILE} is no JSON ({reason_of(error)})") from error
    lacks = [key for key in KEYS if not isinstance(content, dict) or key not in content]
    if lacks:
        raise ValueError(f"{FILE} does not tell {', '.join(lacks)}")
    return content


def _column(folder: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    file = folder / f"{name}.npy"
    if file.is_symlink():
        raise ValueError(f"{file.name} is a link")
    with open(file, "rb") as opened:
        magic = opened.read(np.lib.format.MAGIC_LEN)
        if len(magic) < np.lib.format.MAGIC_LEN or not magic.startswith(np.lib.format.MAGIC_PREFIX):
            raise ValueError(f"{file.name} does not begin as an array does")
        if declared_bytes(opened, magic[-2]) > file.stat().st_size:
            raise ValueError(f"{file.name} is cut off, or says that it holds more than it has")
    try:
        values = np.lib.format.open_memmap(file, mode="r")
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{file.name} is cut off or no array of numbers ({reason_of(error)})") from error
    if values.dtype != TYPES[name] or values.shape != shape:
        raise ValueError(
            f"{file.name} holds {quote(values.dtype)} of shape {values.shape}, and {FILE} tells of {np.dtype(TYPES[name])} of "
            f"shape {shape}"
        )
    # A plain array of the mapped memory: memmap's own type costs time at every look.
    return values.view(np.ndarray)


def part_of(data: Transitions, number: int, of: int) -> Transitions:
    """The part of this number of a log cut into so many, whole episodes each and about as many records.

    Raises DataError for fewer episodes than parts.
    """
    if of == 1:
        return data
    edges = [_next_episode(data.episode, len(data) * k // of) for k in (number, number + 1)]
    if edges[0] == edges[1]:
        raise DataError(
            f"{of} processes share a log of {len(data):,} records, and its episodes are too long for each to have one. worldrex "
            "needs at least one episode for each: start fewer processes."
        )
    return data.rows(slice(*edges))


def _next_episode(episode: np.ndarray, row: int) -> int:
    """The first row from this one on that begins an episode, or the number of rows."""
    if row == 0:
        return 0
    for start in range(row, len(episode), ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, len(episode))
        begins = np.flatnonzero(episode[start:stop] != episode[start - 1 : stop - 1])
        if len(begins):
            return start + int(begins[0])
    return len(episode)


def maps_of(data: Transitions) -> list[mmap.mmap]:
    """The mapped files that a log's columns lie in; none for one in memory."""
    found: dict[int, mmap.mmap] = {}
    for name in COLUMNS:
        base: Any = getattr(data, name)
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap):
            found[id(base)] = base
    return list(found.values())


@contextmanager
def resident(data: Transitions, most: int = MOST_RESIDENT) -> Iterator[None]:
    """Within the block, keep what looking at mapped files takes of the memory below about `most` bytes.

    Pages that were looked at are given back from time to time; looked at again, they come from the disk's cache. Nothing
    happens for a log in memory, and where the system cannot do it.
    """
    if not maps_of(data) or not hasattr(mmap, "MADV_DONTNEED") or not STATUS.exists():
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            if _file_pages() * mmap.PAGESIZE > most:
                release(data)

    thread = threading.Thread(target=watch, name="resident", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def release(data: Transitions) -> None:
    """Give back what looking at mapped files took of the memory; nothing happens for a log in memory."""
    for room in maps_of(data):
        if hasattr(mmap, "MADV_DONTNEED"):
            room.madvise(mmap.MADV_DONTNEED)


def _file_pages() -> int:
    return int(STATUS.read_text().split()[2])
