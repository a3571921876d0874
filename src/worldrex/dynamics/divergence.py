"""When to give a training up, and what to tell of it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from worldrex.data import Transitions
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.settings import Run

MOST_BACKOFFS = 3


def raise_if_hopeless(
    backoffs: Int[np.ndarray, "run member"], runs: Sequence[Run], data: Transitions, start: int, stop: int
) -> None:
    """Raise `TrainingError` where a member was put back more than `MOST_BACKOFFS` times.

    **Arguments:** the returns of each member, and the steps between which the last one was.
    """
    if backoffs.max() > MOST_BACKOFFS:
        worst = runs[int(backoffs.max(1).argmax())]
        how = f"after {MOST_BACKOFFS} returns to a sound state with half the learning rate each"
        raise _diverged(worst, data, start, stop, how)


def raise_if_untrained(
    finite: Int[np.ndarray, "run member"], runs: Sequence[Run], data: Transitions, start: int, stop: int
) -> None:
    """Raise `TrainingError` where none of a member's steps between these two was finite."""
    if finite.min() == 0:
        raise _diverged(runs[int(finite.min(1).argmin())], data, start, stop, "not one of whose steps was finite")


def _diverged(run: Run, data: Transitions, start: int, stop: int, how: str) -> TrainingError:
    return TrainingError(
        f"training diverged: between steps {start} and {stop}, {how}, with penalty {run.penalty} of weight {run.weight:g} "
        f"and seed {run.seed}. The largest value that it learned from is {largest(data, run.left_out)}. Repair it (see "
        "`worldrex describe`), or lower the learning rate or the weight."
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
