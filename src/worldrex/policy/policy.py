"""The learned policy: what it does for an observation, and its save and load."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from worldrex import sealed
from worldrex.policy.errors import PolicyError
from worldrex.policy.networks import Actor, apply_actor, squashed
from worldrex.policy.scales import Scales

KIND = sealed.Kind("policy", (1,), "`worldrex optimize` or `Policy.save`", "optimize again", PolicyError)


class Policy(NamedTuple):
    """A squashed Gaussian of the observation."""

    actor: Actor
    scales: Scales
    trained: dict[str, Any]
    """How it was trained, for the reader."""

    def act(
        self, obs: Float[Array | np.ndarray, "*batch obs"], *, key: PRNGKeyArray | None = None
    ) -> Float32[Array, "*batch act"]:
        """The action for each observation, in the environment's own units and within its bounds.

            without key: the middle of the Gaussian, squashed;   with key: a draw

        **Raises:** `PolicyError` for observations of another width.
        """
        width, lead = self.scales.obs_mean.shape[-1], obs.shape[:-1]
        if not obs.ndim or obs.shape[-1] != width:
            raise PolicyError(f"obs has shape {obs.shape}; this policy sees observations of width {width}.")
        flat = jnp.asarray(obs, jnp.float32).reshape(-1, width)
        return act(self.actor, self.scales, flat, key).reshape(*lead, -1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `policy.safetensors` and then `policy.json` into the folder `path`, each whole or not at all.

        **Raises:** `RunError` where it cannot be written.
        """
        leaves, _ = jax.tree.flatten_with_path({"actor": self.actor, "scales": self.scales})
        arrays = {jax.tree_util.keystr(at, simple=True, separator="."): np.asarray(leaf) for at, leaf in leaves}
        description = {"hidden_layers": len(self.actor.trunk), "trained": self.trained}
        sealed.save(Path(path), KIND, arrays, description)


@jax.jit
def act(
    actor: Actor, scales: Scales, obs: Float[Array, "batch obs"], key: PRNGKeyArray | None
) -> Float[Array, "batch act"]:
    """The actions of `Policy.act`, compiled."""
    told = apply_actor(actor, scales.standardized(obs))
    unit = jnp.tanh(told.mean) if key is None else squashed(told, jax.random.normal(key, told.mean.shape))[0]
    return scales.from_unit(unit)


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """Read a policy that `Policy.save` wrote.

    **Raises:** `PolicyError` if the folder holds no policy, a damaged one, or one of a format that this version does not
    read.
    """
    return sealed.read(Path(path), KIND, _from_arrays)


def _from_arrays(arrays: dict[str, np.ndarray], description: dict[str, Any]) -> Policy:
    def layer(name: str) -> tuple[Array, Array]:
        return jnp.asarray(arrays[f"actor.{name}.0"]), jnp.asarray(arrays[f"actor.{name}.1"])

    trunk = tuple(layer(f"trunk.{number}") for number in range(description["hidden_layers"]))
    if len(arrays) != 2 * len(trunk) + 8:
        raise ValueError(f"{len(trunk)} hidden layers, and {len(arrays)} arrays")
    scales = Scales(*(arrays[f"scales.{name}"] for name in Scales._fields))
    policy = Policy(Actor(trunk, layer("mean"), layer("log_std")), scales, description["trained"])
    obs = jnp.zeros((1, scales.obs_mean.shape[0]))
    found = jax.eval_shape(act, policy.actor, scales, obs, None).shape
    if found != (1, len(scales.low)) or not (scales.low < scales.high).all():
        raise ValueError(f"actions of {found[1]} components between {scales.low} and {scales.high}")
    return policy
