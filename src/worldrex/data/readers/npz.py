"""NumPy archives: arrays named as the columns, which is also how NeoRL-2 stores its logs."""

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from worldrex.data.columns import KNOWN
from worldrex.data.findings import damaged
from worldrex.data.transitions import DataError

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # a zip archive, and one without members
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, EOFError, OSError, KeyError, ValueError),
    *(RuntimeError, NotImplementedError, OverflowError, MemoryError, SyntaxError, TypeError),
)  # what zipfile and numpy raise on bytes that are not as they should be


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """The arrays with known names; for a required one that is missing, the others' names stay visible as empty arrays.

    Raises DataError for a damaged archive and for arrays of Python objects, which are never unpickled.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: _member(archive, name, path) if name in KNOWN else np.empty(0) for name in archive.files}
    except DataError:
        raise
    except DAMAGE as error:
        raise damaged(path, "NPZ", error) from error


def _member(archive: np.lib.npyio.NpzFile, name: str, path: Path) -> np.ndarray:
    try:
        values = archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{str(path)!r} holds {name} as pickled Python objects, which can run any program when they are read. "
            f"worldrex needs plain numbers: save {name} with a numeric dtype, rows of equal width."
        ) from error
    if not isinstance(values, np.ndarray):
        raise zipfile.BadZipFile(f"its member {name} is not an array")
    return values
