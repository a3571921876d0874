"""Worlds and models with nothing to learn in them, and a small log."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from worldrex.data import Transitions
from worldrex.dynamics import Features, WorldModel
from worldrex.dynamics.ensemble import init_network
from worldrex.dynamics.normalizer import Normalizer
from worldrex.policy import Scales
from worldrex.policy.networks import Actor, init_actor
from worldrex.policy.worlds import Outcome

SCALES = Scales(*(np.array(x, np.float32) for x in ([0, 0], [1, 1], [-2], [2])))


class Counter(NamedTuple):
    """obs[0] grows by one at each step; what happens at which count is the world's."""

    ends_at: Float[Array, ""]
    breaks_at: Float[Array, ""]
    """The next obs is infinite from this count on."""

    def step(self, obs: Float[Array, "batch obs"], action: Float[Array, "batch act"], *, key: PRNGKeyArray) -> Outcome:
        """Reward and uncertainty are functions of the count."""
        count = obs[:, 0] + 1
        broken = count >= self.breaks_at
        after = jnp.stack([jnp.where(broken, jnp.inf, count), action[:, 0]], -1)
        return Outcome(after, 10 * count, 0.1 * count, count >= self.ends_at)


def counter(*, ends_at: float = np.inf, breaks_at: float = np.inf) -> Counter:
    return Counter(jnp.float32(ends_at), jnp.float32(breaks_at))


def actor_of(seed: int = 0, *, obs: int = 2, act: int = 1) -> Actor:
    return init_actor(obs, act, (8,), key=jax.random.key(seed))


def untrained(
    *, obs: int = 2, act: int = 1, members: int = 4, features: Features | None = None, termination: str = "none",
    terminates: bool = False, noise: float = 1.0,
) -> WorldModel:  # fmt: skip
    """A model whose networks are as they begin; `noise` is the scale of its outputs."""
    features = features or Features()
    inputs = features.num_inputs(obs, act)
    keys = jax.random.split(jax.random.key(0), members)
    networks = jax.vmap(lambda key: init_network(inputs, obs + 1, (8,), terminates=terminates, key=key))(keys)
    outputs = np.zeros(obs + 1, np.float32), np.full(obs + 1, noise, np.float32)
    normalizer = Normalizer(np.zeros(inputs, np.float32), np.ones(inputs, np.float32), *outputs)
    elites = np.arange(1, members)
    return WorldModel(networks, normalizer, elites, obs, ("one",), {}, features, termination)


def log_of(records: int = 60, *, obs: int = 2, act: int = 1, episode: int = 6, seed: int = 0) -> Transitions:
    """Unit normal draws in short episodes, actions in [-2, 2]."""
    rng = np.random.default_rng(seed)
    states, after = rng.normal(size=(2, records, obs)).astype(np.float32)
    row = np.arange(records)
    goes_on = row % episode < episode - 1
    after[goes_on] = states[1:][goes_on[:-1]]
    return Transitions(
        states, rng.uniform(-2, 2, (records, act)).astype(np.float32), rng.normal(size=records).astype(np.float32), after,
        terminated=np.zeros(records, bool), truncated=row % episode == episode - 1,
        episode=(row // episode).astype(np.int32), behavior=np.zeros(records, np.int32), behavior_names=("one",),
    )  # fmt: skip
