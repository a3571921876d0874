"""What a perfect model of a task would know: its step, the risk that nobody can get under, and its slope in the action.

The task's own environment is set back to the state that an observation tells, and stepped from there.
"""

from statistics import NormalDist

import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float, Float64

from worldrex.tasks.gusty import TaskError
from worldrex.tasks.registry import Task

# Half the width of the central difference, in the action's unit: far above rounding, far below the outputs' curvature.
SLOPE_STEP = 1e-3
# The same in the gust; wide, since a foot that just touches the ground makes steps of what narrow ones see as slopes.
GUST_STEP = 0.25


def true_step(
    task: Task,
    obs: Float[np.ndarray, "record obs"],
    action: Float[np.ndarray, "record act"],
    gust: Float[np.ndarray, " record"],
) -> tuple[Float64[np.ndarray, "record obs"], Float64[np.ndarray, " record"]]:
    """One step of the task's own simulator from each record.

    Arguments:
        task: the task.
        obs: where each step starts.
        action: clipped to the action space, as the environment does.
        gust: the disturbance of each step, in the action's unit.

    Returns the next observations and the rewards.

    Raises TaskError where obs and action have other widths than the task.
    """
    widths = (obs.shape[1], action.shape[1])
    expected = (len(task.output_names) - 1, len(task.action_names))
    if widths != expected:
        raise TaskError(f"obs and action have {widths} columns; {task.name} has {expected}. Pass records of this task.")
    return task.make_gusty().step_from(obs, action, gust)


def noise_floor(
    task: Task,
    obs: Float[np.ndarray, "record obs"],
    action: Float[np.ndarray, "record act"],
    next_obs: Float[np.ndarray, "record obs"],
    reward: Float[np.ndarray, " record"],
    *,
    draws: int | None = None,
    seed: int = 0,
) -> Float64[np.ndarray, "record output"]:
    """Squared error of the true model on each logged record.

        (y - mean_gust y(obs, action, gust))^2,   y = (next_obs - obs, reward)

    The mean is over fresh gusts, drawn without regard to the action: what the action does, not what it reveals about
    the gust that the behavior saw.

    Arguments:
        task: the task that was logged.
        obs: what was seen.
        action: what was done.
        next_obs: what was seen next.
        reward: what was received.
        draws: gusts to average over, an even number; None for the task's own.
        seed: of the draws.

    Returns the squared error per output: the changes of the observation, then the reward.

    Raises TaskError for an odd number of draws.
    """
    logged = np.concatenate([next_obs - obs, reward[:, None]], axis=1, dtype=np.float64)
    return (logged - _mean_outputs(task, obs, action, _fresh_gusts(task, draws, seed))) ** 2


def true_slope(
    task: Task,
    obs: Float[np.ndarray, "record obs"],
    action: Float[np.ndarray, "record act"],
    *,
    draws: int | None = None,
    seed: int = 0,
) -> Float64[np.ndarray, "record output act"]:
    """Derivative in the action of the mean over fresh gusts of (next_obs - obs, reward).

    By central differences, one-sided at the actuator's limits; a gust that drives a record into the speed limit rightly
    adds nothing to its slope.

    Arguments:
        task: the task.
        obs: where to take the slope.
        action: likewise.
        draws: gusts to average over, an even number; None for the task's own.
        seed: of the draws.

    Raises TaskError for an odd number of draws.
    """
    gusts = _fresh_gusts(task, draws, seed)
    space = task.make_gusty().action_space
    assert isinstance(space, Box)
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    slopes = []
    for direction in np.eye(action.shape[1]):
        here = np.clip(action.astype(np.float64), low, high)
        ahead = np.clip(here + SLOPE_STEP * direction, low, high)
        behind = np.clip(here - SLOPE_STEP * direction, low, high)
        rise = _mean_outputs(task, obs, ahead, gusts) - _mean_outputs(task, obs, behind, gusts)
        slopes.append(rise / ((ahead - behind) @ direction)[:, None])
    return np.stack(slopes, axis=-1)


def gust_effect(
    task: Task, obs: Float[np.ndarray, "record obs"], action: Float[np.ndarray, "record act"]
) -> Float64[np.ndarray, "record output"]:
    """What a gust of 1 adds to (next_obs - obs, reward), by a central difference; the same for a task without gusts."""
    with_gust, against = (_mean_outputs(task, obs, action, np.array([gust])) for gust in (GUST_STEP, -GUST_STEP))
    return (with_gust - against) / (2 * GUST_STEP)


def _mean_outputs(
    task: Task,
    obs: Float[np.ndarray, "record obs"],
    action: Float[np.ndarray, "record act"],
    gusts: Float64[np.ndarray, " draw"],
) -> Float64[np.ndarray, "record output"]:
    """Mean over the gusts of (next_obs - obs, reward); a draw at a time, so that memory does not grow with them."""
    total = np.zeros((len(obs), len(task.output_names)))
    for gust in gusts:
        next_obs, reward = true_step(task, obs, action, np.full(len(obs), gust))
        total += np.concatenate([next_obs - obs, reward[:, None]], axis=1)
    return total / len(gusts)


def _fresh_gusts(task: Task, draws: int | None, seed: int) -> Float64[np.ndarray, " draw"]:
    """Normal draws of the task's strength: one per equally likely interval, in pairs ±, scaled to unit variance.

    So the mean of any quadratic in the gust is exact, and the outputs are nearly quadratic away from the speed limit.
    """
    draws = task.draws if draws is None else draws
    if draws < 2 or draws % 2:
        raise TaskError(f"draws is {draws}; the gusts are drawn in pairs ±: choose an even number of 2 or more.")
    pairs = draws // 2
    rng = np.random.default_rng(seed)
    # 1 - random() lies in (0, 1], so that no probability is 0.
    probability = (np.arange(pairs) + 1 - rng.random(pairs)) / draws
    half = np.array([NormalDist().inv_cdf(p) for p in probability])
    half /= np.sqrt(np.mean(half**2))
    return task.strength * np.concatenate([half, -half])
