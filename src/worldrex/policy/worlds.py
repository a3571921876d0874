"""Worlds to learn in: what answers an action with what comes next, and the model as one."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Int, PRNGKeyArray

from worldrex.data import Transitions
from worldrex.dynamics import Features, Prediction, WorldModel, rule_of
from worldrex.dynamics.ensemble import Network
from worldrex.dynamics.features import TURN, short_way
from worldrex.dynamics.normalizer import Normalizer
from worldrex.policy.behavior_spread import Spread, spread_of
from worldrex.policy.errors import PolicyError
from worldrex.policy.uncertainties import MEASURES, UncertaintyName


class Outcome(NamedTuple):
    """What a world answers, in the data's own units."""

    next_obs: Float[Array, "batch obs"]
    reward: Float[Array, " batch"]
    uncertainty: Float[Array, " batch"]
    """How far the world does not know; 0 where it does."""
    terminated: Bool[Array, " batch"]
    """Whether the episode ends here for good."""


@runtime_checkable
class World(Protocol):
    """A pytree of arrays that answers actions; it may be traced, mapped and stacked."""

    def step(self, obs: Float[Array, "batch obs"], action: Float[Array, "batch act"], *, key: PRNGKeyArray) -> Outcome:
        """One step from each observation. What is not finite cuts the rollout that asked."""
        ...


@jax.tree_util.register_static
@dataclass(frozen=True)
class Terms:
    """What a compiled program knows of an ensemble: how its outputs are read, and what its uncertainty is."""

    features: Features
    termination: str
    uncertainty: UncertaintyName


class EnsembleWorld(NamedTuple):
    """A world model's elites as a world: each step of each rollout is drawn from an elite at random.

        next_obs, reward ~ N(mean_e, std_e^2),  e uniform;   then within [low, high], angles taken back into their turn

    A given rule ends the episode by the drawn next_obs; a learned head by a draw of the elites' mean probability.
    """

    networks: Network
    """The elites, with a leading axis."""
    normalizer: Normalizer
    low: Float[Array | np.ndarray, " output"]
    """Least next_obs and reward."""
    high: Float[Array | np.ndarray, " output"]
    terms: Terms
    spread: Spread | None = None
    """What `behavior_spread` measures."""

    def step(self, obs: Float[Array, "batch obs"], action: Float[Array, "batch act"], *, key: PRNGKeyArray) -> Outcome:
        """One step from each observation."""
        return self.step_by(self.draw_elite(obs.shape[0], key=key), obs, action, key=key)

    def draw_elite(self, batch: int, *, key: PRNGKeyArray) -> Int[Array, " batch"]:
        """The elite that each step of `step` is drawn from."""
        return jax.random.randint(jax.random.split(key, 3)[0], (batch,), 0, self.networks.mean[0].shape[0])

    def step_by(
        self, elite: Int[Array, " batch"], obs: Float[Array, "batch obs"], action: Float[Array, "batch act"], *,
        key: PRNGKeyArray,
    ) -> Outcome:  # fmt: skip
        """One step from each observation, drawn from that elite; the uncertainty and a learned end are of all of them."""
        _, for_noise, for_stop = jax.random.split(key, 3)
        told, means, stds = self._told(obs, action)
        record = jnp.arange(obs.shape[0])
        drawn = means[elite, record] + stds[elite, record] * jax.random.normal(for_noise, means.shape[1:])
        bounded = jnp.where(
            jnp.isfinite(drawn), jnp.clip(self._wrapped(drawn), self.low[None], self.high[None]), jnp.nan
        )
        rule = rule_of(self.terms.termination)
        if rule is not None:
            terminated = jnp.asarray(rule.ends(drawn[:, :-1]))
        elif self.networks.stop is not None:
            terminated = jax.random.uniform(for_stop, record.shape) < told.terminated
        else:
            terminated = jnp.zeros(record.shape, bool)
        return Outcome(bounded[:, :-1], bounded[:, -1], self._measure(obs, action, means, stds), terminated)

    def uncertainty(
        self, obs: Float[Array | np.ndarray, "batch obs"], action: Float[Array | np.ndarray, "batch act"]
    ) -> Float[Array, " batch"]:
        """That of a step from each observation."""
        obs, action = jnp.asarray(obs), jnp.asarray(action)
        return self._measure(obs, action, *self._told(obs, action)[1:])

    def _told(self, obs: Array, action: Array) -> tuple[Prediction, Array, Array]:
        """The prediction, and of each elite the mean and deviation of next_obs and reward."""
        elites = np.arange(self.networks.mean[0].shape[0])
        seen = self.terms.features, self.terms.termination
        told = WorldModel(self.networks, self.normalizer, elites, obs.shape[-1], (), {}, *seen).predict(obs, action)
        means = jnp.concatenate([told.member_next_obs, told.member_reward[..., None]], -1)
        stds = jnp.concatenate([told.member_next_obs_std, told.member_reward_std[..., None]], -1)
        return told, means, stds

    def _measure(self, obs: Array, action: Array, means: Array, stds: Array) -> Float[Array, " batch"]:
        if self.spread is not None:
            return self.spread.measure(self.terms.features, self.normalizer, obs, action)
        if self.terms.uncertainty == "bellman":
            return jnp.zeros(obs.shape[0])  # it is the critics' to say
        scale = self.normalizer.output_std[None, None]
        return MEASURES[self.terms.uncertainty](means / scale, stds / scale)

    def _wrapped(self, drawn: Float[Array, "batch output"]) -> Float[Array, "batch output"]:
        """Angles that went beyond their turn, within it again; one without bounds stays as it is."""
        for angle in self.terms.features.angles or ():
            middle = 0.5 * (self.low[angle] + self.high[angle])
            within = middle + short_way(drawn[:, angle] - middle)
            drawn = drawn.at[:, angle].set(jnp.where(jnp.isfinite(middle), within, drawn[:, angle]))
        return drawn


