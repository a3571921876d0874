"""The world model as a Gymnasium environment, `worldrex/World-v0`, one or many side by side: for any learner of policies."""

import os
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Array, Bool, Float, Float32, Int

from worldrex.data import Transitions, load, require_valid
from worldrex.dynamics import WorldModel, first_of_episode, load_model, longest_episode
from worldrex.policy.errors import PolicyError
from worldrex.policy.scales import scales_of
from worldrex.policy.settings import MOPOConfig, require_learnable
from worldrex.policy.uncertainties import UncertaintyName
from worldrex.policy.worlds import EnsembleWorld, Outcome, world_of

WORLD_ID = "worldrex/World-v0"
"""What Gymnasium calls the model as an environment, once `worldrex.policy` is imported."""

Model = WorldModel | str | os.PathLike[str]
Log = Transitions | str | os.PathLike[str]


class _Step(NamedTuple):
    """What the world answers, in arrays of NumPy."""

    obs: Float32[np.ndarray, "env obs"]
    """As before where the step is cut."""
    reward: Float32[np.ndarray, " env"]
    """Less pessimism times uncertainty; 0 where the step is cut."""
    terminated: Bool[np.ndarray, " env"]
    uncertainty: Float32[np.ndarray, " env"]
    member: Int[np.ndarray, " env"]
    """Of the ensemble, that the step was drawn from."""
    cut: Bool[np.ndarray, " env"]
    """Steps that came to what is not finite: the episode is truncated there."""


class _Inside:
    """A world with its spaces and starts: what one environment and many share."""

    def __init__(
        self, model: Model, data: Log, *,
        starts: str = "first", episode_steps: int | None = None, pessimism: float = 0.0,
        uncertainty: UncertaintyName = "aleatoric", margin: float = 0.1, action_low: tuple[float, ...] | None = None,
        action_high: tuple[float, ...] | None = None,
    ) -> None:  # fmt: skip
        require_learnable(MOPOConfig(pessimism=pessimism, uncertainty=uncertainty, margin=margin))
        if uncertainty == "bellman":
            raise PolicyError(
                "uncertainty bellman is of the critics that learn a policy, and a world has none: choose another."
            )
        if starts not in ("first", "any"):
            raise PolicyError(f"starts is {starts!r}; choose 'first' (of each logged episode) or 'any' (logged state).")
        if episode_steps is not None and episode_steps < 1:
            raise PolicyError(f"episode_steps is {episode_steps}; an episode has 1 step or more.")
        model = model if isinstance(model, WorldModel) else load_model(model)
        if isinstance(data, Transitions):
            require_valid(data)
        else:
            data = load(data)
        self.world = world_of(model, data, uncertainty=uncertainty, margin=margin)
        self.members = np.asarray(model.elites)
        self.pessimism = pessimism
        self.episode_steps = episode_steps or longest_episode(data.episode)
        self.starts = data.obs if starts == "any" else data.obs[np.unique(first_of_episode(data.episode))]
        scales = scales_of(data, action_low, action_high)
        self.action_space = Box(np.asarray(scales.low), np.asarray(scales.high), dtype=np.float32)
        # An angle's turn may end a rounding before a logged start, and what never changed still needs a width.
        low = np.minimum(np.asarray(self.world.low)[:-1], data.obs.min(0))
        high = np.maximum(np.asarray(self.world.high)[:-1], data.obs.max(0))
        self.observation_space = Box(low, np.maximum(high, np.nextafter(low, np.float32(np.inf))), dtype=np.float32)

    def begin(
        self, count: int, options: dict[str, Any] | None, rng: np.random.Generator
    ) -> Float32[np.ndarray, "env obs"]:
        """Logged starts, drawn at random, or those of `options["obs"]`."""
        given = (options or {}).get("obs")
        if given is None:
            return np.array(self.starts[rng.integers(len(self.starts), size=count)], np.float32)
        obs, width = np.array(given, np.float32), self.starts.shape[1]
        obs = obs[None] if obs.shape == (width,) else obs
        if obs.shape != (count, width) or not np.isfinite(obs).all():
            raise PolicyError(
                f'options["obs"] has shape {np.shape(given)}; give a finite observation of width {width} for '
                f"each of {count} environments."
            )
        return obs

    def step(self, obs: Float32[np.ndarray, "env obs"], action: np.ndarray, seed: int, number: int) -> _Step:
        """One step of each environment; `seed` and `number` say which draw."""
        action = np.clip(np.asarray(action, np.float32), self.action_space.low, self.action_space.high)
        told, elite = _answer(self.world, obs, action.reshape(len(obs), -1), np.uint32(seed), np.uint32(number))
        next_obs, reward, uncertainty, terminated = map(np.asarray, told)
        cut = ~(np.isfinite(next_obs).all(1) & np.isfinite(reward) & np.isfinite(uncertainty))
        reward, uncertainty = (np.where(cut, np.float32(0), x) for x in (reward, uncertainty))
        return _Step(
            np.where(cut[:, None], obs, next_obs), reward - np.float32(self.pessimism) * uncertainty, terminated & ~cut,
            uncertainty, self.members[np.asarray(elite)], cut,
        )  # fmt: skip


