"""How long the texts of an HDF5 array are, before any is read: thousands may stand for one of megabytes."""

from pathlib import Path

import h5py
import numpy as np

from worldrex.data.readers.hdf5_chunks import REFERENCE, unpacked_chunks

STORED = np.dtype([("length", "<u4"), ("heap", "<u8"), ("place", "<u4")])  # of a text of any length, in the array


def longest_text(found: h5py.Dataset, path: Path) -> int:
    """Bytes of the longest text of an array that `require_whole` found whole.

    Arguments:
        found: an array of texts of any length, not of a fixed one.
        path: the file that it is in.

    Raises ValueError for an array that is stored as neither D4RL nor Minari do.
    """
    lengths = [0]
    made = found.id.get_create_plist()
    if made.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        lengths.append(len(found.fillvalue))
    if found.chunks is not None:
        lengths += map(_longest, unpacked_chunks(found))
    elif nbytes := found.id.get_storage_size():
        offset = found.id.get_offset()
        if offset is None:
            raise ValueError(f"{found.name} is stored in a way that neither D4RL nor Minari do")
        with open(path, "rb") as file:
            file.seek(offset)
            lengths.append(_longest(file.read(nbytes)))
    return max(lengths)


def _longest(content: bytes) -> int:
    return int(np.frombuffer(content, STORED, len(content) // REFERENCE)["length"].max(initial=0))