def world_of(
    model: WorldModel, data: Transitions | None, *, uncertainty: UncertaintyName, margin: float
) -> EnsembleWorld:
    """The model as a world, its outputs bounded by the log's; without a log, by nothing.

        low = least - margin (greatest - least),   high = greatest + margin (greatest - least)

    An angle that the log has within one turn is bounded by that turn, [-pi, pi) or [0, 2 pi); another one is not.

    **Raises:** `PolicyError` for a model that sees a history, a log of other widths, or the uncertainty `behavior_spread`
    without a log of several behaviors.
    """
    if model.features.history > 1:
        raise PolicyError(
            f"the model sees {model.features.history} steps, and a policy is learned in a model of one step: fit one with "
            "--features.history 1 (--history 1 of `worldrex fit`)."
        )
    if data is None and uncertainty == "behavior_spread":
        raise PolicyError(
            "uncertainty behavior_spread is measured on the log: give the logs that the model was fitted on."
        )
    if data is None:
        low, high = (np.full(model.obs_dims + 1, end) for end in (-np.inf, np.inf))
    else:
        low, high = _bounds(model, data, margin)
    return EnsembleWorld(
        jax.tree.map(lambda x: jnp.asarray(x)[model.elites], model.networks),
        jax.tree.map(jnp.asarray, model.normalizer),
        jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32),
        Terms(model.features, model.termination, uncertainty),
        spread_of(model, data) if data is not None and uncertainty == "behavior_spread" else None,
    )  # fmt: skip


def _bounds(
    model: WorldModel, data: Transitions, margin: float
) -> tuple[Float64[np.ndarray, " output"], Float64[np.ndarray, " output"]]:
    widths = data.obs.shape[1], data.action.shape[1]
    inputs = model.features.num_inputs(model.obs_dims, widths[1])
    if widths[0] != model.obs_dims or inputs != model.normalizer.input_mean.shape[-1]:
        raise PolicyError(
            f"the log's obs and action are {widths[0]} and {widths[1]} wide, and the model was fitted on others (obs of "
            f"{model.obs_dims}): give the logs that it was fitted on."
        )
    columns = np.concatenate([data.obs, data.next_obs]), data.reward[:, None]
    least = np.concatenate([column.min(0) for column in columns]).astype(np.float64)
    greatest = np.concatenate([column.max(0) for column in columns]).astype(np.float64)
    low, high = least - margin * (greatest - least), greatest + margin * (greatest - least)
    for angle in model.features.angles or ():
        turns = [(-np.pi, np.pi), (0.0, TURN)]
        low[angle], high[angle] = next(
            (turn for turn in turns if turn[0] - 1e-3 <= least[angle] and greatest[angle] <= turn[1] + 1e-3),
            (-np.inf, np.inf),
        )
    return low, high
