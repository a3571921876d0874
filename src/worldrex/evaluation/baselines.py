"""Whom a policy is compared with: nothing, chance, the behaviors of a task, and what was logged."""

from typing import Any

import jax
import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float64, Int

from worldrex.data import Transitions
from worldrex.evaluation.environments import Reality
from worldrex.evaluation.episodes import Chooser
from worldrex.evaluation.statistics import by_cluster
from worldrex.policy import Policy
from worldrex.tasks import Behavior


def chooser_of(policy: Policy, seed: int, *, stochastic: bool = False) -> Chooser:
    """The policy's actions, each step's drawn from a key of its own."""
    if not stochastic:
        return lambda obs, info: np.asarray(policy.act(obs))
    key, number = jax.random.key(seed), 0

    def draw(obs: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        nonlocal number
        number += 1
        return np.asarray(policy.act(obs, key=jax.random.fold_in(key, number)))

    return draw


def baseline_choosers(reality: Reality, space: Box, seed: int) -> dict[str, Chooser]:
    """The baselines that are run in reality: nothing, where that is an action; at random, where there is a range; behaviors."""
    found: dict[str, Chooser] = {}
    if ((space.low <= 0) & (space.high >= 0)).all():
        found["do nothing"] = lambda obs, info: np.zeros((len(obs), *space.shape), np.float32)
    if np.isfinite(space.low).all() and np.isfinite(space.high).all():
        rng = np.random.default_rng([seed, 0])
        found["random actions"] = lambda obs, info: rng.uniform(space.low, space.high, (len(obs), *space.shape))
    for number, behavior in enumerate(reality.task.logged if reality.task else (), start=1):
        found[behavior.name] = _operator(behavior, space, np.random.default_rng([seed, number]))
    return found


def _operator(behavior: Behavior, space: Box, rng: np.random.Generator) -> Chooser:
    """A behavior, who sees the gust."""
    return lambda obs, info: behavior.act(obs, info["gust"], space=space, rng=rng)


def logged_episodes(
    data: Transitions,
) -> dict[str, tuple[Float64[np.ndarray, " episode"], Int[np.ndarray, " episode"]]]:
    """Returns and steps of the logged episodes of each behavior that has any."""
    found = {}
    for number, name in enumerate(data.behavior_names):
        of_it = data.behavior == number
        if of_it.any():
            returns, steps = by_cluster(data.reward[of_it].astype(np.float64), data.episode[of_it])
            found[name] = returns, steps.astype(np.int64)
    return found
