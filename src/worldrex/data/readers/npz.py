"""NumPy archives: arrays named as the columns, which is also how NeoRL-2 stores its logs."""

import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from worldrex.data import npy_header
from worldrex.data.columns import NAMES
from worldrex.data.findings import damaged
from worldrex.data.npy_header import declared_bytes, quiet
from worldrex.data.options import LoadOptions
from worldrex.data.readers.limits import require_room
from worldrex.data.readers.reading import Reading
from worldrex.data.transitions import DataError
from worldrex.data.wide_columns import TIMES, choose_columns, combine_arrays, left_out

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # a zip archive, and one without members
DAMAGE = (*npy_header.DAMAGE, zipfile.BadZipFile, zlib.error, NotImplementedError)  # also what zipfile raises


def read(path: Path, options: LoadOptions) -> Reading:
    """The arrays with known names; for a required one that is missing, the others' names stay visible as empty arrays.

    Raises DataError for a damaged archive, for one that declares more than it can hold, and for arrays of Python
    objects, which are never unpickled.
    """
    try:
        with quiet(), open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            chosen = choose_columns(names, options.behavior_column, repr(str(path)))
            members = [member for components in chosen.values() for member in components]
            members += [NAMES] * (NAMES in names and options.behavior_column is None)
            _require_room(archive, members, path)
            arrays = {member: _member(archive, member, path) for member in members if member not in TIMES}
            arrays |= {member: _times(archive, member) for member in members if member in TIMES}
    except DataError:
        raise
    except DAMAGE as error:
        raise damaged(path, "NPZ", error) from error
    columns = left_out(names, arrays) | combine_arrays(arrays, chosen, repr(str(path)))
    neorl = "done" in arrays and "truncated" in arrays and "terminated" not in arrays
    return Reading("NPZ in NeoRL's layout" if neorl else "NPZ", columns)


def _require_room(archive: np.lib.npyio.NpzFile, members: list[str], path: Path) -> None:
    """Refuse an archive that expands to too much, and a member whose header declares more than there is of it."""
    assert archive.zip is not None
    entries = {member: f"{member}.npy" if f"{member}.npy" in archive.zip.namelist() else member for member in members}
    sizes = {member: archive.zip.getinfo(entry).file_size for member, entry in entries.items()}
    require_room(sum(sizes.values()), path.stat().st_size, path)
    for member, size in sizes.items():
        if archive.zip.getinfo(entries[member]).compress_type not in METHODS:
            raise ValueError(f"its member {member} is packed in a way that NumPy never does")
        with archive.zip.open(entries[member]) as file:
            magic = file.read(np.lib.format.MAGIC_LEN)
            if not magic.startswith(np.lib.format.MAGIC_PREFIX):
                raise zipfile.BadZipFile(f"its member {member} is not an array")
            declared = declared_bytes(file, magic[-2])
        if declared > size:
            raise ValueError(f"its member {member} declares {declared:,} bytes and has {size:,}")


def _times(archive: np.lib.npyio.NpzFile, member: str) -> np.ndarray:
    """An array of numbers or dates; of other things, which are not unpickled, an empty one: no log is refused for it."""
    with suppress(ValueError):
        values = archive[member]
        if values.dtype.kind in "biufmM" and values.ndim:
            return values
    return np.empty(0)


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
