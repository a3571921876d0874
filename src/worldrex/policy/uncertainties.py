"""What a model does not know of a step, as one number: the pessimism's measure of how far to trust it."""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

UncertaintyName = Literal["aleatoric", "disagreement", "pairwise", "behavior_spread", "bellman"]

Means = Float[Array, "elite batch output"]
Stds = Float[Array, "elite batch output"]


def aleatoric(means: Means, stds: Stds) -> Float[Array, " batch"]:
    """The largest noise that an elite expects, max_e |std_e|: MOPO's (Yu et al. 2020, arXiv 2005.13239, section 4.3)."""
    return jnp.linalg.norm(stds, axis=-1).max(0)


def disagreement(means: Means, stds: Stds) -> Float[Array, " batch"]:
    """Standard deviation of the elites' means, sqrt(sum_d Var_e(mean_ed)).

    Source: Lakshminarayanan et al. 2017, arXiv 1612.01474; compared with others by Lu et al. 2022, arXiv 2110.04135.
    """
    return jnp.sqrt(means.var(0).sum(-1))


def pairwise(means: Means, stds: Stds) -> Float[Array, " batch"]:
    """The largest distance of two elites' means, max |mean_e - mean_f|: MOReL's (Kidambi et al. 2020, arXiv 2005.05951)."""
    return jnp.linalg.norm(means[:, None] - means[None], axis=-1).max((0, 1))


MEASURES: dict[str, Callable[[Means, Stds], Float[Array, " batch"]]] = {
    "aleatoric": aleatoric, "disagreement": disagreement, "pairwise": pairwise,
}  # fmt: skip
"""Of outputs (next_obs, reward) that each are in units of their standard deviation in the log.

`behavior_spread` needs the log and `bellman` the critics: they have files of their own.
"""
