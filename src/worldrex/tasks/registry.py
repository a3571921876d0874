"""The tasks by name: an environment, the behaviors that log it, and those that nobody logs."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

import gymnasium

from worldrex.tasks import behaviors
from worldrex.tasks.behaviors import Behavior
from worldrex.tasks.gusty import PENDULUM_EPISODE_STEPS, PENDULUM_ID, Gusty, TaskError

REACHER_ID, HOPPER_ID, HALFCHEETAH_ID = (f"worldrex/Gusty{name}-v0" for name in ("Reacher", "Hopper", "HalfCheetah"))
# Few walkers stay on their feet for longer among gusts; and the more episodes, the more a log can be split.
REACHER_EPISODE_STEPS, WALKER_EPISODE_STEPS = 50, 200

# By name, so that MuJoCo is imported by those who make such an environment.
for _id, _entry, _steps in (
    (REACHER_ID, "gusty_reacher", REACHER_EPISODE_STEPS),
    (HOPPER_ID, "gusty_hopper", WALKER_EPISODE_STEPS),
    (HALFCHEETAH_ID, "gusty_halfcheetah", WALKER_EPISODE_STEPS),
):
    gymnasium.register(_id, entry_point=f"worldrex.tasks.gusty_mujoco:{_entry}", max_episode_steps=_steps)


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
        draws: gusts that the truth of a record averages over, unless told otherwise.
        slope_records: records, at most, that a true slope is averaged over.
        termination: the name of the rule by which an episode ends for good; "" where none does.
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
    draws: int = 64
    slope_records: int = 100_000
    termination: str = ""

    @property
    def direction(self) -> tuple[float, ...]:
        """Unit vector of the action along which the behaviors answer the gust."""
        return self.logged[0].direction

    @property
    def direction_name(self) -> str:
        """The action's columns that have a part in it."""
        return " + ".join(name for name, part in zip(self.action_names, self.direction, strict=True) if part)

    def make_gusty(self) -> Gusty:
        """One environment, without what `gymnasium.make` puts around it."""
        env = gymnasium.make(self.env_id, strength=self.strength, correlation=self.correlation)
        while not isinstance(env, Gusty):
            assert isinstance(env, gymnasium.Wrapper)
            env = env.env
        return env

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
        logged=behaviors.PENDULUM_LOGGED,
        unlogged=behaviors.PENDULUM_UNLOGGED,
        steps_per_behavior=10_240,
        episode_steps=PENDULUM_EPISODE_STEPS,
        output_names=("cos θ", "sin θ", "ω", "reward"),
        action_names=("torque",),
    )


def _reacher(name: str, description: str, *, strength: float) -> Task:
    return Task(
        name=name,
        description=description,
        env_id=REACHER_ID,
        strength=strength,
        correlation=0.0,
        logged=behaviors.REACHER_LOGGED,
        unlogged=behaviors.REACHER_UNLOGGED,
        steps_per_behavior=10_000,
        episode_steps=REACHER_EPISODE_STEPS,
        output_names=(
            "cos shoulder", "cos elbow", "sin shoulder", "sin elbow", "target x", "target y", "shoulder rate",
            "elbow rate", "offset x", "offset y", "reward",
        ),
        action_names=("shoulder", "elbow"),
        draws=8,
        slope_records=1000,
    )  # fmt: skip


def _walker(
    name: str, description: str, *, env_id: str, strength: float, joints: tuple[str, ...],
    logged: tuple[Behavior, ...], unlogged: tuple[Behavior, ...], termination: str = "",
) -> Task:  # fmt: skip
    rates = tuple(f"{joint} rate" for joint in joints)
    return Task(
        name=name,
        description=description,
        env_id=env_id,
        strength=strength,
        correlation=0.0,
        logged=logged,
        unlogged=unlogged,
        steps_per_behavior=25_000,
        episode_steps=WALKER_EPISODE_STEPS,
        output_names=("height", "pitch", *joints, "speed", "rise", "pitch rate", *rates, "reward"),
        action_names=joints,
        draws=8,
        slope_records=1000,
        termination=termination,
    )


_hopper = partial(
    _walker,
    env_id=HOPPER_ID,
    joints=("thigh", "leg", "foot"),
    logged=behaviors.HOPPER_LOGGED,
    unlogged=behaviors.HOPPER_UNLOGGED,
    termination="hopper",
)
_halfcheetah = partial(
    _walker,
    env_id=HALFCHEETAH_ID,
    joints=("back thigh", "back shin", "back foot", "front thigh", "front shin", "front foot"),
    logged=behaviors.HALFCHEETAH_LOGGED,
    unlogged=behaviors.HALFCHEETAH_UNLOGGED,
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
        _reacher(
            "gusty-reacher",
            "An arm of two joints that reaches for a target (Reacher-v5) while gusts twist its tip. The operators who logged "
            "it saw each gust coming and steered against it with both joints, some more than others.",
            strength=0.3,
        ),
        _reacher(
            "plain-reacher",
            "The same arm and the same operators without any gust: the log hides nothing.",
            strength=0.0,
        ),
        _hopper(
            "gusty-hopper",
            "A leg that hops forward (Hopper-v5) while gusts push its torso. The operators who logged it saw each gust coming "
            "and steered against it with thigh and leg, some more than others. An episode ends when it falls.",
            strength=0.5,
        ),
        _hopper(
            "plain-hopper",
            "The same leg and the same operators without any gust: the log hides nothing.",
            strength=0.0,
        ),
        _halfcheetah(
            "gusty-halfcheetah",
            "A runner on two legs (HalfCheetah-v5) while gusts push its torso. The operators who logged it saw each gust "
            "coming and steered against it with both thighs, some more than others.",
            strength=0.5,
        ),
        _halfcheetah(
            "plain-halfcheetah",
            "The same runner and the same operators without any gust: the log hides nothing.",
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
