"""The one table type: logged transitions of several behaviors, and their file."""

import json
import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float32, Int, Int32
from numpy.typing import DTypeLike

from worldrex.runs import atomic_file

FORMAT_KEY = b"worldrex.format"
NAMES_KEY = b"worldrex.behavior_names"
FORMAT_VERSION = b"1"
ROWS_AT_ONCE = 65_536
ALIGNMENT = 64  # bytes: that of XLA's and Arrow's buffers
COLUMNS = ("obs", "action", "reward", "next_obs", "terminated", "truncated", "episode", "behavior")

Rows = slice | Bool[np.ndarray, "record"] | Int[np.ndarray, "row"]


class DataError(ValueError):
    """Data or a file that worldrex cannot use; the message says what came, what was expected and what to do."""

    told: dict[str, Any] | None = None
    """What a program may want to know of the data all the same."""


@dataclass(frozen=True, eq=False)
class Transitions:
    """Logged records (obs, action) -> (next_obs, reward) of several behaviors.

    Arguments:
        obs: what the behavior saw, in the environment's own units.
        action: what it did.
        reward: what it received for this step.
        next_obs: what it saw after this step, also at the end of an episode.
        terminated: the environment ended here: there is no future.
        truncated: the log ended here: the future exists, and was not recorded.
        episode: episode number; an episode's rows are contiguous and in time order.
        behavior: which policy logged the record: 0 .. len(behavior_names) - 1, constant within an episode.
        behavior_names: the name of each behavior, all different.
    """

    obs: Float32[np.ndarray, "record obs"]
    action: Float32[np.ndarray, "record act"]
    reward: Float32[np.ndarray, " record"]
    next_obs: Float32[np.ndarray, "record obs"]
    terminated: Bool[np.ndarray, " record"]
    truncated: Bool[np.ndarray, " record"]
    episode: Int32[np.ndarray, " record"]
    behavior: Int32[np.ndarray, " record"]
    behavior_names: tuple[str, ...]

    def __len__(self) -> int:
        """Number of records."""
        return len(self.reward)

    @property
    def num_behaviors(self) -> int:
        """Number of behaviors, those without records included."""
        return len(self.behavior_names)

    def rows(self, index: Rows) -> "Transitions":
        """The records at `index` (a slice, a mask or row numbers); all behavior names are kept."""
        return Transitions(
            **{column: getattr(self, column)[index] for column in COLUMNS}, behavior_names=self.behavior_names
        )

    def checksum(self) -> int:
        """CRC-32 of all records: whether two logs are the same, to the bit."""
        checksum = 0
        # Block by block: a log on disk is read once, and little of it is in memory.
        for start in range(0, len(self), ROWS_AT_ONCE):
            for column in COLUMNS:
                block = np.ascontiguousarray(getattr(self, column)[start : start + ROWS_AT_ONCE])
                checksum = zlib.crc32(block.reshape(-1).view(np.uint8).data, checksum)
        return checksum

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one Parquet file, whole or not at all; `worldrex.load` reads it back identical to the bit.

        Raises RunError where the file cannot be written.
        """
        metadata = {FORMAT_KEY: FORMAT_VERSION, NAMES_KEY: json.dumps(self.behavior_names).encode()}
        table = pa.table({column: _arrow(getattr(self, column)) for column in COLUMNS}).replace_schema_metadata(
            metadata
        )
        with atomic_file(path) as file:
            # Logged floats rarely repeat: without dictionaries the file is smaller and written faster.
            pq.write_table(table, file, compression="zstd", use_dictionary=False)


def concatenate(parts: Sequence[Transitions]) -> Transitions:
    """All records of `parts` in order: behaviors of the same name become one, episodes are numbered from 0 anew.

    Raises DataError for no parts, or for parts of different widths.
    """
    if not parts:
        raise DataError("there is nothing to concatenate: worldrex needs at least one data set.")
    widths = [(part.obs.shape[1], part.action.shape[1]) for part in parts]
    for number, width in enumerate(widths):
        if width != widths[0]:
            raise DataError(
                f"data set {number + 1} has obs of width {width[0]} and actions of width {width[1]}, "
                f"the first one has {widths[0][0]} and {widths[0][1]}. "
                "worldrex needs the same columns everywhere: load together only logs of the same system."
            )
    names = tuple(dict.fromkeys(name for part in parts for name in part.behavior_names))
    number_of = {name: number for number, name in enumerate(names)}
    behaviors, episodes, episodes_before = [], [], 0
    for part in parts:
        renumbered = np.array([number_of[name] for name in part.behavior_names], np.int32)
        behaviors.append(renumbered[part.behavior])
        distinct, episode = np.unique(part.episode, return_inverse=True)
        episodes.append((episode + episodes_before).astype(np.int32))
        episodes_before += len(distinct)
    joined = {"behavior": np.concatenate(behaviors), "episode": np.concatenate(episodes)}
    for column in COLUMNS:
        if column not in joined:
            joined[column] = np.concatenate([getattr(part, column) for part in parts])
    return Transitions(**joined, behavior_names=names)


def same_episode(data: Transitions) -> Bool[np.ndarray, " step"]:
    """Whether each record but the last is followed by one of its own episode."""
    return data.episode[1:] == data.episode[:-1]


def aligned(x: np.ndarray) -> np.ndarray:
    """The same values where an array library can take them as they lie: `x` itself if it lies well, else a copy."""
    return x if x.flags.c_contiguous and x.ctypes.data % ALIGNMENT == 0 else aligned_copy(x)


def aligned_copy(x: np.ndarray) -> np.ndarray:
    """A copy that lies well."""
    there = aligned_room(x.shape, x.dtype)
    there[...] = x
    return there


def aligned_room(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An array that lies well, its values not yet set."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


def _arrow(values: np.ndarray) -> pa.Array:
    """One column: a matrix becomes fixed-size lists, one per record."""
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1]) if values.ndim == 2 else flat
