"""Collect transitions from a task's behaviors; what they saw of the gust stays out of the log."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Int

from worldrex import tasks
from worldrex.data.transitions import DataError, Transitions, concatenate

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CollectConfig:
    """What to collect.

    Arguments:
        task: Built-in task to collect from.
        behaviors: The "logged" ones, to train on, or the "unlogged" ones, to test on.
        steps_per_behavior: Records of each behavior; None for the task's own number.
        seed: Seed of the environments and of the behaviors' noise.
        num_envs: Environments side by side, at most; a behavior's episodes are dealt out among them.
    """

    task: str = "gusty-pendulum"
    behaviors: Literal["logged", "unlogged"] = "logged"
    steps_per_behavior: int | None = None
    seed: int = 0
    num_envs: int = 16


def collect(config: CollectConfig, *, progress: Progress | None = None) -> Transitions:
    """Run each behavior for exactly `steps_per_behavior` records, in whole episodes but for a last one.

    That last one is cut and marked truncated. The same configuration gives the same records, and a behavior's records
    do not depend on which others are collected.

    Arguments:
        config: what to collect.
        progress: called with the records collected so far and in all.

    Raises TaskError for an unknown task, DataError for a setting that cannot be collected.
    """
    task = tasks.task(config.task)
    if config.behaviors not in ("logged", "unlogged"):
        raise DataError(f"behaviors is {config.behaviors!r}; choose 'logged' or 'unlogged'.")
    behaviors = task.logged if config.behaviors == "logged" else task.unlogged
    steps = task.steps_per_behavior if config.steps_per_behavior is None else config.steps_per_behavior
    return collect_from(task, behaviors, steps, seed=config.seed, num_envs=config.num_envs, progress=progress)


def collect_from(
    task: tasks.Task,
    behaviors: Sequence[tasks.Behavior],
    steps_per_behavior: int,
    *,
    seed: int = 0,
    num_envs: int = 16,
    progress: Progress | None = None,
) -> Transitions:
    """As `collect`, of any behaviors: also of ones that the task does not name."""
    for setting, value, least in (
        ("steps_per_behavior", steps_per_behavior, 1),
        ("num_envs", num_envs, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise DataError(f"{setting} is {value}; collecting needs a whole number of {least} or more.")
    collected: list[Transitions] = []
    for behavior in behaviors:
        before = steps_per_behavior * len(collected)

        def report(done: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, steps_per_behavior * len(behaviors))

        quotas = _deal(steps_per_behavior, task.episode_steps, num_envs)
        collected.append(_run(task, behavior, quotas, seed, report))
    return concatenate(collected)


def _deal(steps: int, episode_steps: int, num_envs: int) -> Int[np.ndarray, " env"]:
    """Records that each environment logs: whole episodes dealt out in turn, the rest to the next in turn.

    A quota fixed beforehand, rather than the episodes that end first, so that short episodes are not preferred.
    """
    whole, rest = divmod(steps, episode_steps)
    lengths = np.array([episode_steps] * whole + [rest] * (rest > 0))
    turns = np.arange(len(lengths)) % num_envs
    return np.bincount(turns, weights=lengths).astype(np.int64)


def _run(
    task: tasks.Task,
    behavior: tasks.Behavior,
    quotas: Int[np.ndarray, " env"],
    seed: int,
    report: Callable[[int], None],
) -> Transitions:
    """One behavior's records, each environment's in time order."""
    # By its name, so that a behavior's records do not depend on its place among the others.
    for_envs, for_noise = np.random.SeedSequence([seed, zlib.crc32(behavior.name.encode())]).spawn(2)
    rng = np.random.default_rng(for_noise)
    num_envs = len(quotas)
    env = task.make_env(num_envs)
    space = env.single_action_space
    assert isinstance(space, Box)
    obs, info = env.reset(seed=int(for_envs.generate_state(1)[0]))
    steps = []
    ended = np.zeros(num_envs, bool)
    logged = np.zeros(num_envs, np.int64)
    episode = np.arange(num_envs)
    while (logged < quotas).any():
        action = behavior.act(obs, info["gust"], space=space, rng=rng)
        next_obs, reward, terminated, truncated, info = env.step(action)
        # Gymnasium resets in the step after an episode's end: that step ignores its action and is no transition.
        keep = ~ended & (logged < quotas)
        logged += keep
        cut = (logged == quotas) & ~terminated
        steps.append((keep, obs, action, reward, next_obs, terminated, truncated | cut, episode))
        ended = terminated | truncated
        episode = episode + num_envs * ended
        obs = next_obs
        report(int(logged.sum()))
    env.close()

    keep, *columns = (np.stack(column, axis=1) for column in zip(*steps, strict=True))
    obs, action, reward, next_obs, terminated, truncated, episode = (column[keep] for column in columns)
    return Transitions(
        obs=obs.astype(np.float32),
        action=action,
        reward=reward.astype(np.float32),
        next_obs=next_obs.astype(np.float32),
        terminated=terminated,
        truncated=truncated,
        episode=episode.astype(np.int32),
        behavior=np.zeros(len(obs), np.int32),
        behavior_names=(behavior.name,),
    )
