"""Episodes that were logged, or copied, twice."""

import hashlib

import numpy as np
from jaxtyping import Int, UInt64

from worldrex.data.blocks import MEASURED
from worldrex.data.findings import Finding, plural
from worldrex.data.pieces import Pieces
from worldrex.data.transitions import Transitions

AT_A_TIME = 2**14  # episodes, or rows of one
FEWEST_STEPS = 2  # one step may honestly happen twice


def find_duplicates(pieces: Pieces, data: Transitions) -> list[Finding]:
    """A warning for episodes with the same records as one before them, whatever their number and behavior.

    Only those that begin and end alike are read once more, for a hash of all their records.
    """
    long = np.flatnonzero(pieces.steps >= FEWEST_STEPS)
    _, alike, often = np.unique(_ends(data, pieces, long), return_inverse=True, return_counts=True)
    seen: dict[bytes, int] = {}
    again: list[tuple[int, int]] = []
    for place in map(int, long[often[alike] > 1]):
        original = seen.setdefault(_digest(data, int(pieces.start[place]), int(pieces.steps[place])), place)
        if original != place:
            again.append((place, original))
    if not again:
        return []
    (place, original), row = again[0], int(pieces.start[again[0][0]])
    return [
        Finding(
            "warning",
            "episode",
            len(again),
            row,
            f"{plural(len(again), 'episode')} of {len(pieces.start):,} with the same records as another one (first episode "
            f"{pieces.episode[place]} at row {row:,}, as episode {pieces.episode[original]}). They count twice, and the "
            "held-out ones may be those that are trained on: remove them, unless the system really repeats itself.",
        )
    ]


def _ends(data: Transitions, pieces: Pieces, chosen: Int[np.ndarray, " chosen"]) -> UInt64[np.ndarray, " chosen"]:
    """A number for each of some episodes, the same for the same length, first obs, last next_obs and last reward."""
    width = data.obs.shape[1]
    factors = np.random.default_rng(0).integers(1, 2**63, 2 * width + 2, np.uint64) | np.uint64(1)
    keys = np.empty(len(chosen), np.uint64)
    for start in range(0, len(chosen), AT_A_TIME):
        some = chosen[start : start + AT_A_TIME]
        first, steps = pieces.start[some], pieces.steps[some]
        last = first + steps - 1
        bits = np.concatenate([data.obs[first], data.next_obs[last], data.reward[last, None]], axis=1).view(np.uint32)
        keys[start : start + len(some)] = bits.astype(np.uint64) @ factors[:-1] + steps.astype(np.uint64) * factors[-1]
    return keys


def _digest(data: Transitions, start: int, steps: int) -> bytes:
    digest = hashlib.blake2b(steps.to_bytes(8), digest_size=16)
    for row in range(start, start + steps, AT_A_TIME):
        for column in MEASURED:
            digest.update(np.ascontiguousarray(getattr(data, column)[row : min(row + AT_A_TIME, start + steps)]).data)
    return digest.digest()
