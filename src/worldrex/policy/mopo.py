"""Learn policies inside world models (MOPO): one, or several that differ in pessimism, seed and model as one program."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from worldrex.data import Transitions, require_valid
from worldrex.dynamics import WorldModel, first_of_episode, longest_episode
from worldrex.policy.absorbing import absorbing_of
from worldrex.policy.errors import PolicyError
from worldrex.policy.learning import Learned, Progress, learn
from worldrex.policy.policy import Policy
from worldrex.policy.programs import Setting
from worldrex.policy.replay import Batch
from worldrex.policy.scales import scales_of
from worldrex.policy.settings import MOPOConfig, PolicyRun, require_learnable
from worldrex.policy.worlds import world_of

T = TypeVar("T")


def optimize(
    model: WorldModel, data: Transitions, config: MOPOConfig | None = None, *,
    report: Callable[[Progress], None] | None = None, tick: Callable[[int, int], None] | None = None, **more: Any,
) -> Policy:  # fmt: skip
    """Learn a policy inside the model, pessimistic where the model does not know (MOPO).

    **Arguments:**

    - `model`: where the rollouts take place.
    - `data`: the log; rollouts branch off from its observations.
    - `config`: pessimism, rollouts and updates.
    - `report`, `tick` and what else `learn` takes: `checkpoint`, ...

    **Returns:** the `Policy`. **Raises:** `DataError`, `PolicyError` for what cannot be used, `TrainingError`.

    Source: Yu et al. 2020, arXiv 2005.13239, algorithm 2.
    """
    config = config or MOPOConfig()
    runs = [PolicyRun(config.pessimism, config.seed)]
    return optimize_runs([model], data, runs, config, report=report, tick=tick, **more).policies[0]


def optimize_runs(
    models: Sequence[WorldModel], data: Transitions, runs: Sequence[PolicyRun], config: MOPOConfig, *,
    report: Callable[[Progress], None] | None = None, tick: Callable[[int, int], None] | None = None, **more: Any,
) -> Learned:  # fmt: skip
    """A policy for each run, all as one program: several seeds, pessimism values and models of the same shape."""
    require_learnable(config)
    require_valid(data)
    return learn(
        setting_of(models, data, config), runs, config, longest_episode(data.episode), report=report, tick=tick, **more
    )


def setting_of(models: Sequence[WorldModel], data: Transitions, config: MOPOConfig) -> Setting:
    """What policies learn from.

    **Raises:** `PolicyError` for models that differ in more than their numbers, or that do not fit the log or the actions.
    """
    worlds = [world_of(model, data, uncertainty=config.uncertainty, margin=config.margin) for model in models]
    if len({(jax.tree.structure(world), tuple(x.shape for x in jax.tree.leaves(world))) for world in worlds}) > 1:
        raise PolicyError("the models differ in their size, features or termination: learn in each by itself.")
    scales = scales_of(data, config.action_low, config.action_high)
    columns = (
        scales.standardized(data.obs), np.clip(scales.to_unit(data.action), -1, 1), data.reward,
        scales.standardized(data.next_obs), data.terminated.astype(np.float32),
    )  # fmt: skip
    first = data.obs[np.unique(first_of_episode(data.episode))]
    absorbing = None
    if config.absorb_beyond is not None:
        terms = {"quantile": config.absorb_beyond, "reward": config.absorb_reward, "discount": config.discount}
        absorbing = stacked([absorbing_of(world, data, **terms) for world in worlds])
    return Setting(stacked(worlds), scales, Batch(*map(jnp.asarray, columns)), data.obs, first, absorbing)


def stacked(worlds: Sequence[T]) -> T:
    """Worlds of the same shapes, or what belongs to each, as one with a leading axis on each array."""
    # XLA would simplify the choice among one, and round otherwise than in company.
    worlds = [*worlds, *worlds] if len(worlds) == 1 else worlds
    return jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *worlds)
