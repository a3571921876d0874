"""Where Minari's data sets lie on disk."""

import os
from pathlib import Path

from worldrex.data.findings import escaped, quote, some_of
from worldrex.data.readers.folders import inside, natural
from worldrex.data.transitions import DataError

FILE = "main_data.hdf5"
BY_ID = "minari:"


def find_by_id(log: str) -> Path:
    """The folder of `minari:NAME` under MINARI_DATASETS_PATH or ~/.minari/datasets. Raises DataError."""
    name = log.removeprefix(BY_ID)
    root = Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        raise DataError(
            f"{quote(log)} leads out of Minari's folder {root}. worldrex needs a data set's id, such as "
            "minari:D4RL/pen/human-v2, or a path."
        )
    folder = inside(root, *parts)
    if not os.path.isdir(folder):
        there = [escaped(str(found.relative_to(root))) for found in find_datasets(root)] if root.is_dir() else []
        raise DataError(
            f"there is no Minari data set {quote(name)} in {root}; there: {some_of(sorted(there)) or 'none'}. "
            "Download it with Minari, set MINARI_DATASETS_PATH, or give a path."
        )
    return folder


def find_datasets(folder: Path) -> list[Path]:
    """The data sets in a folder of data sets, in natural order."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if Path(parent).name == "data" and FILE in files:
            found.append(Path(parent).parent)
            folders.clear()
    return sorted(found, key=lambda path: natural(str(path)))
