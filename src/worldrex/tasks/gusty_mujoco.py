"""Gymnasium's MuJoCo environments under a hidden gust that pushes or twists one body. Importing this imports MuJoCo."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
from gymnasium.envs.mujoco.reacher_v5 import ReacherEnv
from gymnasium.spaces import Box
from jaxtyping import Float, Float64

from worldrex.tasks.gusty import Gusty


class GustyMujoco(Gusty):
    """A gust in `xfrc_applied` of one body, constant over the physics steps of one action.

        wrench on the body = gust * wrench,   its force in N, its torque in N m, both in the world's frame

    A subclass reads the state back from the observation: `recall`.

    Arguments:
        mujoco: the environment without a gust.
        body: name of the body on which the gust acts.
        wrench: of a gust of 1: force (x, y, z), torque (x, y, z).
        strength: standard deviation of the gust, in the action's unit.
        correlation: of one step's gust with the next one's.
    """

    def __init__(
        self, mujoco: MujocoEnv, *, body: str, wrench: tuple[float, ...], strength: float, correlation: float = 0.0
    ):
        space = mujoco.action_space
        assert isinstance(space, Box)
        super().__init__(mujoco, action_space=space, strength=strength, correlation=correlation)
        self.mujoco = mujoco
        self.body = mujoco.model.body(body).id
        self.wrench = np.array(wrench)

    def disturbed_step(
        self, action: Float64[np.ndarray, " act"], gust: float
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step under the gust, which is gone after it."""
        data = self.mujoco.data
        data.xfrc_applied[self.body] = gust * self.wrench
        # What the constraint solver starts from: the last step's, which no observation shows.
        data.qacc_warmstart[:] = 0
        step = self.env.step(action)
        data.xfrc_applied[self.body] = 0
        return step

    def render(self) -> Any:
        """A picture of the state as it is, also where it was recalled."""
        mujoco.mj_kinematics(self.mujoco.model, self.mujoco.data)  # pyright: ignore[reportAttributeAccessIssue]
        return super().render()


class GustyReacher(GustyMujoco):
    """Reacher-v5 under a gust that twists the fingertip: a torque about the vertical, which turns both joints alike.

    A torque of the fingertip's about z is the same torque on both joints, so that a gust of 1 acts as actions of
    (1, 1)/sqrt(2) do. The observation's last two numbers and the reward lag behind by part of a step, as in Reacher-v5.
    """

    def recall(self, obs: Float[np.ndarray, " 10"]) -> None:
        """Joint angles from their cosines and sines, to within whole turns; the target rests."""
        position, velocity = self.mujoco.data.qpos, self.mujoco.data.qvel
        position[:2] = np.arctan2(obs[2:4], obs[:2])
        position[2:] = obs[4:6]
        velocity[:2], velocity[2:] = obs[6:8], 0


class GustyWalker(GustyMujoco):
    """Hopper-v5 or HalfCheetah-v5 under a horizontal gust on the torso.

    The observation holds the velocities as they are, also those beyond the ±10 to which Hopper-v5 clips them: with the
    place along the track, on which nothing depends, it is the whole state.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode as in the environment without a gust."""
        _, info = super().reset(seed=seed, options=options)
        return self.seen(), info

    def disturbed_step(
        self, action: Float64[np.ndarray, " act"], gust: float
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step under the gust, which is gone after it."""
        _, reward, terminated, truncated, info = super().disturbed_step(action, gust)
        return self.seen(), reward, terminated, truncated, info

    def seen(self) -> Float64[np.ndarray, " obs"]:
        """Position but for the place along the track, and velocity."""
        return np.concatenate([self.mujoco.data.qpos[1:], self.mujoco.data.qvel])

    def recall(self, obs: Float[np.ndarray, " obs"]) -> None:
        """Position and velocity; the place along the track is 0."""
        position, velocity = self.mujoco.data.qpos, self.mujoco.data.qvel
        split = len(position) - 1
        position[0], position[1:], velocity[:] = 0, obs[:split], obs[split:]


@contextmanager
def _undeprecated() -> Iterator[None]:
    """Silence what MuJoCo says of Gymnasium's half_cheetah.xml on stderr: its user can do nothing about it."""
    # pyright sees nothing of MuJoCo's compiled part.
    before = mujoco.get_mju_user_warning()  # pyright: ignore[reportAttributeAccessIssue]
    set_callback = mujoco.set_mju_user_warning  # pyright: ignore[reportAttributeAccessIssue]
    say = before or (lambda message: warnings.warn(message, stacklevel=2))
    set_callback(lambda message: None if "'settotalmass' is deprecated" in message else say(message))
    try:
        yield
    finally:
        set_callback(before)


def gusty_reacher(*, strength: float = 0.3, correlation: float = 0.0, render_mode: str | None = None) -> GustyReacher:
    """The arm of `worldrex/GustyReacher-v0`.

    Arguments:
        strength: standard deviation of the gust; a gust of 1 acts as actions of (1, 1)/sqrt(2) do.
        correlation: of one step's gust with the next one's.
        render_mode: as in Reacher-v5.
    """
    twist = 200 / math.sqrt(2)  # an action of 1 is 200 N m
    return GustyReacher(
        ReacherEnv(render_mode=render_mode), body="fingertip", wrench=(0.0, 0.0, 0.0, 0.0, 0.0, twist), strength=strength,
        correlation=correlation,
    )  # fmt: skip


def gusty_hopper(*, strength: float = 0.5, correlation: float = 0.0, render_mode: str | None = None) -> GustyWalker:
    """The hopper of `worldrex/GustyHopper-v0`.

    Arguments:
        strength: standard deviation of the gust; a gust of 1 is 400 N forward on the torso.
        correlation: of one step's gust with the next one's.
        render_mode: as in Hopper-v5.
    """
    return GustyWalker(
        HopperEnv(render_mode=render_mode), body="torso", wrench=(400.0, 0.0, 0.0, 0.0, 0.0, 0.0), strength=strength,
        correlation=correlation,
    )  # fmt: skip


def gusty_halfcheetah(
    *, strength: float = 0.5, correlation: float = 0.0, render_mode: str | None = None
) -> GustyWalker:
    """The runner of `worldrex/GustyHalfCheetah-v0`.

    Arguments:
        strength: standard deviation of the gust; a gust of 1 is 700 N forward on the torso.
        correlation: of one step's gust with the next one's.
        render_mode: as in HalfCheetah-v5.
    """
    with _undeprecated():
        inner = HalfCheetahEnv(render_mode=render_mode)
    return GustyWalker(
        inner, body="torso", wrench=(700.0, 0.0, 0.0, 0.0, 0.0, 0.0), strength=strength,
        correlation=correlation,
    )  # fmt: skip
