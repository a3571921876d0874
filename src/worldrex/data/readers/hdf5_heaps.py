"""The heaps that hold an HDF5 file's names: the library follows a free list that bites its own tail for ever."""

import mmap
from pathlib import Path

SUPERBLOCK, HEAP = b"\x89HDF\r\n\x1a\n", b"HEAP\0\0\0\0"  # with its version and reserved bytes
SIZES = {0: 13, 1: 13, 2: 9, 3: 9}  # where each version of the superblock tells the bytes of an address and of a length
LAST = 1  # in place of the next free block's offset


def require_ending_heaps(path: Path) -> None:
    """Raise ValueError for a local heap whose list of free blocks has no end.

    Of a block, the list tells the offset of the next one, in the heap's data segment. Whatever else is wrong with a
    heap the library itself finds. Source: HDF5 File Format Specification 3.0, III.D.
    """
    if not path.stat().st_size:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        base = content.find(SUPERBLOCK)
        sizes_at = SIZES.get(content[base + 8]) if 0 <= base < len(content) - 16 else None
        if sizes_at is None:
            return
        of_address, of_length = content[base + sizes_at], content[base + sizes_at + 1]

        def number(at: int, width: int) -> int:
            return int.from_bytes(content[at : at + width], "little")

        place = content.find(HEAP)
        while place >= 0:
            at = place + len(HEAP)
            block, segment = number(at + of_length, of_length), base + number(at + 2 * of_length, of_address)
            seen: set[int] = set()
            while block != LAST and segment + block + of_length <= len(content):
                if block in seen:
                    raise ValueError("a list of free blocks in it has no end")
                seen.add(block)
                block = number(segment + block, of_length)
            place = content.find(HEAP, at)
