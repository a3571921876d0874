"""Losses of one record and one output dimension."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

LossName = Literal["squared", "nll", "beta_nll"]

BETA = 0.5


def gaussian_nll(squared: Float[Array, "*shape"], log_var: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Negative log-likelihood of a Gaussian, up to a constant and a factor 2: l = (mu - y)^2 exp(-s) + s.

    **Arguments:** `squared` error (mu - y)^2 and `log_var` s, both of the normalized output.

    Source: Nix & Weigend 1994; in this scaling as in MOPO's released ensemble (Yu et al. 2020, arXiv 2005.13239).
    """
    return squared * jnp.exp(-log_var) + log_var


def beta_nll(squared: Float[Array, "*shape"], log_var: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The Gaussian NLL times exp(beta s), held constant, with beta = 0.5: l = sg(exp(beta s)) ((mu - y)^2 exp(-s) + s).

    Records that the model takes for noisy then keep a say in the mean. Source: Seitzer et al. 2022, arXiv 2203.09168.
    """
    return jax.lax.stop_gradient(jnp.exp(BETA * log_var)) * gaussian_nll(squared, log_var)
