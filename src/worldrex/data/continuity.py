"""next_obs of a step is obs of the next one within an episode, up to rounding."""

import numpy as np
from jaxtyping import Float64

from worldrex.data.blocks import Block, Places
from worldrex.data.findings import Finding, plural
from worldrex.data.transitions import Transitions

TOLERANCE = 1e-3  # of a component's standard deviation: room for rounded logs, far below one step of motion
ROUNDING = 1e-6  # of the value itself: a few units in the last place of float32


class Continuity:
    """Whether each step continues, to the bit, in blocks: what does not is judged once the spread of obs is known."""

    def __init__(self) -> None:
        self.steps = 0
        self.inexact: list[tuple[int, int]] = []

    def add(self, block: Block) -> None:
        """Take in the next block."""
        inside = block.goes_on
        self.steps += int(np.count_nonzero(inside))
        differs = block.and_next.obs[1:] != block.rows.next_obs[: len(inside)]
        if differs.any() and differs[inside].any():
            self.inexact.append((block.start, block.start + len(block)))


def find_breaks(continuity: Continuity, data: Transitions, std: Float64[np.ndarray, " obs"]) -> list[Finding]:
    """An error where next_obs is farther from the next row's obs than rounding explains, `std` being that of obs."""
    places, episodes, first = Places(), set(), ""
    for start, stop in continuity.inexact:
        block = Block(data, start, stop)
        after, before = block.and_next.obs[1:], block.rows.next_obs[: len(block.goes_on)]
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(after - before)
            # What is not finite is reported by itself.
            apart = np.isfinite(after) & np.isfinite(before) & (gap > TOLERANCE * std + ROUNDING * np.abs(after))
        broken = apart.any(1) & block.goes_on
        if broken.any():
            episodes.update(np.unique(block.rows.episode[: len(broken)][broken]).tolist())
            if places.first is None:
                step = int(np.argmax(broken))
                row, wrong = start + step, int(np.argmax(apart[step]))
                first = (
                    f"at row {row:,} of episode {block.rows.episode[step]}, next_obs[{row}, {wrong}] is "
                    f"{before[step, wrong]:.6g} and obs[{row + 1}, {wrong}] is {after[step, wrong]:.6g}"
                )
            places.add(broken, start)
    if not places.count:
        return []
    return [
        Finding(
            "error",
            "next_obs",
            places.count,
            places.first,
            f"next_obs does not continue: {first} ({places.count:,} of {plural(continuity.steps, 'step')} within "
            f"episodes, in {plural(len(episodes), 'episode')}). "
            "worldrex needs the next row's obs there: put the rows in time order, or start a new episode "
            "(another episode number, or truncated = 1) where the recording was interrupted.",
        )
    ]
