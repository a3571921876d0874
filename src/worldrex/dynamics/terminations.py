"""Given rules of where an episode ends for good: ranges that the next observation must stay in."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from worldrex.dynamics.errors import TrainingError

# Of Gymnasium's environments with their default settings (versions 4 and 5, the position not in obs).
RULES = {
    "hopper": "0:0.7:inf 1:-0.2:0.2 2:-100:100 3:-100:100 4:-100:100 5:-100:100 6:-100:100 7:-100:100 8:-100:100 "
    "9:-100:100 10:-100:100",
    "walker2d": "0:0.8:2 1:-1:1",
    "ant": "0:0.2:1",
    "humanoid": "0:1:2",
    "inverted-pendulum": "1:-0.2:0.2",
}
"""Names of rules; Gymnasium's other tasks, such as HalfCheetah or Reacher, have none."""


class Rule(NamedTuple):
    """An episode goes on while each of these dimensions of next_obs stays within its range."""

    dims: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def ends(self, next_obs: Float[Array | np.ndarray, "*lead obs"]) -> Bool[Array | np.ndarray, "*lead"]:
        """Whether the episode ends for good with this observation; one that is not finite ends it."""
        xp = np if isinstance(next_obs, np.ndarray) else jnp
        there = next_obs[..., np.array(self.dims)]
        lead = (1,) * (there.ndim - 1)
        low, high = (np.array(x, np.float32).reshape(*lead, -1) for x in (self.low, self.high))
        return xp.logical_not(((there >= low) & (there <= high)).all(-1) & xp.isfinite(next_obs).all(-1))


def rule_of(termination: str) -> Rule | None:
    """The rule that the setting `termination` gives: its name, or its ranges; None for "learned" and "none".

    **Raises:** `TrainingError` for a text that is neither.
    """
    if termination in ("learned", "none"):
        return None
    if not isinstance(termination, str):
        raise TrainingError(_advice(termination))
    ranges = [_range(part, termination) for part in RULES.get(termination, termination).split()]
    if not ranges:
        raise TrainingError(_advice(termination))
    return Rule(*(tuple(column) for column in zip(*ranges, strict=True)))


def _range(part: str, whole: str) -> tuple[int, float, float]:
    try:
        dim, low, high = part.split(":")
        found = int(dim), float(low), float(high)
    except ValueError:
        raise TrainingError(_advice(whole)) from None
    if found[0] < 0 or not found[1] < found[2]:
        raise TrainingError(_advice(whole))
    return found


def _advice(termination: object) -> str:
    return (
        f"termination is {termination!r}; choose learned, none, a rule ({', '.join(RULES)}), or ranges that next_obs must stay "
        "in, such as '0:0.7:inf 1:-0.2:0.2': dimension, lowest, highest."
    )
