"""Files that declare more than they can hold are refused before any of it is allocated."""

import os
from contextlib import suppress
from pathlib import Path

from worldrex.data.transitions import DataError

ROOM = 2**25  # bytes that any file may expand to; a log of single bytes takes fifteen times as much in the end
DENSEST = 100  # times its size: real logs compress two- to tenfold


def require_room(declared: int, stored: int, path: Path) -> None:
    """Raise DataError where reading would take more memory than there is, or than such a file can honestly hold.

    Arguments:
        declared: bytes of the arrays that the file says it has.
        stored: bytes of the file.
        path: the file.
    """
    if declared > ROOM and declared > DENSEST * stored:
        raise DataError(
            f"{str(path)!r} declares {_size(declared)} of data and has {_size(stored)}. worldrex takes it for damaged or "
            "made to fill the memory: copy or export it again, uncompressed if all is well with it."
        )
    available = _available_memory()
    if available is not None and declared > available:
        raise DataError(
            f"{str(path)!r} holds {_size(declared)} of data, and {_size(available)} of memory are free. "
            "worldrex loads a log whole: give a part of it, or use a machine with more memory."
        )


def _available_memory() -> int | None:
    """Bytes that can be allocated now; None where the system does not say."""
    with suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _size(count: int) -> str:
    return f"{count:,} bytes" if count < 2**20 else f"{count / 2**20:,.0f} MiB"
