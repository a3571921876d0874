"""How far apart the risks of the behaviors stay that a model is trained on, as the penalty's weight grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from worldrex.evaluation.statistics import Estimate, cluster_means, estimate, resample

DRAWS = 1000
LARGE = 0.2  # of the mean risk: where behaviors are alike in noise, half of it was the most that remained
NO_NOISE = 0.01  # of the outputs' variance: of a risk below it, noise is no matter


class Trained(NamedTuple):
    """Squared errors on held-out episodes of a behavior that is trained on, summed over each episode."""

    behavior: str
    sums: Float[np.ndarray, "choice run episode"]
    """Of the runs that do not leave it out."""
    counts: Float[np.ndarray, " episode"]
    """Records of each episode."""

    @property
    def risks(self) -> Float64[np.ndarray, "choice run"]:
        """The mean of each run."""
        return self.sums.sum(-1, dtype=np.float64) / self.counts.sum()

    def range_of(self, choice: int) -> Estimate:
        """The mean over the runs, and their range."""
        risks = self.risks[choice]
        return Estimate(float(risks.mean()), float(risks.min()), float(risks.max()))


@dataclass(frozen=True)
class Spread:
    """Standard deviation of the trained-on risks over the behaviors, as a share of their mean; sampling noise taken out."""

    erm: Estimate
    least: Estimate
    """At the weight from the candidate's up where it is least."""
    weight: float
    """That weight."""
    remains: float
    """The least over ERM's."""
    risk: float
    """Mean over the behaviors of ERM's risks, in variances of the outputs."""

    @property
    def unequal(self) -> bool:
        """Whether the risks stay apart at every weight, as they often do where behaviors differ in noise."""
        return self.least.low > LARGE and self.risk > NO_NOISE

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Spread":
        """The spread that `dataclasses.asdict` told."""
        ends = {name: Estimate(**content[name]) for name in ("erm", "least")}
        return cls(**ends, weight=content["weight"], remains=content["remains"], risk=content["risk"])


def spread_of(
    trained: Sequence[Trained], places: Sequence[int], weights: Sequence[float], *, seed: int = 0
) -> Spread | None:
    """Compare ERM's spread of risks with the least at the weights that could be chosen.

        spread = sqrt(max(0, Var_g(R_g) - (K - 1) / K^2 sum_g v_g)) / mean_g R_g

    with v_g the variance that the chance of episodes gives R_g, from the bootstrap over them.

    **Arguments:** risks of the behaviors `trained` on; `places` of the choices to look at, ERM's first; all choices'
    `weights`.

    **Returns:** `Spread`; None for fewer than two behaviors, or for risks that are all zero.
    """
    if len(trained) < 2:
        return None
    rng = np.random.default_rng(seed)
    risk = np.stack([one.risks.mean(1) for one in trained])[:, places]  # [behavior, place]
    if not risk.mean(0).all():
        return None
    drawn = np.stack(
        [
            cluster_means(one.sums[places].mean(1), one.counts, resample(len(one.counts), DRAWS, rng=rng))
            for one in trained
        ],
        axis=1,
    )  # [draw, behavior, place]
    bias = (len(trained) - 1) / len(trained) ** 2 * drawn.var(0).sum(0)

    def share(risks: np.ndarray, times: int) -> np.ndarray:
        variance = risks.var(-2) - times * bias
        return np.sqrt(np.maximum(variance, 0.0)) / risks.mean(-2)

    # A resampled variance has the chance of sampling twice: that of the sample, and that of the draw.
    value, draws = share(risk, 1), share(drawn, 2)
    least = 1 + int(value[1:].argmin())
    ends = {name: Estimate(*estimate(value[at], draws[:, at])) for name, at in (("erm", 0), ("least", least))}
    remains = float(value[least] / value[0]) if value[0] > 0 else 1.0
    return Spread(**ends, weight=float(weights[places[least]]), remains=remains, risk=float(risk[:, 0].mean()))
