"""Which reader a log is for: by its first bytes, or by what is in the folder, never by its suffix."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Literal

from worldrex.data import mapped
from worldrex.data.findings import quote, some_of
from worldrex.data.options import LoadOptions
from worldrex.data.readers import csv, minari_folders, npy, npz, parquet
from worldrex.data.readers.folders import files_under
from worldrex.data.readers.reading import Reading
from worldrex.data.transitions import DataError

Kind = Literal["mapped", "parquet", "npz", "npy", "hdf5", "minari", "lerobot", "csv"]

HDF5 = b"\x89HDF\r\n\x1a\n"
FORMATS = "Parquet, CSV, NPZ, a flat NPY matrix, HDF5 (D4RL), Minari or LeRobot"


def reader(kind: Kind) -> Callable[[Path, LoadOptions], Reading]:
    """The reader of one kind; those that need h5py are imported when they are asked for."""
    return import_module(f"worldrex.data.readers.{kind}").read


def find_logs(name: str) -> list[Path]:
    """The logs that a path stands for: itself, a Minari data set by its id, or each in a folder of them.

    Raises DataError for an id without a data set, and for what cannot be a path.
    """
    if "\0" in name:
        raise DataError(f"{quote(name)} has a NUL character. worldrex needs a path: check it.")
    by_id = name.startswith(minari_folders.BY_ID) and not os.path.exists(name)
    path = minari_folders.find_by_id(name) if by_id else Path(name)
    of_one = any(os.path.exists(path / name) for name in ("data", "meta", minari_folders.FILE))
    return (not of_one and minari_folders.find_datasets(path)) or [path]


def recognize(path: Path) -> Kind:
    """What a file or folder holds. Raises DataError where it cannot be read or holds nothing that worldrex reads."""
    try:
        if path.is_dir():
            return _recognize_folder(path)
        if path.exists() and not path.is_file():
            raise DataError(
                f"{str(path)!r} is neither a file nor a folder. worldrex needs a file that it can read twice: save the log."
            )
        with open(path, "rb") as file:
            start = file.read(8)
        if start and not start.startswith((parquet.MAGIC, *npz.MAGICS, npy.MAGIC, HDF5)) and csv.is_csv(path):
            return "csv"
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}. worldrex needs a file that exists "
            "and is readable: check the path."
        ) from error
    if not start:
        raise DataError(
            f"{str(path)!r} is empty (0 bytes). worldrex needs logged transitions: copy or export it again."
        )
    if start.startswith(parquet.MAGIC):
        return "parquet"
    if start.startswith(npz.MAGICS):
        return "npz"
    if start.startswith(npy.MAGIC):
        return "npy"
    if start.startswith(HDF5):
        return "minari" if path.name == minari_folders.FILE else "hdf5"
    if encoding := csv.other_encoding(path):
        raise DataError(
            f"{str(path)!r} is text in {encoding}, as it seems, not in UTF-8. worldrex needs CSV in UTF-8: save it so, or "
            f"convert it: `iconv -f {encoding} -t UTF-8 OLD > NEW`."
        )
    raise DataError(
        f"{str(path)!r} is none of what worldrex reads: {FORMATS} (it starts with {start!r}). Convert the log, or, if it is "
        "one of them, copy it again, for it is damaged; a CSV file needs a header of names and a row of numbers."
    )


def _recognize_folder(path: Path) -> Kind:
    if (path / mapped.FILE).exists():
        return "mapped"
    if (path / "records.npy").exists():
        raise DataError(
            f"{str(path)!r} has records.npy, as a converted log has, and no {mapped.FILE}. worldrex needs the folder as "
            "`worldrex convert` wrote it: copy it again, or convert the log again."
        )
    if (path / "meta" / "info.json").exists():
        return "lerobot"
    if (path / "data" / minari_folders.FILE).exists() or (path / minari_folders.FILE).exists():
        return "minari"
    if (path / "data" / "metadata.json").exists():
        raise DataError(
            f"{str(path)!r} is a Minari data set without data/{minari_folders.FILE}. worldrex reads those that Minari "
            "stores as HDF5: download it whole, or create it with data_format='hdf5'."
        )
    files = files_under(path)
    if any(parquet.is_parquet(file) for file in files):
        return "parquet"
    there = some_of([quote(str(file.relative_to(path)), 40) for file in files], 4) or "nothing"
    raise DataError(
        f"{str(path)!r} is a folder with {there}, and neither Parquet files nor a Minari or LeRobot data set. Name the "
        "files to load one by one, for example with a * in the shell."
    )
