"""A linear system that hidden gusts push, logged by operators who steer against what they see coming; and its truth."""

import numpy as np
from jaxtyping import Float32

from worldrex.data import Transitions

STEPS = 20
MEMORY = np.array([[1.0, 0.1], [-0.2, 0.9]])
"""The next obs is MEMORY obs + PUSH (action + gust): the gust changes the speed, obs[1], and nothing else."""
PUSH = np.array([0.0, 0.5])
WORTH, EFFORT = np.array([-0.3, 0.2]), -0.4
"""The reward is WORTH obs + EFFORT action."""
SLOPE = np.array([*PUSH, EFFORT])
"""True derivative of (next_obs - obs, reward) in the action."""
OPERATORS = ((1.0, 0.0), (1.2, -0.4), (0.8, -0.8), (1.4, -1.2))
"""Feedback on the speed, and the share of the gust that the operator steers with (negative: against)."""


def gust_log(
    episodes: int = 20,
    *,
    operators: tuple[tuple[float, float], ...] = OPERATORS,
    strength: float = 1.0,
    seed: int = 0,
) -> Transitions:
    """`episodes` of 20 records for each operator; a gust of that strength each step, which no column tells."""
    rng = np.random.default_rng(seed)
    feedback, sight = np.array(operators).T.repeat(episodes, axis=1)
    state = rng.normal(size=(len(feedback), 2))
    columns = []
    for _ in range(STEPS):
        gust = strength * rng.normal(size=len(feedback))
        action = -feedback * state[:, 1] + sight * gust + 0.5 * rng.normal(size=len(feedback))
        after = state @ MEMORY.T + np.outer(action + gust, PUSH)
        columns.append((state, action[:, None], state @ WORTH + EFFORT * action, after))
        state = after
    obs, action, reward, next_obs = (
        np.stack(column, axis=1).reshape(-1, *column[0].shape[1:]).astype(np.float32)
        for column in zip(*columns, strict=True)
    )
    return Transitions(
        obs, action, reward, next_obs,
        terminated=np.zeros(len(obs), bool),
        truncated=np.arange(len(obs)) % STEPS == STEPS - 1,
        episode=np.arange(len(obs), dtype=np.int32) // STEPS,
        behavior=np.arange(len(obs), dtype=np.int32) // (STEPS * episodes),
        behavior_names=tuple(f"operator {number}" for number in range(len(operators))),
    )  # fmt: skip


def true_outputs(data: Transitions) -> Float32[np.ndarray, "record output"]:
    """What the true model predicts of each record: next_obs - obs and the reward, without gust."""
    drift = data.obs @ (MEMORY - np.eye(2)).T
    return np.column_stack([drift, data.obs @ WORTH]).astype(np.float32) + data.action * SLOPE.astype(np.float32)
