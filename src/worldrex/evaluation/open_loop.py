"""Errors of a model that goes on from its own predictions: sampled trajectories along the actions that were logged."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, PRNGKeyArray

from worldrex.data import Transitions
from worldrex.dynamics import Features, ModelError, WorldModel, first_of_episode
from worldrex.dynamics.features import short_way
from worldrex.evaluation.calibration import LEVELS

HORIZON = 50
STARTS = 100
SAMPLES = 39  # with 39, the central 50, 90 and 95 % lie between ranks: 10 and 30, 2 and 38, 1 and 39 of 40


class OpenLoop(NamedTuple):
    """Of `next_obs` k steps after each start, k = 1, 2, ...; in normalized units, of each dimension of obs."""

    squared: Float32[np.ndarray, "step start obs"]
    """Squared error of the mean of the sampled trajectories."""
    persistence: Float32[np.ndarray, "step start obs"]
    """Squared error of the prediction that nothing changes."""
    variance: Float32[np.ndarray, "step start obs"]
    """Of the samples."""
    covered: Bool[np.ndarray, "level step start obs"]
    """Whether the truth lies in the central interval of these `LEVELS` of the samples."""
    rows: Int[np.ndarray, " start"]
    """The records that were started from."""


def starting_rows(
    data: Transitions, horizon: int, starts: int, *, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " start"], int]:
    """Records to start from, drawn without replacement, and how many steps all of them have before them.

    The steps are `horizon`, or fewer where the episodes are short: the most that `starts` records have, or half of
    the records of a smaller log. Every start then has all steps: the errors at 1 and 50 steps are of the same starts.
    """
    first = first_of_episode(data.episode)
    left = np.bincount(first, minlength=len(data))[first] - (np.arange(len(data)) - first)
    wanted = min(starts, (len(data) + 1) // 2)
    steps = min(horizon, int(np.sort(left)[-wanted]))
    rows = np.flatnonzero(left >= steps)
    return np.sort(rng.choice(rows, min(starts, len(rows)), replace=False)), steps


def open_loop(
    model: WorldModel, data: Transitions, scale: Float[np.ndarray, " output"], *, horizon: int = HORIZON,
    starts: int = STARTS, samples: int = SAMPLES, seed: int = 0,
) -> OpenLoop:  # fmt: skip
    """Roll sampled trajectories from drawn records along the logged actions, and compare them with the log.

    Each trajectory keeps one elite, drawn at random, and draws the noise of each step anew (TS-infinity of Chua et al. 2018,
    arXiv 1805.12114). It goes on to the end of the logged steps, whatever the model says of the episode's end.

    **Arguments:** the log, of one behavior say; `scale` of each output; how far, from how many records, with how many
    trajectories from each; `samples` + 1 a multiple of 40, so that an interval lies between ranks.

    **Raises:** `ModelError` for no records or another number of samples.
    """
    if not len(data):
        raise ModelError("open-loop errors need at least one record")
    if samples < 1 or (samples + 1) % 40:
        raise ModelError(f"samples is {samples}; take 39, 79, ...: one less than a multiple of 40.")
    rng = np.random.default_rng([seed, 50])
    rows, steps = starting_rows(data, horizon, starts, rng=rng)
    # Filled up, so that one program serves every behavior.
    padded = np.resize(rows, starts)
    ahead = padded[None] + np.minimum(np.arange(horizon), steps - 1)[:, None]
    obs, action = model.features.past(data, padded, first_of_episode(data.episode))
    networks = jax.tree.map(lambda x: jnp.asarray(x)[model.elites], model.networks)
    each, rest = divmod(starts * samples, len(model.elites))
    each += rest > 0
    # Trajectory t of start t // samples takes its place among those of an elite: as many for each.
    place_of = rng.permutation(each * len(model.elites))
    trajectory_at = np.argsort(place_of)
    start_at = (trajectory_at % (starts * samples) // samples).reshape(len(model.elites), each)
    told = _roll(
        networks, jax.tree.map(jnp.asarray, model.normalizer), jnp.asarray(scale[:-1], jnp.float32), obs, action,
        data.action[np.roll(ahead, -1, axis=0)], data.next_obs[ahead], start_at,
        place_of[: starts * samples].reshape(starts, samples), np.int32(steps),
        jax.random.key(int(rng.integers(2**31))), obs_dims=model.obs_dims, features=model.features,
    )  # fmt: skip
    squared, persistence, variance, covered = (np.asarray(x)[:steps, ..., : len(rows), :] for x in told)
    return OpenLoop(squared, persistence, variance, np.moveaxis(covered, 1, 0), rows)


@partial(jax.jit, static_argnames=("obs_dims", "features"))
def _roll(
    networks: Any, normalizer: Any, scale: Array, obs: Float[Array, "start *past obs"],
    action: Float[Array, "start *past act"], later_actions: Float[Array, "step start act"],
    truths: Float[Array, "step start obs"], start_at: Int[Array, "elite place"],
    place_of: Int[Array, "start sample"], steps: Int[Array, ""], key: PRNGKeyArray, *, obs_dims: int,
    features: Features,
) -> tuple[Array, ...]:  # fmt: skip
    present = obs if features.history == 1 else obs[:, -1]
    turns = np.isin(np.arange(obs_dims), features.angles or ())
    samples = place_of.shape[1]
    ranks = [round((samples + 1) * (1 - level) / 2) for level in LEVELS]

    def difference(a: Array, b: Array) -> Array:
        """Of angles the short way round."""
        change = a - b
        return jnp.where(turns.reshape(*(1,) * (change.ndim - 1), -1), short_way(change), change)

    def of_elite(network: Any, obs: Array, action: Array) -> tuple[Array, Array]:
        alone = jax.tree.map(lambda x: x[None], network)
        model = WorldModel(alone, normalizer, np.zeros(1, int), obs_dims, (), {}, features, "none")
        told = model.predict(obs, action)
        return told.next_obs, told.next_obs_std

    def step(carry: tuple[Array, Array], now: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Any]:
        (obs, action), (later_action, truth, key) = carry, now
        mean, std = jax.vmap(of_elite)(networks, obs, action)
        after = mean + std * jax.random.normal(key, mean.shape)
        drawn = after.reshape(-1, obs_dims)[place_of]
        centre = drawn.mean(1)
        # About the mean of the samples, which may have gone beyond a whole turn.
        true, spread = difference(truth, centre), drawn - centre[:, None]
        below, above = (spread <= true[:, None]).sum(1), (spread >= true[:, None]).sum(1)
        covered = jnp.stack([(below >= rank) & (above >= rank) for rank in ranks])
        found = (
            jnp.square(true / scale[None]),
            jnp.square(difference(present, truth) / scale[None]),
            jnp.square(spread / scale[None, None]).sum(1) / (samples - 1),
            covered,
        )
        if features.history == 1:
            return (after, later_action[start_at]), found
        obs = jnp.concatenate([obs[:, :, 1:], after[:, :, None]], 2)
        return (obs, jnp.concatenate([action[:, :, 1:], later_action[start_at][:, :, None]], 2)), found

    def step_if_any(carry: tuple[Array, Array], now: tuple[Array, Any]) -> tuple[tuple[Array, Array], Any]:
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(step, carry, now[1])[1])
        return jax.lax.cond(now[0] < steps, step, lambda carry, _: (carry, nothing), carry, now[1])

    number, keys = jnp.arange(len(truths), dtype=jnp.int32), jax.random.split(key, len(truths))
    begin = obs[start_at], action[start_at]
    return jax.lax.scan(step_if_any, begin, (number, (later_actions, truths, keys)))[1]
