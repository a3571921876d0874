"""When to give a training up, and what to tell of it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from worldrex.data import Transitions
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.settings import Run

MOST_BACKOFFS = 3


def raise_if_hopeless(
    backoffs: Int[np.ndarray, "run member"], runs: Sequence[Run], data: Transitions, folds: Sequence[tuple[int, ...]],
    start: int, stop: int,
) -> None:  # fmt: skip
    """Raise `TrainingError` where a member was put back more than `MOST_BACKOFFS` times.

    **Arguments:** the returns of each member, and the steps between which the last one was.
    """
    if backoffs.max() <= MOST_BACKOFFS:
        return
    worst = runs[int(backoffs.max(1).argmax())]
    raise TrainingError(
        f"training diverged: between steps {start} and {stop}, after {MOST_BACKOFFS} returns to a sound state with half the "
        f"learning rate each, with penalty {worst.penalty} of weight {worst.weight:g} and seed {worst.seed}. The largest "
        f"value that it learned from is {largest(data, worst.left_out)}. Repair it (see `worldrex describe`), or lower the "
        "learning rate or the weight."
    )


def largest(data: Transitions, left_out: Sequence[int]) -> str:
    """The column with the largest normalized magnitude, and how large, as a message has it."""
    rows = ~np.isin(data.behavior, left_out)
    columns = {
        "obs": data.obs[rows], "action": data.action[rows], "next_obs": data.next_obs[rows],
        "reward": data.reward[rows][:, None],
    }  # fmt: skip
    found = []
    for name, values in columns.items():
        values = values.astype(np.float64)
        std = values.std(0)
        size = np.abs(values - values.mean(0)).max(0) / np.where(std > 0, std, 1.0)
        place = int(size.argmax())
        found.append((size[place], name if name == "reward" else f"{name}[:, {place}]"))
    size, name = max(found)
    return f"{size:.3g} standard deviations from the mean of {name}"
