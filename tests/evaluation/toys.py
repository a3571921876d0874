"""Environments whose every return is known."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from tests.dynamics.made_up import TRUTH


class Lengths(gymnasium.Env):
    """An episode lasts 1 or 9 steps, which its first observation tells; each step's reward is 1."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self) -> None:
        self.observation_space = Box(-1, 10, (2,), np.float32)
        self.action_space = Box(-1, 1, (1,), np.float32)
        self.length, self.now = 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.length, self.now = int(self.np_random.choice([1, 9])), 0
        return np.array([self.length, 0], np.float32), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.now < self.length, "stepped after the end"
        self.now += 1
        return np.array([self.length, self.now], np.float32), 1.0, self.now == self.length, False, {}


class Linear(gymnasium.Env):
    """The changes of obs and the reward are (obs, action) TRUTH, without noise; it never ends by itself."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, least: float = -2.0) -> None:
        self.observation_space = Box(-100, 100, (2,), np.float32)
        self.action_space = Box(least, 2, (1,), np.float32)
        self.obs = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.obs = self.np_random.normal(size=2).astype(np.float32)
        return self.obs, {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *change, reward = np.r_[self.obs, action] @ TRUTH
        self.obs = (self.obs + change).astype(np.float32)
        return self.obs, float(reward), False, False, {}


LENGTHS_ID, LINEAR_ID = "worldrex-test/Lengths-v0", "worldrex-test/Linear-v0"
for _name, _env, _steps in ((LENGTHS_ID, Lengths, 100), (LINEAR_ID, Linear, None)):
    if _name not in gymnasium.registry:
        gymnasium.register(_name, entry_point=_env, max_episode_steps=_steps)
