"""Behaviors: the policies that log. They see the coming gust and steer against it, or with it."""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float, Float32

from worldrex.tasks.controllers import Controller, Feedback, Idle, Learned, Reach


@dataclass(frozen=True)
class Behavior:
    """A logging policy: action = clip(controller(obs) - compensation * gust * direction + noise * N(0, 1)).

    Arguments:
        name: short, for reports.
        description: what it does, in a sentence.
        controller: its law from the observations.
        compensation: share of the coming gust that it steers against; negative: it leans with the gust.
        noise: standard deviation of its exploration, in the action's unit.
        direction: unit vector of the action along which it steers against the gust.
    """

    name: str
    description: str
    controller: Controller
    compensation: float
    noise: float
    direction: tuple[float, ...] = (1.0,)

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
        wanted = self.controller(obs) - self.compensation * gust[:, None] * np.array(self.direction)
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


def _operators(
    controllers: tuple[Controller, ...], *, unlogged: Controller, idle: Controller, direction: tuple[float, ...],
    noise: tuple[float, ...], random: float,
) -> tuple[tuple[Behavior, ...], tuple[Behavior, ...]]:  # fmt: skip
    """Four operators who log, and the three behaviors that nobody logs.

    Arguments:
        controllers: of the logged ones, who steer against none, a quarter, half and three quarters of the gust.
        unlogged: of those who lean with the gust, and steer against more than all of it.
        idle: does nothing; the random behavior's.
        direction: along which all of them answer the gust.
        noise: of the logged ones; the unlogged ones that have a controller have the last one's.
        random: noise of the random one.
    """
    shares = (
        ("ignores the gust", "Does not react to the coming gust.", 0.0),
        ("compensates a quarter", "Steers against a quarter of the coming gust.", 0.25),
        ("compensates half", "Steers against half of the coming gust.", 0.5),
        ("compensates three quarters", "Steers against three quarters of the coming gust.", 0.75),
    )
    logged = tuple(
        Behavior(name, description, controller, share, deviation, direction)
        for (name, description, share), controller, deviation in zip(shares, controllers, noise, strict=True)
    )
    leaning, strong = (
        Behavior(name, description, unlogged, share, noise[-1], direction)
        for name, description, share in (
            ("leans with the gust", "Adds half of the coming gust to its own action.", -0.5),
            ("strong compensation", "Steers against the coming gust with a quarter more than its size.", 1.25),
        )
    )
    return logged, (
        leaning, Behavior("random actions", "Draws its actions, with no aim.", idle, 0.0, random, direction), strong
    )  # fmt: skip


def _walkers(name: str, direction: tuple[float, ...]) -> tuple[tuple[Behavior, ...], tuple[Behavior, ...]]:
    """Two skills, each with and without much compensation, so that what is seen under one is seen under the other.

    Who ignores the gust has the unsteadiest hand: that shows what actions do of themselves.
    """
    poor, good = Learned(f"{name}-40000"), Learned(f"{name}-60000")
    return _operators(
        (poor, good, poor, good), unlogged=good, idle=Idle(len(direction)), direction=direction,
        noise=(0.3, 0.15, 0.1, 0.1), random=0.4,
    )  # fmt: skip


HALF = 0.5**0.5
REACHER_LOGGED, REACHER_UNLOGGED = _operators(
    tuple(Reach(kp=kp, kd=0.05) for kp in (2.0, 4.0, 6.0, 8.0)),
    unlogged=Reach(kp=4.0, kd=0.05), idle=Idle(2), direction=(HALF, HALF), noise=(0.06,) * 4, random=0.2,
)  # fmt: skip
HOPPER_LOGGED, HOPPER_UNLOGGED = _walkers("hopper", (HALF, HALF, 0.0))
HALFCHEETAH_LOGGED, HALFCHEETAH_UNLOGGED = _walkers("halfcheetah", (HALF, 0.0, 0.0, HALF, 0.0, 0.0))
