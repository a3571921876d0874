"""The tasks by name: an environment, the behaviors that log it, and those that nobody logs."""

from dataclasses import dataclass
from difflib import get_close_matches

import gymnasium

from worldrex.tasks.behaviors import PENDULUM_LOGGED, PENDULUM_UNLOGGED, Behavior
from worldrex.tasks.gusty import PENDULUM_EPISODE_STEPS, PENDULUM_ID, TaskError


@dataclass(frozen=True)
class Task:
    """An environment with a hidden gust, and its behaviors.

    Arguments:
        name: for the command line.
        description: what happens in it, in a sentence or two.
        env_id: the registered Gymnasium environment.
        strength: standard deviation of the gust, in the action's unit; 0 for none.
        correlation: of one step's gust with the next one's; 0 for a fresh draw each step.
        logged: the behaviors that log training data.
        unlogged: the behaviors that only test; no training, selection or tuning may touch their records.
        steps_per_behavior: records that each behavior logs unless told otherwise.
        episode_steps: length of an episode.
        output_names: what a model predicts: the changes of the observation, then the reward.
        action_names: the columns of the action.
    """

    name: str
    description: str
    env_id: str
    strength: float
    correlation: float
    logged: tuple[Behavior, ...]
    unlogged: tuple[Behavior, ...]
    steps_per_behavior: int
    episode_steps: int
    output_names: tuple[str, ...]
    action_names: tuple[str, ...]

    def make_env(self, num_envs: int) -> gymnasium.vector.VectorEnv:
        """`num_envs` environments side by side, with Gymnasium's next-step autoreset."""
        return gymnasium.make_vec(
            self.env_id,
            num_envs=num_envs,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP},
            max_episode_steps=self.episode_steps,
            strength=self.strength,
            correlation=self.correlation,
        )


def _pendulum(name: str, description: str, *, strength: float) -> Task:
    return Task(
        name=name,
        description=description,
        env_id=PENDULUM_ID,
        strength=strength,
        correlation=0.0,
        logged=PENDULUM_LOGGED,
        unlogged=PENDULUM_UNLOGGED,
        steps_per_behavior=10_240,
        episode_steps=PENDULUM_EPISODE_STEPS,
        output_names=("cos θ", "sin θ", "ω", "reward"),
        action_names=("torque",),
    )


_TASKS = {
    task.name: task
    for task in (
        _pendulum(
            "gusty-pendulum",
            "A pendulum that gusts push. The operators who logged it saw each gust coming and steered against it, "
            "some more than others; the log does not show the gusts.",
            strength=2.0,
        ),
        _pendulum(
            "plain-pendulum",
            "The same pendulum and the same operators without any gust: the log hides nothing.",
            strength=0.0,
        ),
    )
}


def names() -> tuple[str, ...]:
    """The names of all tasks."""
    return tuple(_TASKS)


def task(name: str) -> Task:
    """The task called `name`.

    Raises TaskError for an unknown name, with the known ones and the closest.
    """
    if name not in _TASKS:
        closest = get_close_matches(name, _TASKS, n=1, cutoff=0.5)
        meant = f"; did you mean {closest[0]!r}?" if closest else "."
        raise TaskError(f"there is no task {name!r}. The tasks are {', '.join(_TASKS)}{meant}")
    return _TASKS[name]
