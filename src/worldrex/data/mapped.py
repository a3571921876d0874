"""Logs beyond memory: a folder with one NPY file for each column, used where it lies on disk.

One array in one piece for each column, which begins at a multiple of 64 bytes: so XLA, too, takes it as it lies (Arrow's
files align to 8 bytes, and would be copied). `columns.json` is written last: a folder without it is no log.
"""

import json
import mmap
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from worldrex.data.findings import damaged, quote
from worldrex.data.npy_header import DAMAGE, declared_bytes, quiet
from worldrex.data.transitions import COLUMNS, DataError, Transitions
from worldrex.runs import RunError, write_json

FILE = "columns.json"
FORMAT = 1
TYPES = {"terminated": np.bool_, "truncated": np.bool_, "episode": np.int32, "behavior": np.int32}
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
        records, names = _write(parts, unfinished)
        if not records:
            raise DataError("there are no records to write. worldrex needs at least one log with records.")
        write_json(unfinished / FILE, {"format": FORMAT, "records": records, "behavior_names": names})
        unfinished.rename(path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}. Nothing was changed there: choose a place in a folder that "
            "exists and is writable, on a disk with room."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return records


def _write(parts: Iterable[Transitions], folder: Path) -> tuple[int, list[str]]:
    names: dict[str, int] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    records = episodes = 0
    files: dict[str, IO[bytes]] = {}
    try:
        for name in COLUMNS:
            files[name] = open(folder / f"{name}.npy", "xb")  # noqa: SIM115
            files[name].write(bytes(HEADER))
        for number, part in enumerate(parts):
            found = {name: getattr(part, name).shape[1:] for name in COLUMNS}
            shapes = shapes or found
            if found != shapes:
                widths = [(each["obs"][0], each["action"][0]) for each in (found, shapes)]
                raise DataError(
                    f"log {number + 1} has obs and action of widths {widths[0]}, the first one {widths[1]}. worldrex needs "
                    "the same columns everywhere: write together only logs of the same system."
                )
            ids = np.array([names.setdefault(name, len(names)) for name in part.behavior_names], np.int32)
            distinct, episode = np.unique(part.episode, return_inverse=True)
            told: dict[str, np.ndarray] = {"behavior": ids[part.behavior], "episode": episode + episodes}
            for name, file in files.items():
                np.asarray(told.get(name, getattr(part, name)), TYPES.get(name, np.float32)).tofile(file)
            records, episodes = records + len(part), episodes + len(distinct)
        for name, file in files.items():
            file.seek(0)
            file.write(_header(TYPES.get(name, np.float32), (records, *shapes.get(name, ()))))
            file.flush()
            os.fsync(file.fileno())
    finally:
        for file in files.values():
            file.close()
    return records, list(names)


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
        if (path / FILE).is_symlink():
            raise ValueError(f"{FILE} is a link")
        content = json.loads((path / FILE).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise DataError(
                f"{str(path)!r} is of format {quote(content['format'])}, and this worldrex reads {FORMAT}: install the worldrex "
                "that wrote it, or convert the log again."
            )
        if not isinstance(content["records"], int):
            raise ValueError(f"its number of records is {quote(content['records'])}")
        names = content["behavior_names"]
        with quiet():
            columns = {name: _column(path / f"{name}.npy", name, content["records"]) for name in COLUMNS}
        behavior = columns["behavior"]
        if columns["obs"].shape != columns["next_obs"].shape:
            raise ValueError("obs and next_obs are of different widths")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("its behavior names are not a list of names")
        if len(set(names)) < len(names):
            raise ValueError("a behavior name is there twice")
        if behavior.min() < 0 or behavior.max() >= len(names):
            raise ValueError("its behaviors are not among its names")
    except DataError:
        raise
    except DAMAGE as error:
        raise damaged(path, "log's folder", error) from error
    return Transitions(**columns, behavior_names=tuple(names))


def _column(file: Path, name: str, records: int) -> np.ndarray:
    if file.is_symlink():
        raise ValueError(f"{file.name} is a link")
    with open(file, "rb") as opened:
        magic = opened.read(np.lib.format.MAGIC_LEN)
        if len(magic) < np.lib.format.MAGIC_LEN or not magic.startswith(np.lib.format.MAGIC_PREFIX):
            raise ValueError(f"{file.name} is not an array")
        if declared_bytes(opened, magic[-2]) > file.stat().st_size:
            raise ValueError(f"{file.name} declares more than it has")
    values = np.lib.format.open_memmap(file, mode="r")
    dtype, dims = np.dtype(TYPES.get(name, np.float32)), 2 if name in ("obs", "action", "next_obs") else 1
    if values.dtype != dtype or values.ndim != dims or len(values) != records or not values.size:
        raise ValueError(f"{file.name} holds {values.dtype} of shape {values.shape}")
    return values


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
    maps = maps_of(data)
    if not maps or not hasattr(mmap, "MADV_DONTNEED") or not STATUS.exists():
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            if _file_pages() * mmap.PAGESIZE > most:
                for room in maps:
                    room.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=watch, name="resident", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def expect_random(data: Transitions) -> None:
    """Tell the system that records will be looked at in any order, so that it reads no more than them."""
    for room in maps_of(data):
        if hasattr(mmap, "MADV_RANDOM"):
            room.madvise(mmap.MADV_RANDOM)


def _file_pages() -> int:
    return int(STATUS.read_text().split()[2])
