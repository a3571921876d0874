"""A linear world with quadratic costs: the one whose best policy is known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, PRNGKeyArray
from scipy.linalg import solve_discrete_are

from worldrex.policy.worlds import Outcome


class LinearQuadratic(NamedTuple):
    """Next obs = A obs + B action + noise N(0, std^2); reward = -(obs' Q obs + action' R action)."""

    a: Float[Array | np.ndarray, "obs obs"]
    b: Float[Array | np.ndarray, "obs act"]
    q: Float[Array | np.ndarray, "obs obs"]
    r: Float[Array | np.ndarray, "act act"]
    std: Float[Array | np.ndarray, " obs"]

    def step(self, obs: Float[Array, "batch obs"], action: Float[Array, "batch act"], *, key: PRNGKeyArray) -> Outcome:
        """One step from each observation; nothing is uncertain and nothing ends."""
        a, b, q, r, std = map(jnp.asarray, self)
        noise = std[None] * jax.random.normal(key, obs.shape)
        cost = ((obs @ q) * obs).sum(-1) + ((action @ r) * action).sum(-1)
        nothing = jnp.zeros(obs.shape[0])
        return Outcome(obs @ a.T + action @ b.T + noise, -cost, nothing, nothing > 0)

    def best_gain(self, discount: float) -> Float64[np.ndarray, "act obs"]:
        """K of the best policy, action = -K obs, for discounted rewards.

        P = Q + g A'P A - g A'P B (R + g B'P B)^-1 g B'P A,   K = (R + g B'P B)^-1 g B'P A
        """
        a, b, q, r, _ = (np.asarray(x, np.float64) for x in self)
        a, b = np.sqrt(discount) * a, np.sqrt(discount) * b
        p = solve_discrete_are(a, b, q, r)
        return np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
