"""Whole episodes in a real environment, as many as were asked for and no choice among them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from jaxtyping import Float, Float32, Float64, Int

from worldrex.evaluation.environments import EvaluationError

Chooser = Callable[[Float[np.ndarray, "env obs"], dict[str, Any]], Float[np.ndarray, "env act"]]
"""Actions for what each environment shows and for the info beside it."""


class Episodes(NamedTuple):
    """Of each episode; the first ones of each environment, environment by environment."""

    returns: Float64[np.ndarray, " episode"]
    """Sum of the rewards, undiscounted."""
    steps: Int[np.ndarray, " episode"]
    starts: Float32[np.ndarray, "episode obs"]
    """First observation."""


def run_episodes(
    env: VectorEnv, choose: Chooser, episodes: int, *, seed: int, tick: Callable[[int], None] | None = None
) -> Episodes:
    """Run so many episodes, each from its beginning to its end, however long the others take.

    Each environment has a fixed number of them to run, rather than the episodes that end first being taken: short ones would be
    preferred. Under the same seed all policies meet the same starts, and the same disturbances where these do not depend on
    the actions.

    **Arguments:** `env`, side by side, with next-step autoreset; closed in the end. `tick` is told the episodes that ended.

    **Raises:** `EvaluationError` for an action or a reward that is not finite.
    """
    space = env.single_action_space
    assert isinstance(space, Box)
    quotas = np.bincount(np.arange(episodes) % env.num_envs, minlength=env.num_envs)
    done = np.zeros(env.num_envs, np.int64)
    found: list[list[tuple[float, int, np.ndarray]]] = [[] for _ in quotas]
    obs, info = env.reset(seed=seed_of_first(seed))
    first = np.array(obs)
    total, steps = np.zeros(env.num_envs), np.zeros(env.num_envs, np.int64)
    ended = np.zeros(env.num_envs, bool)
    try:
        while (done < quotas).any():
            action = np.asarray(choose(obs, info))
            running = ~ended & (done < quotas)
            _require_finite(action[running], "the policy chose", obs[running])
            obs, reward, terminated, truncated, info = env.step(np.clip(action, space.low, space.high))
            _require_finite(reward[running], "the environment gave a reward of", obs[running])
            # Gymnasium resets in the step after an episode's end: that step ignores its action and is none of an episode.
            total, steps = np.where(ended, 0.0, total + reward), np.where(ended, 0, steps + 1)
            first[ended] = obs[ended]
            ended = terminated | truncated
            for number in np.flatnonzero(ended & running):
                found[number].append((float(total[number]), int(steps[number]), first[number].copy()))
                done[number] += 1
            if tick is not None:
                tick(int(done.sum()))
    finally:
        env.close()
    returns, lengths, starts = zip(*(episode for of_env in found for episode in of_env), strict=True)
    return Episodes(np.array(returns), np.array(lengths), np.array(starts, np.float32))


def seed_of_first(seed: int) -> int:
    """Seed of the first of several environments, far from that of another `seed`: the others count on from there."""
    return int(np.random.SeedSequence([seed, 2]).generate_state(1)[0])


def _require_finite(values: np.ndarray, what: str, obs: np.ndarray) -> None:
    bad = ~np.isfinite(values).all(tuple(range(1, values.ndim)))
    if bad.any():
        raise EvaluationError(
            f"{what} {values[bad][0]} beside the observation {obs[bad][0]}: no return can be told of such an episode."
        )
