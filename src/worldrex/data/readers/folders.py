"""Files inside a folder: in natural order, and none that lies elsewhere."""

import json
import os
import re
from pathlib import Path
from typing import Any

from worldrex.data.findings import damaged
from worldrex.data.transitions import DataError


def inside(folder: Path, *names: str) -> Path:
    """The path of a file or folder within `folder`. Raises DataError where a link leads elsewhere on the way."""
    path = folder
    for name in names:
        path = path / name
        _refuse_link(path, folder)
    return path


def files_under(folder: Path, *names: str) -> list[Path]:
    """All files below `folder/names...`, part 2 before part 10; hidden ones and those that begin with _ are left out.

    Raises DataError for links, which could lead out of the folder or to the same records twice.
    """
    top = inside(folder, *names)
    files = []
    for parent, folders, inside_it in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        shown = [name for name in inside_it if not name.startswith((".", "_"))]
        for name in (*folders, *shown):
            _refuse_link(Path(parent, name), folder)
        files += [path for path in (Path(parent, name) for name in shown) if path.is_file()]
    return sorted(files, key=lambda path: natural(str(path.relative_to(top))))


def natural(name: str) -> list[tuple[bool, int, str]]:
    """A key to sort names by in which numbers count as numbers."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"([0-9]+)", name)]


def read_json(path: Path) -> dict[str, Any]:
    """A folder's JSON file. Raises DataError where it cannot be read or is no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, "JSON", error) from error
    return content


def _refuse_link(path: Path, folder: Path) -> None:
    if os.path.islink(path):
        raise DataError(
            f"{str(path)!r} leads out of its place in {str(folder)!r}: it is a link. worldrex reads only what lies in the "
            "folder itself: copy it there (cp -rL follows links), and load the copy."
        )