@jax.jit
def _answer(
    world: EnsembleWorld, obs: Float[Array | np.ndarray, "env obs"], action: Float[Array | np.ndarray, "env act"],
    seed: Any, number: Any,
) -> tuple[Outcome, Int[Array, " env"]]:  # fmt: skip
    obs, action = jnp.asarray(obs), jnp.asarray(action)
    key = jax.random.fold_in(jax.random.key(seed), number)
    elite = world.draw_elite(obs.shape[0], key=key)
    return world.step_by(elite, obs, action, key=key), elite


class WorldEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """A world model as an environment: `gymnasium.make("worldrex/World-v0", model=..., data=...)`.

        reward = r - pessimism uncertainty

    The spaces are the log's: observations within its range and a margin, as in `worldrex optimize`; actions within its
    range, unless given, and clipped to it. Each step is drawn from an elite at random. The info of a step has `uncertainty`,
    `member` (which one it was drawn from) and `cut`: whether the model came to what is not finite, where the episode is
    truncated with reward 0.

    **Arguments:**

    - `model`, `data`: a `WorldModel` and the `Transitions` that it was fitted on, or their paths.
    - `starts`: "first" observations of logged episodes, or "any" logged one; `reset(options={"obs": ...})` sets another.
    - `episode_steps`: after which an episode is truncated; those of the longest logged one if not given.
    - `pessimism`, `uncertainty`, `margin`, `action_low`, `action_high`: as in `MOPOConfig`, without pessimism by default.

    **Raises:** `ModelError`, `DataError`, `PolicyError` for what cannot be used.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own)

    def __init__(self, model: Model, data: Log, **settings: Any) -> None:
        self._inside = _Inside(model, data, **settings)
        self.observation_space, self.action_space = self._inside.observation_space, self._inside.action_space
        self._steps, self._seed = 0, 0
        self._obs: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32[np.ndarray, " obs"], dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self._obs = self._inside.begin(1, options, self.np_random)
        self._steps, self._seed = 0, int(self.np_random.integers(2**32))
        return self._obs[0].copy(), {}

    def step(
        self, action: Float[np.ndarray, " act"]
    ) -> tuple[Float32[np.ndarray, " obs"], float, bool, bool, dict[str, Any]]:
        """One step in the model."""
        if self._obs is None:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        told = self._inside.step(self._obs, np.asarray(action), self._seed, self._steps)
        self._obs, self._steps = told.obs, self._steps + 1
        truncated = bool(told.cut[0]) or self._steps >= self._inside.episode_steps
        info = {"uncertainty": float(told.uncertainty[0]), "member": int(told.member[0]), "cut": bool(told.cut[0])}
        return told.obs[0].copy(), float(told.reward[0]), bool(told.terminated[0]), truncated, info


class WorldVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """`WorldEnv`, many side by side in one compiled step, with Gymnasium's next-step autoreset.

        gymnasium.make_vec("worldrex/World-v0", num_envs=64, vectorization_mode="vector_entry_point", model=..., data=...)

    A step after an episode's end ignores its action and begins the next episode, with reward 0. **Arguments:** `num_envs`, and
    those of `WorldEnv`.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int, model: Model, data: Log, **settings: Any) -> None:
        if num_envs < 1:
            raise PolicyError(f"num_envs is {num_envs}; give 1 or more.")
        self._inside = _Inside(model, data, **settings)
        self.num_envs = num_envs
        self.single_observation_space = self._inside.observation_space
        self.single_action_space = self._inside.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._obs: np.ndarray | None = None
        self._steps, self._ended = np.zeros(num_envs, np.int64), np.zeros(num_envs, bool)
        self._seed, self._number = 0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32[np.ndarray, "env obs"], dict[str, Any]]:
        """Start an episode in each environment."""
        super().reset(seed=seed)
        self._obs = self._inside.begin(self.num_envs, options, self.np_random)
        self._seed, self._number = int(self.np_random.integers(2**32)), 0
        self._steps[:], self._ended[:] = 0, False
        return self._obs.copy(), {}

    def step(
        self, actions: Float[np.ndarray, "env act"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step in the model of those whose episode goes on; a new episode of the others."""
        if self._obs is None:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        told = self._inside.step(self._obs, np.asarray(actions), self._seed, self._number)
        begins = self._ended
        obs = told.obs
        obs[begins] = self._inside.begin(int(begins.sum()), None, self.np_random)
        self._number += 1
        self._steps = np.where(begins, 0, self._steps + 1)
        terminated, cut = told.terminated & ~begins, told.cut & ~begins
        truncated = cut | (self._steps >= self._inside.episode_steps)
        self._obs, self._ended = obs, terminated | truncated
        info: dict[str, Any] = {}
        for name, values in (("uncertainty", told.uncertainty), ("member", told.member), ("cut", cut)):
            info |= {name: np.where(begins, np.zeros_like(values), values), f"_{name}": ~begins}
        return obs.copy(), np.where(begins, np.float32(0), told.reward), terminated, truncated, info


if WORLD_ID not in gymnasium.registry:
    gymnasium.register(
        WORLD_ID,
        entry_point=f"{__name__}:{WorldEnv.__name__}",
        vector_entry_point=f"{__name__}:{WorldVectorEnv.__name__}",
    )
