"""How much of a mini-batch's plain penalty is the chance of sampling, and how large a batch would be enough."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from worldrex import risk
from worldrex.evaluation.statistics import by_cluster, interval, resample

DRAWS = 1000
LEAST_PART = 0.1  # of the true variance: noise below it hardly moves what the penalty minimizes


@dataclass(frozen=True)
class PenaltyNoise:
    """What the plain variance of the risks consists of in a batch, in squared units of the loss."""

    batch: int
    variance: float
    """Of the behaviors' true risks, without bias: what the penalty is for."""
    low: float
    high: float
    """Its 95 % interval over episodes."""
    noise: float
    """What sampling adds to it in a batch of this size."""
    share: float
    """Of the plain penalty that is noise: 1 where the risks do not differ."""
    batch_enough: int | None
    """Batch at which the noise is a tenth of the variance; None where the variance may be zero."""


def penalty_noise(
    losses: Float[np.ndarray, " record"], behavior: Int[np.ndarray, " record"], episode: Shaped[np.ndarray, " record"],
    batch: int, *, seed: int = 0,
) -> PenaltyNoise:  # fmt: skip
    """Take the plain penalty of a batch apart into what it should see and the chance of sampling.

    E[plain variance] = Var_g(R_g) + (K - 1) / K^2 sum_g s2_g / n_g, with n_g = batch x share of behavior g. Batches whose
    n_g vary, as they do, have a little more noise than that. Var_g(R_g) is estimated on all records, less what the chance
    of their episodes adds to it.

    **Arguments:** `losses` of held-out records under one model, the `behavior` (0, 1, ...) and `episode` of each; the
    `batch` that is trained with; `seed` of the bootstrap over episodes, stratified by behavior.

    **Returns:** `PenaltyNoise`.

    **Raises:** `ValueError` for fewer than two behaviors or a batch below 1.
    """
    present, group = np.unique(behavior, return_inverse=True)
    groups = len(present)
    if groups < 2 or batch < 1:
        raise ValueError(f"{groups} behaviors and a batch of {batch}; the risks' variance needs two and 1.")
    moments = risk.group_moments(losses.astype(np.float64)[None], group, groups)
    count, mean, of_records = moments.count[0], moments.mean[0], moments.m2[0] / np.maximum(moments.count[0] - 1, 1)
    bias = (groups - 1) / groups**2
    noise = float(bias * (of_records / (batch * count / len(losses))).sum())
    rng = np.random.default_rng(seed)
    risks, own_noise = np.empty((DRAWS, groups)), of_records / count
    for number in range(groups):
        sums, counts = by_cluster(losses[group == number].astype(np.float64), episode[group == number])
        draws = resample(len(counts), DRAWS, rng=rng)
        risks[:, number] = (draws @ sums) / (draws @ counts)
        if len(counts) > 1:  # the records of an episode resemble each other; of one episode, nothing better is known
            own_noise[number] = risks[:, number].var()
    variance = float(mean.var() - bias * own_noise.sum())
    # A resampled variance has the chance of sampling twice: that of the sample, and that of the draw.
    drawn = risks.var(1) - 2 * bias * own_noise.sum()
    low, high = interval(drawn)
    total = noise + max(variance, 0.0)
    return PenaltyNoise(
        batch=batch,
        variance=variance,
        low=float(low),
        high=float(high),
        noise=noise,
        share=noise / total if total > 0 else 0.0,
        batch_enough=int(np.ceil(batch * noise / (LEAST_PART * variance))) if low > 0 else None,
    )
