"""Files written whole or not at all, and strict JSON."""

import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


class RunError(ValueError):
    """A folder that a run cannot use; the message says what came and what to do instead."""


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path` only when the block ends well: never half of it, and never an old half.

    **Raises:** `RunError` where it cannot be written (no such folder, no permission, a full disk).
    """
    path = Path(path)
    # A hidden sibling, so that os.replace stays within one file system; its short name fits wherever `path` fits.
    unfinished = path.parent / f".{uuid.uuid4().hex}.unfinished"
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}. Nothing was changed there: choose a folder that exists and "
            "is writable, on a disk with room."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write strict JSON, whole or not at all; what is not finite becomes null. **Raises:** `RunError`."""
    text = json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    with atomic_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def plain(content: Any) -> Any:
    """`content` as strict JSON has it: arrays and tuples as lists, paths as strings, what is not finite as None."""
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple | set):
        return [plain(value) for value in content]
    if hasattr(content, "tolist"):
        return plain(content.tolist())
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if content is None or isinstance(content, str | int | bool):
        return content
    return str(content)


def check_file(path: Path, *, flag: str = "--out") -> None:
    """Raise `RunError` unless `path`, given by `flag`, is a new file's name in a folder that exists and is writable."""
    if path.exists():
        raise RunError(f"{path} exists and is never overwritten. Choose another {flag}.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise RunError(f"{path.parent} is not a folder that exists and is writable. Choose another {flag}.")
