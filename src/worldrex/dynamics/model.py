"""The fitted world model: predictions in the data's own units, and its save and load."""

import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, PRNGKeyArray

from worldrex import sealed
from worldrex.dynamics.ensemble import Network, apply_network, named_arrays, network_of, parts_of
from worldrex.dynamics.features import Features
from worldrex.dynamics.normalizer import Normalizer
from worldrex.dynamics.terminations import rule_of


class ModelError(ValueError):
    """A model folder or an input that cannot be used; the message says what came and what was expected."""


# Format 1 had no other heads than those of a Gaussian, format 2 saw one step and told changes only.
KIND = sealed.Kind("model", (1, 2, 3), "`worldrex fit` or `worldrex run`", "fit again", ModelError)


class Prediction(NamedTuple):
    """Of next_obs and reward, in the data's own units; the mixture of the elites, and each of them."""

    next_obs: Float32[Array, "batch obs"]
    next_obs_std: Float32[Array, "batch obs"]
    reward: Float32[Array, " batch"]
    reward_std: Float32[Array, " batch"]
    member_next_obs: Float32[Array, "elite batch obs"]
    member_next_obs_std: Float32[Array, "elite batch obs"]
    member_reward: Float32[Array, "elite batch"]
    member_reward_std: Float32[Array, "elite batch"]
    terminated: Float32[Array, " batch"]
    """Probability that the episode ends for good here: mean over the elites of what a head learned, or share of the elites
    whose next_obs a given rule ends; 0 where there is neither."""

    @property
    def epistemic(self) -> Float32[Array, "batch output"]:
        """What the elites disagree on: standard deviation over them of each mean, next_obs then the reward."""
        return jnp.concatenate([self.member_next_obs, self.member_reward[..., None]], -1).std(0)

    @property
    def aleatoric(self) -> Float32[Array, "batch output"]:
        """The noise that the elites expect: root mean square over them of each standard deviation."""
        stds = jnp.concatenate([self.member_next_obs_std, self.member_reward_std[..., None]], -1)
        return jnp.sqrt(jnp.square(stds).mean(0))


