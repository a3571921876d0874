"""A hidden gust on the dynamics of a continuous-action environment; the observation does not show it."""

from abc import ABC, abstractmethod
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box
from jaxtyping import Float, Float64

PENDULUM_ID = "worldrex/GustyPendulum-v0"
PENDULUM_EPISODE_STEPS = 40
TORQUE_LIMIT = 3.0
START_SPEED = 7.0
# Pendulum-v1 charges this times the squared torque; it has no name there.
TORQUE_COST = 0.001


class TaskError(ValueError):
    """A task that worldrex does not have, or a setting it cannot run; the message says what to do instead."""


class Gusty(gymnasium.Wrapper, ABC):
    """Disturb each step of `env` by a gust that only `info["gust"]` tells, one step ahead.

        gust_t = strength * z_t,   z_0 ~ N(0, 1),   z_{t+1} = correlation * z_t + sqrt(1 - correlation^2) * N(0, 1)

    so that z has unit variance at every step; correlation 0 is a fresh draw each step. `reset` and `step` put the
    coming gust into the info before the action is chosen, and the next `step` applies exactly that one. The gusts are
    drawn from the environment's own generator, which `reset(seed=...)` seeds.

    A subclass says how a gust acts: `disturbed_step`.

    Arguments:
        env: the environment without a gust.
        action_space: what the actuator can do; actions are clipped to it.
        strength: standard deviation of the gust, in the units in which `disturbed_step` applies it.
        correlation: of one step's gust with the next one's, 0 <= correlation < 1.

    Raises TaskError for a negative strength or a correlation outside [0, 1).
    """

    def __init__(self, env: gymnasium.Env, *, action_space: Box, strength: float, correlation: float = 0.0):
        if not (np.isfinite(strength) and strength >= 0):
            raise TaskError(f"strength is {strength}; a gust needs a finite strength of 0 (none) or more.")
        if not 0 <= correlation < 1:
            raise TaskError(
                f"correlation is {correlation}; a gust needs one from 0 (a fresh draw each step) up to below 1."
            )
        super().__init__(env)
        self.action_space = action_space
        self._limits = action_space.low, action_space.high
        self.strength = strength
        self.correlation = correlation
        self._unit_gust = 0.0

    @property
    def spec(self) -> EnvSpec | None:
        """The registered environment's: its entry point adds the gust, so remaking it must not add another."""
        return self.env.spec

    @property
    def gust(self) -> float:
        """The gust that the coming step applies."""
        return float(self.strength * self._unit_gust)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; the info holds the first step's gust."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._unit_gust = self.np_random.standard_normal()
        return obs, {**info, "gust": self.gust}

    def step(self, action: Float[np.ndarray, " act"]) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Apply `action`, clipped to the action space, under the announced gust; the info holds the next one."""
        clipped = np.clip(np.asarray(action, np.float64), *self._limits)
        obs, reward, terminated, truncated, info = self.disturbed_step(clipped, self.gust)
        fresh = self.np_random.standard_normal()
        self._unit_gust = self.correlation * self._unit_gust + np.sqrt(1 - self.correlation**2) * fresh
        return obs, reward, terminated, truncated, {**info, "gust": self.gust}

    @abstractmethod
    def disturbed_step(self, action: Any, gust: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step `self.env` once under `gust`; `action` lies within the action space."""

    def recall(self, obs: Float[np.ndarray, " obs"]) -> None:
        """Set the state that `obs` tells, for a step or a picture from there.

        Raises TaskError where the observation does not tell it.
        """
        raise TaskError(f"an observation of {type(self).__name__} does not tell the state: it can start nowhere else.")

    def step_from(
        self,
        obs: Float[np.ndarray, "record obs"],
        action: Float[np.ndarray, "record act"],
        gust: Float[np.ndarray, " record"],
    ) -> tuple[Float64[np.ndarray, "record obs"], Float64[np.ndarray, " record"]]:
        """One step from each record's observation, by its action (clipped) under its gust.

        Returns the next observations and the rewards.
        """
        clipped = np.clip(action.astype(np.float64), *self._limits)
        next_obs, rewards = np.empty(obs.shape), np.empty(len(obs))
        for record, (start, chosen, force) in enumerate(zip(obs.astype(np.float64), clipped, gust, strict=True)):
            self.recall(start)
            next_obs[record], rewards[record], *_ = self.disturbed_step(chosen, force)
        return next_obs, rewards


