"""Where a policy is judged: a built-in task, or any registered Gymnasium environment that it fits."""

from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv

from worldrex.data import Transitions
from worldrex.policy import Policy
from worldrex.tasks import Task


class EvaluationError(ValueError):
    """A policy or an environment that cannot be judged so; the message says what came and what was expected."""


@dataclass(frozen=True)
class Reality:
    """An environment that episodes are run in."""

    name: str
    env_id: str
    settings: dict[str, Any]
    """What `gymnasium.make` is told, `max_episode_steps` among it."""
    episode_steps: int
    """After which an episode is truncated."""
    task: Task | None = None

    def make_many(self, num_envs: int) -> VectorEnv:
        """Environments side by side, with Gymnasium's next-step autoreset."""
        return gymnasium.make_vec(
            self.env_id, num_envs=num_envs, vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.NEXT_STEP}, **self.settings,
        )  # fmt: skip

    def make(self, **more: Any) -> gymnasium.Env:
        """One environment."""
        return gymnasium.make(self.env_id, **self.settings, **more)

    def action_space(self) -> Box:
        """What its actuators can do.

        **Raises:** `EvaluationError` where actions are no numbers within bounds.
        """
        env = self.make()
        space = env.action_space
        env.close()
        if not (isinstance(space, Box) and len(space.shape) == 1 and space.is_bounded()):
            raise EvaluationError(f"the actions of {self.name} are {space}; a policy chooses numbers within bounds.")
        return space


def reality_of_task(task: Task) -> Reality:
    """The environment of a built-in task."""
    settings = {
        "max_episode_steps": task.episode_steps, "strength": task.strength, "correlation": task.correlation,
    }  # fmt: skip
    return Reality(task.name, task.env_id, settings, task.episode_steps, task)


def reality_of(env_id: str, *, episode_steps: int | None = None) -> Reality:
    """A registered environment.

    **Arguments:** `episode_steps`, where the environment has no limit of its own or another one is wanted.

    **Raises:** `EvaluationError` for an environment that Gymnasium does not know, or whose episodes may never end.
    """
    try:
        # Also imports the module of "module:Env-v0".
        spec = gymnasium.make(env_id).spec
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise EvaluationError(
            f"{env_id!r} cannot be made ({error}). Name an environment that is registered with Gymnasium, or "
            "MODULE:NAME, of a module that registers it."
        ) from error
    limit = spec.max_episode_steps if episode_steps is None and spec is not None else episode_steps
    if limit is None:
        raise EvaluationError(
            f"{env_id} has no limit on the steps of an episode, which may then never end: give --episode-steps N."
        )
    if limit < 1:
        raise EvaluationError(f"episode_steps is {limit}; an episode has 1 step or more.")
    return Reality(env_id, env_id, {"max_episode_steps": limit}, limit)


def require_logged(reality: Reality, data: Transitions) -> None:
    """Raise `EvaluationError` where the log is not of such an environment."""
    env = reality.make()
    found = env.observation_space.shape, env.action_space.shape
    env.close()
    logged = data.obs.shape[1:], data.action.shape[1:]
    if found != logged:
        raise EvaluationError(
            f"obs and action are of shape {found[0]} and {found[1]} in {reality.name}, and {logged[0]} and {logged[1]} in the "
            "log: name the environment that was logged."
        )


def require_fitting(reality: Reality, policy: Policy) -> Box:
    """The action space, if the policy sees such observations and does such actions.

    **Raises:** `EvaluationError` where it does not.
    """
    env = reality.make()
    obs_space, space = env.observation_space, env.action_space
    env.close()
    obs_width, action_width = policy.scales.obs_mean.shape[0], policy.scales.low.shape[0]
    if not (isinstance(obs_space, Box) and obs_space.shape == (obs_width,)):
        raise EvaluationError(
            f"the observations of {reality.name} are {obs_space}, and the policy sees {obs_width} numbers: evaluate it in the "
            "environment whose logs it was learned from."
        )
    if not (isinstance(space, Box) and space.shape == (action_width,)):
        raise EvaluationError(
            f"the actions of {reality.name} are {space}, and the policy chooses {action_width} numbers: evaluate it in the "
            "environment whose logs it was learned from."
        )
    return space
