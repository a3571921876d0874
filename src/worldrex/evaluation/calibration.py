"""How well a mixture of Gaussians foretells a truth: log density, CRPS and PIT in closed form.

Everywhere `gap` is a component's mean minus the truth and `std` its standard deviation, in the same units; the components,
on the first axis, weigh the same. A component of standard deviation 0, of a network without a noise head, is a point.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64
from scipy.special import chdtr

LEVELS = (0.5, 0.9, 0.95)
"""Of the central intervals whose coverage is told."""
BINS = 20
"""Of the histograms of PIT values."""
LEAST_STD = float(np.finfo(np.float32).tiny)
HALF_LOG_TURN = 0.5 * math.log(2 * math.pi)


def log_densities(gap: Float[Array, "elite *shape"], std: Float[Array, "elite *shape"]) -> Float[Array, "elite *shape"]:
    """Log density of the truth under each component, in nats: log N(truth; mean_e, std_e^2); -inf beside a point."""
    density = -0.5 * jnp.square(gap / jnp.maximum(std, LEAST_STD)) - jnp.log(std) - HALF_LOG_TURN
    return jnp.where(std > 0, density, jnp.where(gap == 0, jnp.inf, -jnp.inf))


def mixture_nll(densities: Float[Array, "elite *shape"]) -> Float[Array, "*shape"]:
    """Negative log-likelihood of the mixture: -log 1/E sum_e exp(density_e), of the components' log densities.

    For several outputs jointly, give densities that are summed over the outputs: a component's outputs are independent,
    those of the mixture are not.
    """
    return math.log(densities.shape[0]) - jax.nn.logsumexp(densities, axis=0)


def mean_absolute(mean: Float[Array, "*shape"], std: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """E|X| for X ~ N(mean, std^2): 2 std phi(mean / std) + mean (2 Phi(mean / std) - 1)."""
    ratio = mean / jnp.maximum(std, LEAST_STD)
    density = jnp.exp(-0.5 * jnp.square(ratio)) / math.sqrt(2 * math.pi)
    return 2 * std * density + mean * jax.lax.erf(ratio / math.sqrt(2))


def mixture_crps(gap: Float[Array, "elite *shape"], std: Float[Array, "elite *shape"]) -> Float[Array, "*shape"]:
    """Continuous ranked probability score of the mixture, in the units of `gap`; lower is better.

        CRPS = E|X - y| - 1/2 E|X - X'| = 1/E sum_e A(gap_e, std_e^2) - 1/(2 E^2) sum_ef A(gap_e - gap_f, std_e^2 + std_f^2)

    with A of `mean_absolute`. Of a single point it is the absolute error. Source: Grimit, Gneiting, Berrocal & Johnson 2006,
    Q. J. R. Meteorol. Soc. 132, equation 5; the score is of Gneiting & Raftery 2007.
    """
    count = gap.shape[0]

    def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        one, other = pair
        spread = jnp.sqrt(jnp.square(std[one]) + jnp.square(std[other]))
        return total + mean_absolute(gap[one] - gap[other], spread), None

    # Each pair of components once, one after the other: as one sum XLA's code is four times slower. Each with itself has
    # A(0, 2 std^2) = 2 std / sqrt(pi).
    one, other = (jnp.asarray(place, jnp.int32) for place in np.triu_indices(count, 1))
    among, _ = jax.lax.scan(add, std.sum(0) / math.sqrt(math.pi), (one, other))
    return mean_absolute(gap, std).mean(0) - among / count**2


def mixture_pit(gap: Float[Array, "elite *shape"], std: Float[Array, "elite *shape"]) -> Float[Array, "*shape"]:
    """Probability integral transform: the mixture's distribution function at the truth, uniform where the model is right.

    PIT = 1/E sum_e Phi((truth - mean_e) / std_e). Source: Dawid 1984; its histogram, Gneiting, Balabdaoui & Raftery 2007.
    """
    ratio = gap / jnp.maximum(std, LEAST_STD)
    return (0.5 - 0.5 * jax.lax.erf(ratio / math.sqrt(2))).mean(0)


def joint_pit(distance: Float[np.ndarray, " record"], outputs: int) -> Float64[np.ndarray, " record"]:
    """Distribution function of chi-square with `outputs` degrees of freedom at these squared distances.

    The distance is sum_d (gap_d / std_d)^2 with the mixture's mean and standard deviations. It is chi-square, and the
    value uniform, for a right model of one Gaussian with independent outputs. For a mixture that is an approximation: a
    good one while the elites disagree by less than the noise.
    """
    return chdtr(outputs, distance.astype(np.float64))


def calibration_error(histogram: Float[np.ndarray, "*lead bin"]) -> Float64[np.ndarray, "*lead"]:
    """Mean distance of the distribution of PIT values from the uniform one, 0 to 0.5, of its histogram's counts."""
    total = histogram.sum(-1, keepdims=True)
    share = np.cumsum(histogram / np.where(total > 0, total, np.nan), axis=-1)[..., :-1]
    bins = histogram.shape[-1]
    return np.asarray(np.abs(share - np.arange(1, bins) / bins).mean(-1))
