"""What one pass of forward passes over a log finds: each record's errors, likelihoods, intervals and uncertainty."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Float64, Int

from worldrex.data import Transitions
from worldrex.dynamics import Features, WorldModel, first_of_episode
from worldrex.evaluation.calibration import (
    BINS,
    LEVELS,
    log_densities,
    mixture_crps,
    mixture_nll,
    mixture_pit,
)

BLOCK = 8192  # records predicted at once: bounds the memory, and compiles one shape for every log


class OutputMeans(NamedTuple):
    """Means over the records, of each output apart, in normalized units."""

    squared: Float[np.ndarray, " output"]
    nll: Float[np.ndarray, " output"]
    crps: Float[np.ndarray, " output"]
    covered: Float[np.ndarray, "level output"]
    sharpness: Float[np.ndarray, " output"]
    """Standard deviation of the mixture."""
    pit: Float[np.ndarray, "bin output"]
    """Share of the records whose PIT value falls in each of the bins."""


class RecordScores(NamedTuple):
    """Of each record, in normalized units; where not said otherwise the mean over the outputs. And of each output."""

    squared: Float32[np.ndarray, " record"]
    """Squared error of the elites' mean."""
    nll: Float32[np.ndarray, " record"]
    """Negative log-likelihood of the elites' mixture of each output, in nats."""
    crps: Float32[np.ndarray, " record"]
    covered: Float32[np.ndarray, "record level"]
    """Share of the outputs whose truth lies in the mixture's central interval of these `LEVELS`."""
    joint_nll: Float32[np.ndarray, " record"]
    """Negative log-likelihood of all outputs together, in nats."""
    distance: Float32[np.ndarray, " record"]
    """Squared error in units of the mixture's variance, summed over the outputs: see `calibration.joint_pit`."""
    total: Float32[np.ndarray, " record"]
    """Standard deviation of the mixture, root mean square over the outputs; the two below make it up."""
    epistemic: Float32[np.ndarray, " record"]
    """Standard deviation over the elites of their means."""
    aleatoric: Float32[np.ndarray, " record"]
    """Noise that the elites expect."""
    outputs: OutputMeans


def score_records(
    model: WorldModel,
    data: Transitions,
    scale: Float[np.ndarray, " output"],
    rows: Int[np.ndarray, " row"] | None = None,
) -> RecordScores:
    """Everything that is told of single records, in one pass of forward passes over blocks.

    **Arguments:** the log, of one record or more, and the `scale` that makes errors normalized (`output_scale`); `rows` of
    the log, where not all of it is scored: a model that sees the past sees that of the whole log.
    """
    networks = jax.device_put(jax.tree.map(lambda x: jnp.asarray(x)[model.elites], model.networks))
    normalizer = jax.tree.map(jnp.asarray, model.normalizer)
    first = first_of_episode(data.episode)
    count = len(data) if rows is None else len(rows)
    found = []
    for start in range(0, count, BLOCK):
        # The last block is filled up with its last record.
        places = np.minimum(np.arange(start, start + BLOCK), count - 1)
        at = places if rows is None else rows[places]
        obs, action = model.features.past(data, at, first)
        found.append(
            _score_block(
                networks, normalizer, np.asarray(scale, np.float32), obs, action, data.next_obs[at],
                data.reward[at], np.int32(min(BLOCK, count - start)), obs_dims=model.obs_dims,
                features=model.features,
            )
        )  # fmt: skip
    of_record = {name: np.concatenate([np.asarray(block[name]) for block, _ in found])[:count] for name in found[0][0]}
    sums: dict[str, Float64[np.ndarray, "*shape"]] = {
        name: np.sum([np.asarray(block[name], np.float64) for _, block in found], axis=0) for name in found[0][1]
    }
    return RecordScores(**of_record, outputs=OutputMeans(**{name: x / count for name, x in sums.items()}))


@partial(jax.jit, static_argnames=("obs_dims", "features"))
def _score_block(
    networks: Any, normalizer: Any, scale: Array, obs: Array, action: Array, next_obs: Array, reward: Array,
    count: Array, *, obs_dims: int, features: Features,
) -> tuple[dict[str, Array], dict[str, Array]]:  # fmt: skip
    """Of each record of a block, and the sums of each output over the first `count` records."""
    elites = np.arange(networks.mean[0].shape[0])
    model = WorldModel(networks, normalizer, elites, obs_dims, (), {}, features, "none")
    told = model.predict(obs, action)
    present = obs if features.history == 1 else obs[:, -1]
    # The truth in the terms in which the model tells it, so that an angle is compared the short way round.
    true = features.next_obs(present, features.outputs(present, next_obs, reward)[:, :-1])
    gap = jnp.concatenate([told.member_next_obs - true[None], (told.member_reward - reward[None])[..., None]], -1)
    std = jnp.concatenate([told.member_next_obs_std, told.member_reward_std[..., None]], -1)
    gap, std = gap / scale[None, None], std / scale[None, None]
    error = gap.mean(0)
    epistemic, aleatoric = gap.var(0), jnp.square(std).mean(0)
    total = epistemic + aleatoric
    densities = log_densities(gap, std)
    pit = mixture_pit(gap, std)
    of_output = {
        "squared": jnp.square(error),
        "nll": mixture_nll(densities),
        "crps": mixture_crps(gap, std),
        "covered": jnp.stack([jnp.abs(pit - 0.5) <= level / 2 for level in LEVELS], 1).astype(jnp.float32),
    }
    of_record = {name: x.mean(-1) for name, x in of_output.items()} | {
        "joint_nll": mixture_nll(densities.sum(-1)),
        "distance": (jnp.square(error) / total).sum(-1),
        "total": jnp.sqrt(total.mean(-1)),
        "epistemic": jnp.sqrt(epistemic.mean(-1)),
        "aleatoric": jnp.sqrt(aleatoric.mean(-1)),
    }
    bins = jnp.arange(BINS, dtype=jnp.float32)[None, :, None]
    of_output["sharpness"] = jnp.sqrt(total)
    of_output["pit"] = (jnp.minimum(jnp.floor(pit * BINS), BINS - 1)[:, None] == bins).astype(jnp.float32)
    counted = jnp.arange(reward.shape[0]) < count
    return of_record, {
        name: jnp.where(counted.reshape(-1, *(1,) * (x.ndim - 1)), x, 0.0).sum(0) for name, x in of_output.items()
    }
