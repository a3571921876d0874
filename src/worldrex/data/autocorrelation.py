"""How many steps of an episode make one independent one."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from scipy.signal import fftconvolve


def steps_per_independent_one(residuals: Iterable[Float[np.ndarray, "_ output"]]) -> float:
    """The autocorrelation time of a mean over an episode, 1 + 2 sum_l (1 - l / steps) rho_l; at least 1.

    The sum ends before the first pair of lags whose sum is not positive. Each episode counts by its length, not by its
    variance: one wild episode must not speak for the others.

    Arguments:
        residuals: what a model leaves unexplained of each episode. Their mean is not taken off: an offset that lasts a
            whole episode is one draw, however many steps show it.

    Source: Geyer (1992), Practical Markov chain Monte Carlo, section 3.3 (initial positive sequence).
    """
    products = np.zeros(0)
    for residual in residuals:
        steps = len(residual)
        own = fftconvolve(residual, residual[::-1], axes=0)[steps - 1 :].sum(1)
        if own[0] > 0:
            products = np.pad(products, (0, max(steps - len(products), 0)))
            products[:steps] += steps * own / own[0]
    total = 1.0
    for lag in range(1, len(products), 2):
        pair = products[lag : lag + 2].sum() / products[0]
        if pair <= 0:
            break
        total += 2 * pair
    return float(max(total, 1.0))
