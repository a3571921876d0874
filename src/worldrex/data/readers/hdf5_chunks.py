"""What a damaged HDF5 array would do to the interpreter: its library (1.14, 2.0) trusts a chunk to hold all of its bytes."""

import math
import zlib
from collections.abc import Iterator

import h5py

DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000  # numbers of HDF5's filters
# As h5py and PyTables write them. In another order the library may take the sum of bytes that are not there.
ORDERS = ((SHUFFLE, DEFLATE, FLETCHER32), (FLETCHER32, SHUFFLE, DEFLATE), (SHUFFLE, LZF, FLETCHER32))
CHECKSUM = 4  # bytes at a chunk's end
REFERENCE = 16  # bytes that stand for a text of any length


def require_whole(found: h5py.Dataset) -> None:
    """Raise ValueError for an array of which less is stored than the library will take from memory, or more is packed."""
    if found.chunks is not None:
        for _ in unpacked_chunks(found):
            pass
        return
    nbytes = math.prod(found.shape or ()) * _itemsize(found)
    if found.shape is not None and found.id.get_storage_size() not in (0, nbytes):
        raise ValueError(f"{found.name} has {found.id.get_storage_size():,} bytes of {nbytes:,}")


def unpacked_chunks(found: h5py.Dataset) -> Iterator[bytes]:
    """Each stored chunk of an array; empty where its size is known without it, but never for text of any length.

    Raises ValueError for a chunk of another size than the array says, and where the size cannot be told.
    """
    itemsize = _itemsize(found)
    whole = math.prod(found.chunks or ()) * itemsize
    text = itemsize != found.dtype.itemsize
    codes = _filters_of(found)
    chunks: list[tuple[tuple[int, ...], int, int]] = []
    found.id.chunk_iter(lambda chunk: chunks.append((chunk.chunk_offset, chunk.filter_mask, chunk.size)))
    for place, skipped, size in chunks:
        applied = [code for number, code in enumerate(codes) if not skipped >> number & 1]
        if text and not {SHUFFLE, LZF}.isdisjoint(applied):  # the library shuffles no text
            raise ValueError(f"the text of {found.name} is packed in another way than with gzip")
        if LZF in applied:
            continue
        stored = found.id.read_direct_chunk(place)[1] if text or DEFLATE in applied else b""
        for code in reversed(applied):
            if code == FLETCHER32:
                size -= CHECKSUM
                stored = stored[: max(size, 0)]
            elif code == DEFLATE:
                # No more than shows that it is too much.
                stored = zlib.decompressobj().decompress(stored, whole + CHECKSUM + 1)
                size = len(stored)
        if size != whole:
            held = f"more than {whole:,} bytes" if size > whole else f"{max(size, 0):,} bytes of {whole:,}"
            raise ValueError(f"a chunk of {found.name} holds {held}")
        yield stored


def _filters_of(found: h5py.Dataset) -> list[int]:
    made = found.id.get_create_plist()
    filters = [made.get_filter(place) for place in range(made.get_nfilters())]
    codes = [code for code, *_ in filters]
    if not any(codes == [code for code in order if code in codes] for order in ORDERS):
        raise ValueError(f"{found.name} is packed in a way that neither D4RL nor Minari do")
    # LZF unpacks into as much room as the array says, not as much as it needs; of text it says nothing.
    room = math.prod(found.chunks or ()) * found.dtype.itemsize if _itemsize(found) == found.dtype.itemsize else 0
    if any(code == LZF and room and (len(values) < 3 or values[2] < room) for code, _, values, _ in filters):
        raise ValueError(f"{found.name} unpacks to less than it declares")
    return codes


def _itemsize(found: h5py.Dataset) -> int:
    text = h5py.check_string_dtype(found.dtype)
    return REFERENCE if text is not None and text.length is None else found.dtype.itemsize
