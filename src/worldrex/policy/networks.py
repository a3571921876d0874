"""The actor, a Gaussian squashed by tanh, and the critics."""

import math
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

Layer = tuple[Float[Array, "*lead in out"], Float[Array, "*lead out"]]
"""Weight and bias."""

LOG_STD_LOW, LOG_STD_HIGH = -20.0, 2.0


class Actor(NamedTuple):
    """Parameters of the policy; runs side by side have a leading `run` axis on each."""

    trunk: tuple[Layer, ...]
    mean: Layer
    log_std: Layer


class Critics(NamedTuple):
    """Parameters of the critics, each with a leading `critic` axis."""

    trunk: tuple[Layer, ...]
    value: Layer


class Gaussian(NamedTuple):
    """What the actor tells of each observation, before tanh."""

    mean: Float[Array, "batch act"]
    log_std: Float[Array, "batch act"]


def init_actor(obs_dims: int, action_dims: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> Actor:
    """A fresh actor: weights and biases uniform in +-1/sqrt(fan_in), PyTorch's default, which other SACs start from."""
    *trunk, mean, log_std = _layers((obs_dims, *hidden), (action_dims, action_dims), key=key)
    return Actor(tuple(trunk), mean, log_std)


def init_critics(
    critics: int, obs_dims: int, action_dims: int, hidden: tuple[int, ...], *, key: PRNGKeyArray
) -> Critics:
    """Fresh critics, each from a key of its own; weights and biases as the actor's."""

    def one(key: PRNGKeyArray) -> Critics:
        *trunk, value = _layers((obs_dims + action_dims, *hidden), (1,), key=key)
        return Critics(tuple(trunk), value)

    return jax.vmap(one)(jax.random.split(key, critics))


def apply_actor(actor: Actor, obs: Float[Array, "batch obs"]) -> Gaussian:
    """The Gaussian of each observation; log_std is clipped to [-20, 2]."""
    hidden = obs
    for weight, bias in actor.trunk:
        hidden = jax.nn.relu(hidden @ weight + bias[None])
    # One product for both: narrow ones are slow.
    weight, bias = (jnp.concatenate(pair, -1) for pair in zip(actor.mean, actor.log_std, strict=True))
    mean, log_std = jnp.split(hidden @ weight + bias[None], 2, axis=-1)
    return Gaussian(mean, jnp.clip(log_std, LOG_STD_LOW, LOG_STD_HIGH))


def apply_critics(
    critics: Critics, obs: Float[Array, "batch obs"], action: Float[Array, "batch act"]
) -> Float[Array, "critic batch"]:
    """Each critic's value of each action."""

    (weight, bias), *deeper = critics.trunk
    count, width = bias.shape
    # The first layers of all as one wide product, and the others one by one: batched ones must be laid out anew.
    wide = jnp.concatenate([obs, action], -1) @ weight.transpose(1, 0, 2).reshape(-1, count * width)
    hidden = jnp.split(jax.nn.relu(wide + bias.reshape(1, -1)), count, axis=-1)
    for weight, bias in deeper:
        hidden = [jax.nn.relu(hidden[k] @ weight[k] + bias[k][None]) for k in range(count)]
    weight, bias = critics.value
    return jnp.stack([(hidden[k] @ weight[k] + bias[k][None])[:, 0] for k in range(count)])


def squashed(
    told: Gaussian, noise: Float[Array, "batch act"]
) -> tuple[Float[Array, "batch act"], Float[Array, " batch"]]:
    """Actions in (-1, 1) and their log probability density.

        a = tanh(u),  u = mean + std noise
        log p(a) = sum_d [-noise^2 / 2 - log std - log(2 pi) / 2 - log(1 - tanh(u)^2)]
        log(1 - tanh(u)^2) = 2 (log 2 - |u| - log(1 + exp(-2 |u|))),   which does not cancel for large u

    **Arguments:** `noise`: standard normal draws. Source: Haarnoja et al. 2018, arXiv 1801.01290, appendix C.
    """
    before = told.mean + jnp.exp(told.log_std) * noise
    size = jnp.abs(before)
    # Not log1p, which is slow: what it saves is lost in the sum.
    shrinks = 2 * (math.log(2) - size - jnp.log(1 + jnp.exp(-2 * size)))
    density = -0.5 * jnp.square(noise) - told.log_std - 0.5 * math.log(2 * math.pi) - shrinks
    return jnp.tanh(before), density.sum(-1)


def _layers(sizes: tuple[int, ...], heads: tuple[int, ...], *, key: PRNGKeyArray) -> list[Layer]:
    """Hidden layers of these sizes, and heads on the last one; from one draw, since each is a program of its own to compile."""
    shapes = [*pairwise(sizes), *((sizes[-1], head) for head in heads)]
    counts = [(fan_in + 1) * fan_out for fan_in, fan_out in shapes]
    drawn = jnp.split(jax.random.uniform(key, (sum(counts),), minval=-1.0), np.cumsum(counts)[:-1])
    layers = []
    for (fan_in, fan_out), values in zip(shapes, drawn, strict=True):
        values = values / math.sqrt(fan_in)
        layers.append((values[fan_out:].reshape(fan_in, fan_out), values[:fan_out]))
    return layers
