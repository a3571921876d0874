"""What the behaviors of a log ask of a model's mean that it does not tell: an uncertainty of the risk-extrapolated model."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from worldrex.data import Transitions
from worldrex.dynamics import Features, WorldModel
from worldrex.dynamics.features import short_way
from worldrex.dynamics.normalizer import Normalizer
from worldrex.policy.errors import PolicyError

ROWS_AT_ONCE = 16_384  # bounds the memory
MOST_FEATURES = 300  # with more of them the products are left out


class Spread(NamedTuple):
    """A change of the model's mean, linear in features phi of the observation and the action."""

    change: Float[Array | np.ndarray, "feature output"]
    """In units of the outputs' standard deviation."""
    noise: Float[Array | np.ndarray, "feature feature"]
    """|phi noise|^2 is what the square of the change holds of the noise of its estimate."""

    def measure(
        self,
        features: Features,
        normalizer: Normalizer,
        obs: Float[Array, "batch obs"],
        action: Float[Array, "batch act"],
    ) -> Float[Array, " batch"]:
        """The size of the change, sqrt(max(|phi change|^2 - |phi noise|^2, 0))."""
        phi = _phi(_standardized(features, normalizer, obs, action))
        squares = jnp.square(phi @ self.change).sum(-1) - jnp.square(phi @ self.noise).sum(-1)
        # What is not finite stays so, and cuts the rollout.
        return jnp.sqrt(jnp.where(squares < 0, 0.0, squares))


def spread_of(model: WorldModel, data: Transitions) -> Spread:
    """The change of the model's mean after which each behavior's residuals would average 0, whatever the observation.

        r = (y - 1/E sum_e mean_e) / std,      phi(s, a) = 1, standardized inputs x, and their products x_i x_j
        psi(s) = those of phi without an action,   P_b = Psi_b (Psi_b' Psi_b + I)^-1 Psi_b' over the records of behavior b
        H = sum_b Phi_b' P_b Phi_b,   change = (H + I)^-1 sum_b Phi_b' P_b r_b
        noise noise' = (H + I)^-1 H (H + I)^-1 sum_d sigma_d^2,   sigma_d^2 = mean (r_d - phi' change_d)^2

    Two-stage least squares whose instruments are the behaviors, each crossed with psi. A model of how the system answers
    leaves residuals that each behavior's observations cannot tell: the spread is 0. A model that has mistaken for the action's
    effect what the operators saw and the log does not, leaves other ones wherever they act otherwise: the spread is the error
    of its mean. The regression of r on phi itself, behavior by behavior, would not tell them apart: the action betrays what
    the operator saw under any model. It takes for granted that what they saw is a fresh draw at each step, which neither the
    observation nor the choice of the operator foretells.

    **Arguments:** the log that the model was fitted on; with more than 300 features, phi is without products.
    **Raises:** `PolicyError` for a log of one behavior.

    Source: two-stage least squares (Theil 1953) for invariance under changes of the behavior, as in anchor regression,
    Rothenhäusler et al. 2021, arXiv 1801.06229.
    """
    present = np.unique(data.behavior)
    if len(present) < 2:
        raise PolicyError(
            "uncertainty behavior_spread compares the behaviors of a log, and this one has a single behavior: choose another "
            "uncertainty, or label the log's behaviors (`worldrex label`)."
        )
    action_dims = data.action.shape[1]
    free = _free_of_action(model.features.num_inputs(model.obs_dims, action_dims), action_dims)
    hessian, gradient, gram, cross, squares = (np.zeros(()) for _ in range(5))
    for behavior in present:
        own, own_cross, own_squares = _moments(model, data, np.flatnonzero(data.behavior == behavior))
        # A record more of each feature, so that a direction without records has a solution.
        projection = np.linalg.solve(own[np.ix_(free, free)] + np.eye(int(free.sum())), own[free]).T
        hessian, gradient = hessian + projection @ own[free], gradient + projection @ own_cross[free]
        gram, cross, squares = gram + own, cross + own_cross, squares + own_squares
    hessian = 0.5 * (hessian + hessian.T)
    inverse = np.linalg.inv(hessian + np.eye(len(hessian)))
    change = inverse @ gradient
    left = (squares - 2 * (change * cross).sum(0) + (change * (gram @ change)).sum(0)).sum() / len(data)
    values, vectors = np.linalg.eigh(hessian)
    noise = inverse @ (vectors * np.sqrt(np.maximum(left * values, 0)))
    return Spread(change.astype(np.float32), noise.astype(np.float32))


def _moments(
    model: WorldModel, data: Transitions, rows: np.ndarray
) -> tuple[
    Float64[np.ndarray, "feature feature"], Float64[np.ndarray, "feature output"], Float64[np.ndarray, " output"]
]:
    """Sums over these rows of phi phi', phi r' and r^2."""
    gram, cross, squares = (np.zeros(()) for _ in range(3))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = data.rows(rows[start : start + ROWS_AT_ONCE])
        told = model.predict(block.obs, block.action)
        missed = block.next_obs.astype(np.float64) - np.asarray(told.next_obs)
        for angle in model.features.angles or ():
            missed[:, angle] = short_way(missed[:, angle])
        residual = np.column_stack([missed, block.reward - np.asarray(told.reward)]) / model.normalizer.output_std
        phi = _phi(_standardized(model.features, model.normalizer, block.obs, block.action).astype(np.float64))
        gram, cross, squares = gram + phi.T @ phi, cross + phi.T @ residual, squares + np.square(residual).sum(0)
    return gram, cross, squares


def _standardized(features: Features, normalizer: Normalizer, obs: Any, action: Any) -> Any:
    return (features.inputs(obs, action) - normalizer.input_mean[None]) / normalizer.input_std[None]


def _phi(inputs: Any) -> Any:
    """1, the inputs, and their products; NumPy or JAX."""
    xp = np if isinstance(inputs, np.ndarray) else jnp
    one, other = _products(inputs.shape[1])
    return xp.concatenate([xp.ones_like(inputs[:, :1]), inputs, inputs[:, one] * inputs[:, other]], -1)


def _products(inputs: int) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.triu_indices(inputs)
    return (one, other) if 1 + inputs + len(one) <= MOST_FEATURES else (one[:0], other[:0])


def _free_of_action(inputs: int, action_dims: int) -> np.ndarray:
    """Which of the features hold no action: the inputs end with it."""
    first = inputs - action_dims
    one, other = _products(inputs)
    return np.concatenate([[True], np.arange(inputs) < first, (one < first) & (other < first)])
