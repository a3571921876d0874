"""Behavior cloning: the baseline that imitates whoever logged."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array

from worldrex.data import Transitions, require_valid
from worldrex.dynamics.optimizer import adam_step, init_adam
from worldrex.policy.networks import Actor, apply_actor, init_actor
from worldrex.policy.policy import Policy
from worldrex.policy.scales import scales_of

LEAST_STD = 1e-3


@dataclass(frozen=True)
class CloneConfig:
    """How a log is imitated."""

    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers."""
    steps: int = 10_000
    """Updates."""
    batch: int = 256
    """Records of each update."""
    learning_rate: float = 3e-4
    """Adam's step size."""
    action_low: tuple[float, ...] | None = None
    """As in `MOPOConfig`."""
    action_high: tuple[float, ...] | None = None
    """As in `MOPOConfig`."""
    seed: int = 0
    """Seed of the first weights and the batches."""


def clone(
    data: Transitions, config: CloneConfig | None = None, *, tick: Callable[[int, int], None] | None = None
) -> Policy:
    """Imitate the log, all its behaviors as one: a single behavior by `data.rows(data.behavior == number)`.

        minimize mean |tanh(mean(obs)) - action|^2,   actions in [-1, 1]

    The policy's draws spread around the middle as the logged actions did: by the deviation of each component.

    **Raises:** `DataError` or `PolicyError` for what cannot be used. Source: Pomerleau 1991 (10.1162/neco.1991.3.1.88).
    """
    config = config or CloneConfig()
    require_valid(data)
    scales = scales_of(data, config.action_low, config.action_high)
    key = jax.random.key(config.seed)
    obs, action = jnp.asarray(scales.standardized(data.obs)), jnp.clip(scales.to_unit(data.action), -1, 1)

    def miss(actor: Actor, obs: Array, action: Array) -> Array:
        return jnp.square(jnp.tanh(apply_actor(actor, obs).mean) - action).mean()

    def update(number: Array, carry: tuple) -> tuple:
        actor, optimizer = carry
        rows = jax.random.randint(jax.random.fold_in(key, number), (config.batch,), 0, obs.shape[0])
        gradient = jax.grad(miss)(actor, obs[rows], action[rows])
        return adam_step(
            actor, optimizer, gradient, rate=jnp.float32(config.learning_rate),
            decay=jax.tree.map(lambda _: 0.0, actor), do=jnp.bool_(True),
        )  # fmt: skip

    first = init_actor(obs.shape[1], action.shape[1], config.hidden, key=jax.random.fold_in(key, 2**31))
    run = jax.jit(lambda carry, start, stop: jax.lax.fori_loop(start, stop, update, carry))
    carry, stretch = (first, init_adam(first)), 1000
    for start in range(0, config.steps, stretch):
        stop = min(start + stretch, config.steps)
        carry = run(carry, jnp.int32(start), jnp.int32(stop))
        if tick is not None:
            jax.block_until_ready(carry)
            tick(stop, config.steps)
    actor = carry[0]
    middle = apply_actor(actor, obs).mean
    # Before tanh, where the draws are made: a deviation there is less by the slope of tanh.
    slope = (1 - jnp.square(jnp.tanh(middle))).mean(0)
    std = jnp.sqrt(jnp.square(jnp.tanh(middle) - action).mean(0)) / slope
    head = jnp.zeros_like(actor.log_std[0]), jnp.log(jnp.maximum(std, LEAST_STD))
    return Policy(actor._replace(log_std=head), scales, {"algorithm": "cloning", **asdict(config)})
