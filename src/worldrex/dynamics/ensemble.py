"""The probabilistic network that is one member of the ensemble: a trunk with a mean and a log-variance head."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray


class Network(NamedTuple):
    """Parameters of one member; an ensemble has a leading `member` axis on each, a sweep a `run` axis before it."""

    trunk: tuple[tuple[Array | np.ndarray, Array | np.ndarray], ...]
    """Weight `[in, out]` and bias `[out]` of each hidden layer."""
    mean: tuple[Array | np.ndarray, Array | np.ndarray]
    log_var: tuple[Array | np.ndarray, Array | np.ndarray] | None
    """None, with its bounds, in a deterministic network."""
    min_log_var: Array | np.ndarray | None
    max_log_var: Array | np.ndarray | None
    stop: tuple[Array | np.ndarray, Array | np.ndarray] | None = None
    """Weight `[in, 1]` and bias `[1]` of the termination head; None where no episode ends."""


class Told(NamedTuple):
    """What a network tells of normalized inputs."""

    mean: Float[Array, "batch output"]
    log_var: Float[Array, "batch output"]
    """-inf in a deterministic network."""
    stop: Float[Array, " batch"] | None
    """Log odds that the episode ends for good."""


def init_network(
    num_inputs: int, num_outputs: int, hidden: tuple[int, ...], *, gaussian: bool = True, terminates: bool = False,
    key: PRNGKeyArray,
) -> Network:  # fmt: skip
    """A fresh member: LeCun-normal weights, zero biases, log-variance bounds at -10 and 0.5 (Chua et al. 2018)."""
    sizes = (num_inputs, *hidden)
    *trunk_keys, mean_key, log_var_key = jax.random.split(key, len(hidden) + 2)

    def layer(key: PRNGKeyArray, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        return jax.nn.initializers.lecun_normal()(key, (fan_in, fan_out)), jnp.zeros(fan_out)

    return Network(
        trunk=tuple(layer(k, *pair) for k, pair in zip(trunk_keys, pairwise(sizes), strict=True)),
        mean=layer(mean_key, sizes[-1], num_outputs),
        log_var=layer(log_var_key, sizes[-1], num_outputs) if gaussian else None,
        min_log_var=jnp.full(num_outputs, -10.0) if gaussian else None,
        max_log_var=jnp.full(num_outputs, 0.5) if gaussian else None,
        stop=layer(jax.random.fold_in(log_var_key, 1), sizes[-1], 1) if terminates else None,
    )


def apply_network(network: Network, inputs: Float[Array, "batch input"], *, detach_variance: bool = False) -> Told:
    """Mean and log variance of the normalized outputs given normalized inputs, and whether the episode ends.

        h = SiLU layers of x,  mean = h W_m + b_m,
        s = max - softplus(max - (h W_s + b_s)),  log_var = min + softplus(s - min)

    **Arguments:**

    - `network`: one member, without leading axes.
    - `inputs`: normalized.
    - `detach_variance`: the log-variance head reads the trunk without moving it, as the termination head always does.

    Source: bounds from Chua et al. 2018, arXiv 1805.12114, appendix A.1.
    """
    hidden = jnp.asarray(inputs)
    for weight, bias in network.trunk:
        hidden = jax.nn.silu(hidden @ weight + bias[None])
    mean = hidden @ jnp.asarray(network.mean[0]) + network.mean[1][None]
    detached = jax.lax.stop_gradient(hidden)
    stop = None if network.stop is None else (detached @ network.stop[0] + network.stop[1][None])[:, 0]
    if network.log_var is None or network.min_log_var is None or network.max_log_var is None:
        return Told(mean, jnp.full_like(mean, -jnp.inf), stop)
    low, high = network.min_log_var[None], network.max_log_var[None]
    log_var = (detached if detach_variance else hidden) @ network.log_var[0] + network.log_var[1][None]
    log_var = high - jax.nn.softplus(high - log_var)
    return Told(jnp.asarray(mean), jnp.asarray(low + jax.nn.softplus(log_var - low)), stop)


def named_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Every array of a tree by the path to it, as a file has them."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}


def parts_of(networks: Network) -> dict[str, Any]:
    """Which parts it has, as `network_of` asks for them."""
    return {
        "hidden_layers": len(networks.trunk),
        "gaussian": networks.log_var is not None,
        "terminates": networks.stop is not None,
    }


def network_of(arrays: Mapping[str, np.ndarray], parts: Mapping[str, Any]) -> Network:
    """The network, or networks, whose arrays are named "networks." and so on. **Raises:** `KeyError`."""

    def layer(name: str) -> tuple[np.ndarray, np.ndarray]:
        return arrays[f"networks.{name}.0"], arrays[f"networks.{name}.1"]

    gaussian = parts.get("gaussian", True)
    return Network(
        trunk=tuple(layer(f"trunk.{i}") for i in range(parts["hidden_layers"])),
        mean=layer("mean"),
        log_var=layer("log_var") if gaussian else None,
        min_log_var=arrays["networks.min_log_var"] if gaussian else None,
        max_log_var=arrays["networks.max_log_var"] if gaussian else None,
        stop=layer("stop") if parts.get("terminates") else None,
    )
