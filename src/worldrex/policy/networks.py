"""The actor, a Gaussian squashed by tanh, and the critics."""

import math
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
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
    """A fresh actor."""
    *trunk, mean, log_std = jax.random.split(key, len(hidden) + 2)
    return Actor(_trunk(obs_dims, hidden, trunk), *(_layer(hidden[-1], action_dims, key=k) for k in (mean, log_std)))


def init_critics(
    critics: int, obs_dims: int, action_dims: int, hidden: tuple[int, ...], *, key: PRNGKeyArray
) -> Critics:
    """Fresh critics, each from a key of its own."""

    def one(key: PRNGKeyArray) -> Critics:
        *trunk, value = jax.random.split(key, len(hidden) + 1)
        return Critics(_trunk(obs_dims + action_dims, hidden, trunk), _layer(hidden[-1], 1, key=value))

    return jax.vmap(one)(jax.random.split(key, critics))


def apply_actor(actor: Actor, obs: Float[Array, "batch obs"]) -> Gaussian:
    """The Gaussian of each observation; log_std is clipped to [-20, 2]."""
    hidden = obs
    for weight, bias in actor.trunk:
        hidden = jax.nn.relu(hidden @ weight + bias[None])
    mean = hidden @ actor.mean[0] + actor.mean[1][None]
    log_std = hidden @ actor.log_std[0] + actor.log_std[1][None]
    return Gaussian(mean, jnp.clip(log_std, LOG_STD_LOW, LOG_STD_HIGH))


def apply_critics(
    critics: Critics, obs: Float[Array, "batch obs"], action: Float[Array, "batch act"]
) -> Float[Array, "critic batch"]:
    """Each critic's value of each action."""

    def one(critic: Critics) -> Array:
        hidden = jnp.concatenate([obs, action], -1)
        for weight, bias in critic.trunk:
            hidden = jax.nn.relu(hidden @ weight + bias[None])
        return (hidden @ critic.value[0] + critic.value[1][None])[:, 0]

    count = critics.value[1].shape[0]
    # One by one: on a CPU, faster than products with a leading axis.
    return jnp.stack([one(jax.tree.map(lambda x, number=number: x[number], critics)) for number in range(count)])


def squashed(
    told: Gaussian, noise: Float[Array, "batch act"]
) -> tuple[Float[Array, "batch act"], Float[Array, " batch"]]:
    """Actions in (-1, 1) and their log probability density.

        a = tanh(u),  u = mean + std noise
        log p(a) = sum_d [-noise^2 / 2 - log std - log(2 pi) / 2 - log(1 - tanh(u)^2)]
        log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)),   which does not cancel for large u

    **Arguments:** `noise`: standard normal draws. Source: Haarnoja et al. 2018, arXiv 1801.01290, appendix C.
    """
    before = told.mean + jnp.exp(told.log_std) * noise
    shrinks = 2 * (math.log(2) - before - jax.nn.softplus(-2 * before))
    density = -0.5 * jnp.square(noise) - told.log_std - 0.5 * math.log(2 * math.pi) - shrinks
    return jnp.tanh(before), density.sum(-1)


def _trunk(inputs: int, hidden: tuple[int, ...], keys: list[PRNGKeyArray]) -> tuple[Layer, ...]:
    sizes = pairwise((inputs, *hidden))
    return tuple(_layer(*size, key=key) for size, key in zip(sizes, keys, strict=True))


def _layer(fan_in: int, fan_out: int, *, key: PRNGKeyArray) -> Layer:
    """Uniform in +-1/sqrt(fan_in), bias included: PyTorch's default, which other SACs start from."""
    for_weight, for_bias = jax.random.split(key)
    bound = 1 / math.sqrt(fan_in)
    weight = jax.random.uniform(for_weight, (fan_in, fan_out), minval=-bound, maxval=bound)
    return weight, jax.random.uniform(for_bias, (fan_out,), minval=-bound, maxval=bound)