class WorldModel(NamedTuple):
    """An ensemble with its normalizer; `elites` are the members that predict."""

    networks: Network
    """Parameters with a leading `member` axis."""
    normalizer: Normalizer
    elites: Int[np.ndarray, " elite"]
    obs_dims: int
    behavior_names: tuple[str, ...]
    """The behaviors of the log it was fitted on."""
    trained: dict
    """How it was trained: the configuration, for the reader."""
    features: Features = Features()
    """What the networks see and in which terms they predict."""
    termination: str = "learned"
    """As in `TrainConfig`."""

    def predict(
        self, obs: Float[Array | np.ndarray, "batch *past obs"], action: Float[Array | np.ndarray, "batch *past act"]
    ) -> Prediction:
        """Next observation and reward with their uncertainty.

            mean = 1/E sum_e mean_e,   std^2 = 1/E sum_e std_e^2 + Var_e(mean_e)

        **Arguments:** `obs` and `action` in the data's own units: `[batch, width]`; for a model with a history of k steps
        `[batch, k, width]`, the present one last, as `features.past` takes them from a log. **Returns:** `Prediction`.

        **Raises:** `ModelError` for shapes other than those the model was fitted on.
        """
        for name, values in (("obs", obs), ("action", action)):
            if not hasattr(values, "ndim"):
                raise ModelError(f"{name} is a {type(values).__name__}; give an array, such as np.array([[0.5, 0.1]]).")
        width = self.normalizer.input_mean.shape[-1]
        history = self.features.history
        if obs.ndim != (2 if history == 1 else 3) or (history > 1 and obs.shape[1] != history):
            raise ModelError(
                f"obs has shape {obs.shape}; this model sees {'the present step' if history == 1 else f'{history} steps'}: "
                f"give [batch, {'' if history == 1 else f'{history}, '}{self.obs_dims}]."
            )
        if obs.shape[:-1] != action.shape[:-1]:
            raise ModelError(
                f"obs has shape {obs.shape} and action {action.shape}; give an action for each of the obs."
            )
        if obs.shape[-1] != self.obs_dims or self._num_inputs(action.shape[-1]) != width:
            fitted = next(n for n in range(width + 1) if self._num_inputs(n) >= width)
            raise ModelError(
                f"obs has shape {obs.shape} and action {action.shape}; this model was fitted on widths of {self.obs_dims} and "
                f"{fitted}"
            )
        elites = jax.tree.map(lambda x: x[self.elites], self.networks)
        obs, action = jnp.asarray(obs, jnp.float32), jnp.asarray(action, jnp.float32)
        mean, std, stop = _outputs(elites, self.normalizer, obs, action, self.features)
        present = obs if history == 1 else obs[:, -1]
        next_obs = self.features.next_obs(present, mean[..., :-1])
        rule = rule_of(self.termination)
        if rule is not None:
            stop = rule.ends(next_obs).astype(jnp.float32)
        mean = jnp.concatenate([next_obs, mean[..., -1:]], -1)
        mixture = mean.mean(0)
        mixture_std = jnp.sqrt(jnp.square(std).mean(0) + mean.var(0))
        return Prediction(
            mixture[:, :-1], mixture_std[:, :-1], mixture[:, -1], mixture_std[:, -1],
            mean[..., :-1], std[..., :-1], mean[..., -1], std[..., -1], jnp.mean(stop, 0),
        )  # fmt: skip

    def _num_inputs(self, action_dims: int) -> int:
        return self.features.num_inputs(self.obs_dims, action_dims)

    def sample(
        self, obs: Float[Array | np.ndarray, "batch *past obs"], action: Float[Array | np.ndarray, "batch *past act"], *,
        key: PRNGKeyArray,
    ) -> tuple[Float32[Array, "batch obs"], Float32[Array, " batch"]]:  # fmt: skip
        """Draw next_obs and reward from the mixture: an elite at random for each record, then its Gaussian.

        **Arguments:** as for `predict`. **Returns:** next observations and rewards in the data's own units.
        """
        told = self.predict(obs, action)
        for_elite, for_noise = jax.random.split(key)
        batch = obs.shape[0]
        elite = jax.random.randint(for_elite, (batch,), 0, told.member_reward.shape[0])
        record = jnp.arange(batch)
        noise = jax.random.normal(for_noise, (batch, obs.shape[-1] + 1))
        next_obs = told.member_next_obs[elite, record] + told.member_next_obs_std[elite, record] * noise[:, :-1]
        return next_obs, told.member_reward[elite, record] + told.member_reward_std[elite, record] * noise[:, -1]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `model.safetensors` and then `model.json` into the folder `path`, each whole or not at all.

        A model that is there is replaced. **Raises:** `RunError` where it cannot be written.
        """
        description = {
            **parts_of(self.networks),
            "obs_dims": self.obs_dims,
            "elites": self.elites,
            "behavior_names": self.behavior_names,
            "features": asdict(self.features),
            "termination": self.termination,
            "trained": self.trained,
        }
        arrays = named_arrays({"networks": self.networks, "normalizer": self.normalizer})
        sealed.save(Path(path), KIND, arrays, description)


def load_model(path: str | os.PathLike[str]) -> WorldModel:
    """Read a model that `WorldModel.save` wrote.

    **Raises:** `ModelError` if the folder holds no model, a damaged one, or one of a format that this version does not
    read.
    """
    return sealed.read(Path(path), KIND, _from_arrays)


def _require_consistent(model: WorldModel) -> None:
    """Raise `ValueError` where the parts of a description do not fit its arrays."""
    members, outputs = model.networks.mean[0].shape[0], model.normalizer.output_mean.shape[-1]
    if outputs != model.obs_dims + 1:
        raise ValueError(f"obs_dims is {model.obs_dims}, of {outputs} outputs")
    if not len(model.elites) or model.elites.min() < 0 or model.elites.max() >= members:
        raise ValueError(f"elites are {model.elites.tolist()}, of {members} members")
    rule = rule_of(model.termination)
    asked = [model.features.absolute, model.features.angles, model.features.masked, rule.dims if rule else None]
    if any(dim >= model.obs_dims for dims in asked for dim in dims or ()):
        raise ValueError(f"a dimension beyond the {model.obs_dims} of obs")


def _from_arrays(arrays: dict[str, np.ndarray], description: dict) -> WorldModel:
    model = WorldModel(
        networks=network_of(arrays, description),
        normalizer=Normalizer(*(arrays[f"normalizer.{name}"] for name in Normalizer._fields)),
        elites=np.array(description["elites"], int),
        obs_dims=description["obs_dims"],
        behavior_names=tuple(description["behavior_names"]),
        trained=description["trained"],
        features=_features_of(description.get("features", {})),
        termination=description.get("termination", "learned"),
    )
    _require_consistent(model)
    return model


def _features_of(description: dict) -> Features:
    dims = {name: tuple(x) for name, x in description.items() if isinstance(x, list)}
    return Features(**{**description, **dims})


@partial(jax.jit, static_argnames="features")
def _outputs(
    networks: Network, normalizer: Normalizer, obs: Array, action: Array, features: Features
) -> tuple[Array, Array, Array]:
    inputs = (features.inputs(obs, action) - normalizer.input_mean[None]) / normalizer.input_std[None]
    told = jax.vmap(apply_network, (0, None))(networks, inputs)
    scale = normalizer.output_std[None, None]
    stop = jnp.zeros(told.mean.shape[:-1]) if told.stop is None else jax.nn.sigmoid(told.stop)
    return told.mean * scale + normalizer.output_mean[None, None], jnp.exp(0.5 * told.log_var) * scale, stop
