"""Losses of one record and one output dimension."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

LossName = Literal["squared", "nll"]


def gaussian_nll(squared: Float[Array, "*shape"], log_var: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Negative log-likelihood of a Gaussian, up to a constant and a factor 2: l = (mu - y)^2 exp(-s) + s.

    **Arguments:** `squared` error (mu - y)^2 and `log_var` s, both of the normalized output.

    Source: Nix & Weigend 1994; in this scaling as in MOPO's released ensemble (Yu et al. 2020, arXiv 2005.13239).
    """
    return squared * jnp.exp(-log_var) + log_var
