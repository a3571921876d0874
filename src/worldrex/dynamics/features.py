"""What a network sees of a record and its past, and in which terms it tells what comes next."""

import math
import operator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from worldrex.data import Transitions
from worldrex.dynamics.errors import TrainingError

TURN = 2 * np.pi


@dataclass(frozen=True)
class Features:
    """How the columns of a log become the inputs and outputs of a network; the same for training and prediction."""

    history: int = 1
    """Steps that the network sees: 1 is the present one, k also the k - 1 before it in the episode."""
    absolute: tuple[int, ...] | None = None
    """Dimensions of obs that are predicted as they will be, and not by their change."""
    angles: tuple[int, ...] | None = None
    """Dimensions of obs that are angles in radians: seen as sine and cosine, their change taken the short way round."""
    masked: tuple[int, ...] | None = None
    """Dimensions of obs that the network does not see (partial observability); it predicts them as they will be."""

    def __post_init__(self) -> None:
        """Any sequence of whole numbers will do for dimensions. **Raises:** `TrainingError` for others."""
        try:
            object.__setattr__(self, "history", operator.index(self.history))
            for name in ("absolute", "angles", "masked"):
                dims = getattr(self, name)
                object.__setattr__(self, name, None if dims is None else tuple(map(operator.index, dims)))
        except TypeError as error:
            raise TrainingError(
                f"features are {self!r}; history is a whole number, and absolute, angles and masked are dimensions of obs, "
                "such as (0, 3)."
            ) from error

    @property
    def told_absolute(self) -> tuple[int, ...]:
        """Dimensions of obs that are predicted as they will be: a change from what is not seen would say nothing."""
        return tuple(sorted({*(self.absolute or ()), *(self.masked or ())}))

    def num_inputs(self, obs_dims: int, action_dims: int) -> int:
        """Width of the inputs."""
        masked, angles = set(self.masked or ()), set(self.angles or ())
        return self.history * (obs_dims - len(masked) + len(angles - masked) + action_dims)

    def past(
        self, data: Transitions, rows: Int[np.ndarray, " row"], first: Int[np.ndarray, " record"]
    ) -> tuple[Float32[np.ndarray, "row *past obs"], Float32[np.ndarray, "row *past act"]]:
        """Obs and action of these rows as a model takes them: `[row, width]`, or with a history `[row, k, width]`.

        **Arguments:** `first` row of each record's episode, of `first_of_episode`.
        """
        past = rows if self.history == 1 else rows_of_past(rows, first[rows], self.history)
        return data.obs[past], data.action[past]

    def inputs(
        self, obs: Float[Any, "batch *past obs"], action: Float[Any, "batch *past act"]
    ) -> Float[Any, "batch input"]:
        """What the network sees, not yet normalized.

        **Arguments:** `obs` and `action`, in the data's own units: `[batch, width]`, or with a history of k steps
        `[batch, k, width]`, the present one last. NumPy or JAX.
        """
        xp = np if isinstance(obs, np.ndarray) else jnp
        masked, angles = set(self.masked or ()), set(self.angles or ())
        plain = [d for d in range(obs.shape[-1]) if d not in masked | angles]
        turning = [d for d in sorted(angles) if d not in masked]
        parts = [obs if len(plain) == obs.shape[-1] else obs[..., np.array(plain, int)]]
        if turning:
            angle = obs[..., np.array(turning)]
            parts += [xp.sin(angle), xp.cos(angle)]
        return xp.concatenate([x.reshape(x.shape[0], math.prod(x.shape[1:])) for x in (*parts, action)], -1)

    def outputs(
        self, obs: Float[Any, "batch obs"], next_obs: Float[Any, "batch obs"], reward: Float[Any, " batch"]
    ) -> Float[Any, "batch output"]:
        """What the network should tell of these records, not yet normalized: of each dimension of obs, then the reward."""
        xp = np if isinstance(obs, np.ndarray) else jnp
        told = next_obs - obs
        if self.angles:
            told = xp.where(_among(self.angles, obs.shape[-1])[None], short_way(told), told)
        if self.told_absolute:
            told = xp.where(_among(self.told_absolute, obs.shape[-1])[None], next_obs, told)
        return xp.concatenate([told, reward[:, None]], -1)

    def next_obs(
        self, obs: Float[Array, "batch obs"], told: Float[Array, "*lead batch obs"]
    ) -> Float[Array, "*lead batch obs"]:
        """The next observation, from what the network tells of it in the data's own units.

        An angle goes on from the one it changed from, beyond a whole turn where need be.
        """
        lead = (1,) * (told.ndim - 2)
        before = obs.reshape(*lead, *obs.shape)
        if self.told_absolute:
            # Not by a product with 0: what is not seen may be NaN.
            before = jnp.where(_among(self.told_absolute, obs.shape[-1]).reshape(*lead, 1, -1), 0.0, before)
        return told + before


def short_way(change: Float[Any, "*shape"]) -> Float[Any, "*shape"]:
    """The same change of an angle in [-pi, pi)."""
    return (change + np.pi) % TURN - np.pi


def rows_of_past(rows: Int[Any, " row"], first: Int[Any, " row"], history: int) -> Int[Any, "row history"]:
    """The rows of each record and of those before it, the present one last.

    Before its episode began, the `first` record of the episode stands in.
    """
    xp = np if isinstance(rows, np.ndarray) else jnp
    back = np.arange(history - 1, -1, -1, dtype=np.int32)
    return xp.maximum(rows[:, None] - back[None], first[:, None])


def first_of_episode(episode: Int[np.ndarray, " record"]) -> Int[np.ndarray, " record"]:
    """For each record the row at which its episode begins."""
    begins = _begins(episode)
    return np.repeat(begins, np.diff(begins, append=len(episode))).astype(np.int32)


def _begins(episode: Int[np.ndarray, " record"]) -> Int[np.ndarray, " episode"]:
    return np.flatnonzero(np.diff(episode, prepend=episode[:1] - 1))


def longest_episode(episode: Int[np.ndarray, " record"]) -> int:
    """Steps of the longest one."""
    begins = _begins(episode)
    return int(np.diff(begins, append=len(episode)).max(initial=0))


def _among(dims: tuple[int, ...], width: int) -> np.ndarray:
    found = np.zeros(width, bool)
    found[list(dims)] = True
    return found