class GustyPendulum(Gusty):
    """Gymnasium's pendulum with torque limit 3, under a gust of torque.

        ω' = clip(ω + dt * (3 g / (2 l) * sin θ + 3 / (m l^2) * (torque + gust)), ±8),   θ' = θ + dt * ω'
        reward = -(θ^2 + 0.1 ω^2 + 0.001 torque^2),   θ taken to [-π, π)

    The torque is clipped to ±3 N m, the gust is not, and the reward charges the torque alone. An episode starts at any
    angle with any speed up to `start_speed`, so that every behavior's log covers the states that another one would
    visit: what differs between behaviors is how their torques follow the gust.

    Arguments:
        pendulum: the environment without a gust.
        strength: standard deviation of the gust, N m.
        correlation: of one step's gust with the next one's.
        start_speed: rad / s; `reset(options={"x_init": ..., "y_init": ...})` overrides it as in Pendulum-v1.
    """

    def __init__(
        self, pendulum: PendulumEnv, *, strength: float, correlation: float = 0.0, start_speed: float = START_SPEED
    ):
        torques = Box(-TORQUE_LIMIT, TORQUE_LIMIT, (1,), np.float32)
        super().__init__(pendulum, action_space=torques, strength=strength, correlation=correlation)
        # The inner environment receives torque + gust and must clip neither; ours is clipped before.
        pendulum.max_torque = np.inf
        self.pendulum = pendulum
        self.start_speed = start_speed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode at any angle, with any speed up to `start_speed`."""
        return super().reset(seed=seed, options={"y_init": self.start_speed, **(options or {})})

    def disturbed_step(
        self, action: Float64[np.ndarray, "1 ..."], gust: float | Float64[np.ndarray, "..."]
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step under torque + gust; of many records at once in `step_from`."""
        obs, reward, terminated, truncated, info = self.env.step(action + gust)
        torque = action[0]
        charged_for_gust = TORQUE_COST * ((torque + gust) ** 2 - torque**2)
        return obs, reward + charged_for_gust, terminated, truncated, info

    def recall(self, obs: Float[np.ndarray, " 3"]) -> None:
        """θ = atan2(sin θ, cos θ), and the speed."""
        self.pendulum.state = np.array([np.arctan2(obs[1], obs[0]), obs[2]])

    def step_from(
        self,
        obs: Float[np.ndarray, "record obs"],
        action: Float[np.ndarray, "record act"],
        gust: Float[np.ndarray, " record"],
    ) -> tuple[Float64[np.ndarray, "record obs"], Float64[np.ndarray, " record"]]:
        """All records at once, as Gymnasium's pendulum allows."""
        cosine, sine, speed = obs.T.astype(np.float64)
        self.pendulum.state = np.stack([np.arctan2(sine, cosine), speed])
        torque = np.clip(action.T.astype(np.float64), -TORQUE_LIMIT, TORQUE_LIMIT)
        _, reward, *_ = self.disturbed_step(torque, np.asarray(gust, np.float64))
        angle, speed = self.pendulum.state
        return np.stack([np.cos(angle), np.sin(angle), speed], axis=1), reward


def gusty_pendulum(
    *,
    strength: float = 2.0,
    correlation: float = 0.0,
    g: float = 3.0,
    start_speed: float = START_SPEED,
    render_mode: str | None = None,
) -> GustyPendulum:
    """The pendulum of `worldrex/GustyPendulum-v0`: acceleration 4.5 sin θ + 3 (torque + gust).

    Arguments:
        strength: standard deviation of the gust, N m.
        correlation: of one step's gust with the next one's.
        g: gravity, m / s^2.
        start_speed: of an episode's first state, at most, rad / s.
        render_mode: as in Pendulum-v1.
    """
    return GustyPendulum(
        PendulumEnv(render_mode, g=g), strength=strength, correlation=correlation, start_speed=start_speed
    )


gymnasium.register(
    PENDULUM_ID, entry_point=f"{__name__}:{gusty_pendulum.__name__}", max_episode_steps=PENDULUM_EPISODE_STEPS
)
