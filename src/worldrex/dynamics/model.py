"""The fitted world model: predictions in the data's own units, and its save and load."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file

from worldrex.dynamics.ensemble import Network, apply_network
from worldrex.dynamics.normalizer import Normalizer

FORMAT = 1


class ModelError(ValueError):
    """A model folder or an input that cannot be used; the message says what came and what was expected."""


class Prediction(NamedTuple):
    """Of next_obs and reward, in the data's own units; the mixture of the elites, and each of them."""

    next_obs: Float32[Array, "batch obs"]
    next_obs_std: Float32[Array, "batch obs"]
    reward: Float32[Array, "batch"]
    reward_std: Float32[Array, "batch"]
    member_next_obs: Float32[Array, "elite batch obs"]
    member_next_obs_std: Float32[Array, "elite batch obs"]
    member_reward: Float32[Array, "elite batch"]
    member_reward_std: Float32[Array, "elite batch"]


class WorldModel(NamedTuple):
    """An ensemble with its normalizer; `elites` are the members that predict."""

    networks: Network
    """Parameters with a leading `member` axis."""
    normalizer: Normalizer
    elites: Int[np.ndarray, "elite"]
    obs_dims: int
    behavior_names: tuple[str, ...]
    """The behaviors of the log it was fitted on."""
    trained: dict
    """How it was trained: the configuration, for the reader."""

    def predict(self, obs: Float[Array | np.ndarray, "batch obs"], action: Float[Array | np.ndarray, "batch act"]) -> Prediction:
        """Next observation and reward with their uncertainty.

            mean = 1/E sum_e mean_e,   std^2 = 1/E sum_e std_e^2 + Var_e(mean_e)

        **Arguments:** `obs` and `action` in the data's own units. **Returns:** `Prediction`.

        **Raises:** `ModelError` for widths other than those the model was fitted on.
        """
        width = self.normalizer.input_mean.shape[-1]
        if obs.shape[-1] != self.obs_dims or obs.shape[-1] + action.shape[-1] != width:
            raise ModelError(
                f"obs is {obs.shape[-1]} wide and action {action.shape[-1]}; this model was fitted on {self.obs_dims} and "
                f"{width - self.obs_dims}"
            )
        elites = jax.tree.map(lambda x: x[self.elites], self.networks)
        mean, std = _outputs(elites, self.normalizer, jnp.asarray(obs, jnp.float32), jnp.asarray(action, jnp.float32))
        mean = mean.at[..., : self.obs_dims].add(jnp.asarray(obs, jnp.float32)[None])
        mixture = mean.mean(0)
        mixture_std = jnp.sqrt(jnp.square(std).mean(0) + mean.var(0))
        return Prediction(
            mixture[:, :-1], mixture_std[:, :-1], mixture[:, -1], mixture_std[:, -1],
            mean[..., :-1], std[..., :-1], mean[..., -1], std[..., -1],
        )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `model.safetensors` and `model.json` into the folder `path`, each whole or not at all.

        The JSON, which names the other's checksum-free partner, is written last: a folder with it is complete.
        """


@jax.jit
def _outputs(networks: Network, normalizer: Normalizer, obs: Array, action: Array) -> tuple[Array, Array]:
    inputs = (jnp.concatenate([obs, action], -1) - normalizer.input_mean[None]) / normalizer.input_std[None]
    mean, log_var = jax.vmap(apply_network, (0, None))(networks, inputs)
    scale = normalizer.output_std[None, None]
    return mean * scale + normalizer.output_mean[None, None], jnp.exp(0.5 * log_var) * scale
