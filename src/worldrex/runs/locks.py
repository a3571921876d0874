"""One process at a time in a folder, by a lock that the system takes back from a process that is killed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

# `is_held` has the lock for an instant itself.
_TRIES, _SECONDS = 5, 0.02

Taken = Literal["ours", "another's", "no locks here"]


@contextmanager
def held(path: Path) -> Iterator[Taken]:
    """Hold a lock on the file `path` while the block runs, where no other process does and the file system has locks."""
    try:
        import fcntl
    except ImportError:
        yield "no locks here"
        return
    with open(path, "rb") as file:
        yield _take(fcntl.LOCK_EX, file.fileno())


def is_held(path: Path) -> bool | None:
    """Whether a process of this machine holds the lock on `path`; None where that cannot be known."""
    try:
        import fcntl

        with open(path, "rb") as file:
            taken = _take(fcntl.LOCK_SH, file.fileno(), tries=1)
    except (ImportError, OSError):
        return None
    return None if taken == "no locks here" else taken == "another's"


def _take(kind: int, descriptor: int, *, tries: int = _TRIES) -> Taken:
    import fcntl

    for remaining in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if remaining:
                time.sleep(_SECONDS)
        except OSError:
            return "no locks here"
        else:
            return "ours"
    return "another's"
