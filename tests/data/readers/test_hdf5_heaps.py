"""Names in a heap whose free list has no end: the library would follow it for ever, taking memory at each turn."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from worldrex.data import DataError, load
from worldrex.data.readers.hdf5_heaps import HEAP, require_ending_heaps


def with_free_blocks(path: Path, *, userblock: int = 0) -> bytearray:
    """A file whose root has a heap with two free blocks: of two names that were removed."""
    with h5py.File(path, "w", userblock_size=userblock) as file:
        for name in ("observations", "a_name_that_goes", "actions", "another_that_goes", "rewards", "terminals"):
            file[name] = np.zeros(4, np.float32)
        del file["a_name_that_goes"], file["another_that_goes"]
    return bytearray(path.read_bytes())


def free_blocks(content: bytearray, base: int = 0) -> tuple[int, list[int]]:
    """Where the first heap's segment lies, and the offsets of its free blocks."""
    heap = content.index(HEAP)
    block, segment = (int.from_bytes(content[heap + at : heap + at + 8], "little") for at in (16, 24))
    found = []
    while block != 1:
        found.append(block)
        block = int.from_bytes(content[base + segment + block :][:8], "little")
    return base + segment, found


@pytest.mark.parametrize("userblock", [0, 512])
def test_a_sound_list_ends(tmp_path: Path, userblock: int) -> None:
    path = tmp_path / "log.hdf5"
    content = with_free_blocks(path, userblock=userblock)
    assert len(free_blocks(content, userblock)[1]) >= 2
    require_ending_heaps(path)


@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("back_to", [0, -1])
def test_one_that_bites_its_tail_is_refused_before_the_library_follows_it(
    tmp_path: Path, userblock: int, back_to: int
) -> None:
    path = tmp_path / "log.hdf5"
    content = with_free_blocks(path, userblock=userblock)
    segment, blocks = free_blocks(content, userblock)
    last = segment + blocks[-1]
    content[last : last + 8] = blocks[back_to].to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="free blocks in it has no end"):
        require_ending_heaps(path)
    if not userblock:  # a file with one is not taken for HDF5, except in a Minari folder
        with pytest.raises(DataError, match="damaged: a list of free blocks in it has no end"):
            load(path)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(40), b"HEAP\0\0\0\0" * 9])
def test_what_is_no_whole_file_is_left_to_the_library(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.hdf5"
    path.write_bytes(content)
    require_ending_heaps(path)
