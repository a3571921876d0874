"""HDF5 files: only what lies in the file itself is read, and no more than it can hold."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from worldrex.data.findings import damaged, quote
from worldrex.data.readers.folders import natural
from worldrex.data.readers.hdf5_chunks import require_whole
from worldrex.data.readers.hdf5_heaps import require_ending_heaps
from worldrex.data.readers.hdf5_texts import longest_text
from worldrex.data.readers.limits import require_room
from worldrex.data.transitions import DataError

DAMAGE = (
    zlib.error,
    OSError,
    KeyError,
    RuntimeError,
    ValueError,
    TypeError,
    MemoryError,
    OverflowError,
    AttributeError,
)


CHARACTER, OBJECT = 4, 64  # bytes of a character in a column, and of a text before


class Hdf5File:
    """An open file whose arrays are read one by one; make one with `open_hdf5`."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self.path = path
        self._file = file
        self._size = path.stat().st_size
        self._declared = 0
        self._parted: set[int] = set()

    def names(self, group: str = "/") -> list[str]:
        """What a group has, in its order."""
        found = self._find(group)
        return list(found) if isinstance(found, h5py.Group) else []

    def is_group(self, name: str) -> bool:
        """Whether there is a group of that name."""
        return isinstance(self._find(name), h5py.Group)

    def is_array(self, name: str) -> bool:
        """Whether there is an array of that name."""
        return isinstance(self._find(name), h5py.Dataset)

    def attribute(self, group: str, name: str) -> int | float | str | None:
        """A group's attribute, if it has it and it is a number or a text."""
        found = self._find(group)
        if not isinstance(found, h5py.Group) or name not in found.attrs:
            return None
        # Of an array, each text may stand for one of megabytes.
        value = found.attrs[name] if found.attrs.get_id(name).shape == () else None
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bytes):
            value = value.decode("utf-8", "surrogateescape")
        return value if isinstance(value, int | float | str) else None

    def array(self, name: str) -> np.ndarray:
        """An array; text comes as text. Raises DataError where it lies elsewhere, or is of objects."""
        found = self._find(name)
        if not isinstance(found, h5py.Dataset):
            raise DataError(f"{str(self.path)!r} has no array {quote(name)}. worldrex needs it: export the log again.")
        if found.is_virtual or found.external:
            raise self._elsewhere(name, "takes its values from other files")
        if found.chunks is not None:  # a whole chunk is unpacked, however little of it belongs to the array
            require_room(math.prod(found.chunks) * found.dtype.itemsize, self._size, self.path)
        if h5py.check_string_dtype(found.dtype) is not None:
            return self._text(found)
        if found.dtype.hasobject or found.dtype.kind not in "biuf":
            raise DataError(
                f"{str(self.path)!r}: {quote(name)} has values of type {quote(found.dtype)}, of objects or of variable length. "
                "worldrex needs plain numbers: export it with a numeric type, rows of equal width."
            )
        self.require_room(found.size * found.dtype.itemsize if found.shape is not None else 0)
        require_whole(found)
        values = found[()]
        return values if isinstance(values, np.ndarray) else np.asarray(values)

    def parts(self, group: str) -> list[str]:
        """What a group has, in natural order. Raises DataError where it comes a second time: it may hold itself."""
        found = self._find(group)
        address = h5py.h5o.get_info(found.id).addr if found is not None else 0  # pyright: ignore[reportAttributeAccessIssue]
        if address in self._parted:
            raise self._elsewhere(group, "is there more than once, under several names")
        self._parted.add(address)
        return sorted(self.names(group), key=natural)

    def require_room(self, count: int) -> None:
        """Raise DataError where so many bytes more than all before are more than the file can honestly hold."""
        self._declared += count
        require_room(self._declared, self._size, self.path)

    def _text(self, found: h5py.Dataset) -> np.ndarray:
        # Text is written out with four bytes for each character, as wide as the longest.
        if found.compression == "lzf":
            raise DataError(
                f"{str(self.path)!r}: {quote(found.name)} is text packed with LZF, and how long it is shows only when it is "
                "unpacked. worldrex needs text that is not packed, or with gzip: write it so (h5repack -f GZIP=4)."
            )
        size, fixed = found.size or 0, h5py.check_string_dtype(found.dtype).length
        self.require_room(size * (CHARACTER * found.dtype.itemsize + OBJECT))
        require_whole(found)
        self.require_room(0 if fixed else CHARACTER * size * longest_text(found, self.path))
        return np.array(found.asstr(errors="surrogateescape")[()]).astype(str)

    def _find(self, name: str) -> h5py.Group | h5py.Dataset | None:
        found: h5py.Group | h5py.Dataset = self._file
        for part in name.strip("/").split("/"):
            if not part:
                continue
            if not isinstance(found, h5py.Group):
                return None
            link = found.get(part, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise self._elsewhere(name, "is a link to another place")
            found = found[part]  # pyright: ignore[reportAssignmentType]
        return found

    def _elsewhere(self, name: str, what: str) -> DataError:
        return DataError(
            f"{str(self.path)!r}: {quote(name)} {what}. worldrex reads only what lies in the file itself: write a copy that "
            "holds the values (h5repack, or h5py's file.copy with expand_external=True), and load that."
        )


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5File]:
    """The file, open for reading. Whatever its library raises within the block becomes one DataError."""
    try:
        require_ending_heaps(path)
        with h5py.File(path, "r", locking=False) as file:
            yield Hdf5File(file, path)
    except DataError:
        raise
    except DAMAGE as error:
        raise damaged(path, "HDF5", error) from error
