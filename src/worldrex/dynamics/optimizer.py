"""Adam with decoupled weight decay, in a form that a compiler can do in place.

As optax's, and in its state; it is written out since a step that may have to change nothing costs a copy of everything
when that is decided afterwards (measured on a CPU: a tenth of a whole training step).
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def init_adam(parameters: Any) -> optax.ScaleByAdamState:
    """Moments of zero."""
    return optax.ScaleByAdamState(
        jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters)
    )


def adam_step(
    parameters: Any, state: optax.ScaleByAdamState, gradient: Any, *,
    rate: Float[Array, ""], decay: Any, do: Bool[Array, ""],
) -> tuple[Any, optax.ScaleByAdamState]:  # fmt: skip
    """One step; where not `do`, whatever the gradient is, nothing changes.

        m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
        p <- p - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay p)

    **Arguments:** trees of `parameters`, their `gradient` and their `decay`; `rate` of learning.

    Source: Kingma & Ba 2015, arXiv 1412.6980; decay as in Loshchilov & Hutter 2019, arXiv 1711.05101.
    """
    count = state.count + 1
    mu = jax.tree.map(lambda m, g: jnp.where(do, BETA1 * m + (1 - BETA1) * g, m), state.mu, gradient)
    nu = jax.tree.map(lambda v, g: jnp.where(do, BETA2 * v + (1 - BETA2) * g * g, v), state.nu, gradient)
    # Else the step of the parameters computes both again from what they were, which must then be kept.
    mu, nu = jax.lax.optimization_barrier((mu, nu))
    time = jnp.asarray(count, jnp.float32)
    of_mu, of_nu = 1 / (1 - jnp.float32(BETA1) ** time), 1 / (1 - jnp.float32(BETA2) ** time)

    def moved(p: Array, m: Array, v: Array, decay: float) -> Array:
        return jnp.where(do, p - rate * (m * of_mu / (jnp.sqrt(v * of_nu) + EPSILON) + decay * p), p)

    after = jax.tree.map(moved, parameters, mu, nu, decay)
    return after, optax.ScaleByAdamState(jnp.where(do, count, state.count), mu, nu)
