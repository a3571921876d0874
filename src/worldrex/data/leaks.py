"""Inputs that are copies of what the model shall predict."""

from collections import defaultdict

import numpy as np

from worldrex.data.blocks import Block, sample_of
from worldrex.data.findings import Finding, plural, some_of
from worldrex.data.transitions import Transitions

SAMPLED_ROWS = 256

Component = tuple[str, int]


class Copies:
    """Pairs (input, target): components of next_obs, or the reward, that equal an obs or action component in every record.

    A sample of rows names the pairs that may be, and every block strikes out those that are not.
    """

    def __init__(self, data: Transitions) -> None:
        rows = sample_of(len(data), SAMPLED_ROWS)
        inputs: dict[bytes, list[Component]] = defaultdict(list)
        for column in ("obs", "action"):
            for place, values in enumerate(_columns(data, column, rows)):
                inputs[values].append((column, place))
        self.pairs = [
            (source, (column, place))
            for column in ("next_obs", "reward")
            for place, values in enumerate(_columns(data, column, rows))
            for source in inputs.get(values, ())
            if (column, source) != ("next_obs", ("obs", place))
        ]

    def add(self, block: Block) -> None:
        """Take in the next block."""
        self.pairs = [
            (source, target)
            for source, target in self.pairs
            if np.array_equal(block.components(source[0])[source[1]], block.components(target[0])[target[1]])
        ]


def find_copies(copies: Copies, constant: dict[str, np.ndarray], data: Transitions) -> list[Finding]:
    """Warnings for copies; a component that is `constant`, [component] of each column, is none.

    Nor is one that stays the same over every step (a set point, say): it does not tell the future.
    """
    findings = []
    pairs = [pair for pair in copies.pairs if not constant[pair[1][0]][pair[1][1]]]
    of_next = [(f"{source}[:, {i}]", place) for (source, i), (target, place) in pairs if target == "next_obs"]
    if of_next:
        targets = {place for _, place in of_next}
        told = some_of([f"next_obs[:, {place}] = {source}" for source, place in of_next], 3)
        findings.append(
            Finding(
                "warning",
                "next_obs",
                len(targets),
                0,
                f"next_obs has {plural(len(targets), 'component')} of {data.next_obs.shape[1]} copied from an input: "
                f"{told}. Where obs holds past measurements or actions that is right, and these components are trivial "
                "to predict; otherwise the input tells the future: remove it.",
            )
        )
    of_reward = [f"{source}[:, {i}]" for (source, i), (target, _) in pairs if target == "reward"]
    if of_reward:
        findings.append(
            Finding(
                "warning",
                "reward",
                len(of_reward),
                0,
                f"reward is a copy of {some_of(of_reward, 3)}. If that was written after the step, the input tells the "
                "reward before it is earned: remove it.",
            )
        )
    return findings


def _columns(data: Transitions, column: str, rows: np.ndarray) -> list[bytes]:
    """Each component's values in some rows, as equal bytes where they are equal numbers."""
    values = getattr(data, column)[rows] + np.float32(0)  # -0 becomes 0
    return [series.tobytes() for series in values.reshape(len(rows), -1).T]
