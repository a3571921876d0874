"""MOReL's absorbing state: beyond what a world knows a rollout falls, and never comes out."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from worldrex.data import Transitions
from worldrex.policy.worlds import EnsembleWorld

ROWS_AT_ONCE = 16_384  # bounds the memory


class Absorbing(NamedTuple):
    """The state beyond the known; one of several worlds has a leading axis on each."""

    beyond: Float[Array | np.ndarray, "*world"]
    """Greatest uncertainty of a step that does not lead there."""
    worth: Float[Array | np.ndarray, "*world"]
    """Of being there, as seen from the step before."""


def absorbing_of(
    world: EnsembleWorld, data: Transitions, *, quantile: float, reward: float | None, discount: float
) -> Absorbing:
    """The absorbing state beyond a quantile of the uncertainty on the log.

        worth = discount (reward + discount reward + ...) = reward discount / (1 - discount)

    **Arguments:** `reward` of each step there; the least in the log if not given.

    Source: Kidambi et al. 2020, arXiv 2005.05951, definitions 1 and 2 (HALT, and its reward -kappa).
    """
    measure = jax.jit(EnsembleWorld.uncertainty)
    blocks = [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(data), ROWS_AT_ONCE)]
    found = np.concatenate([np.asarray(measure(world, data.obs[rows], data.action[rows])) for rows in blocks])
    there = float(data.reward.min()) if reward is None else reward
    beyond, worth = np.quantile(found, quantile), there * discount / (1 - discount)
    return Absorbing(np.asarray(beyond, np.float32), np.asarray(worth, np.float32))
