"""What a damaged HDF5 array would do to the interpreter: its library (2.0) trusts a chunk to hold all of its bytes."""

import math
import zlib

import h5py

DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000  # numbers of HDF5's filters
REFERENCE = 16  # bytes that stand for a text of any length


def require_whole(found: h5py.Dataset) -> None:
    """Raise ValueError for an array of which less is stored than the library will take from memory."""
    text = h5py.check_string_dtype(found.dtype)
    itemsize = REFERENCE if text is not None and text.length is None else found.dtype.itemsize
    nbytes = math.prod(found.shape or ()) * itemsize
    if found.chunks is None:
        if found.shape is not None and found.id.get_storage_size() not in (0, nbytes):
            raise ValueError(f"{found.name} has {found.id.get_storage_size():,} bytes of {nbytes:,}")
        return
    whole = math.prod(found.chunks) * itemsize
    made = found.id.get_create_plist()
    filters = [made.get_filter(place) for place in range(made.get_nfilters())]
    codes = [code for code, *_ in filters]
    if not set(codes) <= {DEFLATE, SHUFFLE, FLETCHER32, LZF}:
        raise ValueError(f"{found.name} is packed in a way that neither D4RL nor Minari do")
    # LZF unpacks into as much room as the array says, not as much as it needs.
    room = math.prod(found.chunks) * found.dtype.itemsize
    if text is None and any(code == LZF and (len(values) < 3 or values[2] < room) for code, _, values, _ in filters):
        raise ValueError(f"{found.name} unpacks to less than it declares")
    chunks: list[tuple[tuple[int, ...], int, int]] = []
    found.id.chunk_iter(lambda chunk: chunks.append((chunk.chunk_offset, chunk.filter_mask, chunk.size)))
    for place, skipped, unpacked in chunks:
        applied = {code for number, code in enumerate(codes) if not skipped >> number & 1}
        if DEFLATE in applied:
            stored = found.id.read_direct_chunk(place)[1]
            unpacked = len(zlib.decompressobj().decompress(stored, whole + 1))
        if unpacked < whole and LZF not in applied:
            raise ValueError(f"a chunk of {found.name} holds {unpacked:,} bytes of {whole:,}")
