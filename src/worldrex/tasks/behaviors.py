"""Behaviors: the policies that log. They see the coming gust and steer against it, or with it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float, Float32, Float64

Controller = Callable[[Float[np.ndarray, "env obs"]], Float64[np.ndarray, "env act"]]


@dataclass(frozen=True)
class Feedback:
    """Proportional-derivative control of a pendulum: torque = -kp sin θ - kd ω, for obs (cos θ, sin θ, ω).

    Arguments:
        kp: N m.
        kd: N m s.
    """

    kp: float
    kd: float

    def __call__(self, obs: Float[np.ndarray, "env 3"]) -> Float64[np.ndarray, "env 1"]:
        """The torque for each observation."""
        _, sine, speed = obs.T.astype(np.float64)
        return (-self.kp * sine - self.kd * speed)[:, None]


@dataclass(frozen=True)
class Behavior:
    """A logging policy: action = clip(controller(obs) - compensation * gust + noise * N(0, 1)).

    Arguments:
        name: short, for reports.
        description: what it does, in a sentence.
        controller: its law from the observations.
        compensation: share of the coming gust that it steers against; negative: it leans with the gust.
        noise: standard deviation of its exploration, in the action's unit.
    """

    name: str
    description: str
    controller: Controller
    compensation: float
    noise: float

    def act(
        self,
        obs: Float[np.ndarray, "env obs"],
        gust: Float[np.ndarray, " env"],
        *,
        space: Box,
        rng: np.random.Generator,
    ) -> Float32[np.ndarray, "env act"]:
        """Actions for a batch of environments.

        Arguments:
            obs: what each environment shows.
            gust: each one's coming gust, in the action's unit.
            space: one environment's action space; the actions are clipped to it.
            rng: source of the exploration noise.
        """
        wanted = self.controller(obs) - self.compensation * gust[:, None]
        wanted = wanted + self.noise * rng.standard_normal(wanted.shape)
        return np.clip(wanted, space.low, space.high).astype(np.float32)


def _operator(name: str, description: str, *, kp: float, compensation: float) -> Behavior:
    """An operator with some skill (kp), who steers against a share of the gust."""
    return Behavior(name, description, Feedback(kp=kp, kd=0.3 * kp), compensation=compensation, noise=0.4)


PENDULUM_LOGGED = (
    _operator("ignores the gust", "Gentle feedback; does not react to the coming gust.", kp=0.5, compensation=0.0),
    _operator("compensates a quarter", "Feedback; cancels a quarter of the coming gust.", kp=1.0, compensation=0.25),
    _operator("compensates half", "Firm feedback; cancels half of the coming gust.", kp=1.5, compensation=0.5),
    _operator(
        "compensates three quarters",
        "The firmest feedback; cancels three quarters of the coming gust.",
        kp=2.0,
        compensation=0.75,
    ),
)

PENDULUM_UNLOGGED = (
    _operator(
        "leans with the gust", "Feedback; adds half of the coming gust to its own torque.", kp=1.0, compensation=-0.5
    ),
    Behavior(
        "random torques",
        "No feedback and no reaction to the gust: torques drawn at random.",
        Feedback(kp=0.0, kd=0.0),
        compensation=0.0,
        noise=1.0,
    ),
    _operator(
        "strong compensation",
        "Feedback; steers against the coming gust with a quarter more than its size.",
        kp=1.0,
        compensation=1.25,
    ),
)
