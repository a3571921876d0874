"""Choose the penalty's weight by the worst left-out risk."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from worldrex.evaluation.statistics import cluster_means, interval, resample

DRAWS = 1000
LEAST_GAIN = 0.02
RULE = (
    "the weight with the smallest worst left-out risk, if it beats ERM's by at least 2 % and by more than chance "
    "(95 % interval over episodes and seeds, paired); else ERM"
)


class LeftOut(NamedTuple):
    """Squared errors on one left-out behavior, summed over each of its episodes."""

    behavior: str
    sums: Float[np.ndarray, "weight seed episode"]
    counts: Float[np.ndarray, " episode"]
    """Records of each episode."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Worst(Estimate):
    """The worst left-out risk, and whose it is."""

    behavior: str


@dataclass(frozen=True)
class WeightRow:
    """What one weight does."""

    weight: float
    worst: Worst
    mean: Estimate
    folds: dict[str, Estimate]
    """Risk of each behavior when it is left out."""
    trained: dict[str, Estimate]
    """Risk of each behavior on held-out episodes where it is trained on; the interval is the range of the trainings."""
    gain: Estimate
    """ERM's worst left-out risk minus this weight's, paired."""


@dataclass(frozen=True)
class Selection:
    """The weights compared, and the choice."""

    rule: str
    weights: list[WeightRow]
    chosen: float
    """The weight to use; 0 where the penalty does not pay."""
    candidate: float | None
    """The best weight above 0, whether chosen or not; None where none could be compared."""

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Selection":
        """The selection that `dataclasses.asdict` told."""
        rows = [
            WeightRow(
                weight=row["weight"],
                worst=Worst(**row["worst"]),
                mean=Estimate(**row["mean"]),
                folds={name: Estimate(**estimate) for name, estimate in row["folds"].items()},
                trained={name: Estimate(**estimate) for name, estimate in row["trained"].items()},
                gain=Estimate(**row["gain"]),
            )
            for row in content["weights"]
        ]
        return cls(content["rule"], rows, content["chosen"], content["candidate"])


def select(
    weights: list[float],
    left_out: list[LeftOut],
    trained: dict[str, Float64[np.ndarray, "weight run"]],
    *,
    seed: int = 0,
) -> Selection:
    """Compare the weights by the worst of the left-out risks, and choose one.

    The mean over the folds would choose ERM just where it is wrong: the pooled log's shortcut pays on most folds and
    fails on the one that differs. The bootstrap draws episodes and seeds, the same ones for every weight, so that the
    gains are paired.

    **Arguments:** `weights` in ascending order from 0; `left_out` for each fold; `trained` risks, for the curves.

    **Returns:** `Selection`.
    """
    rng = np.random.default_rng(seed)
    seeds = left_out[0].sums.shape[1]
    seed_draws = resample(seeds, DRAWS, rng=rng) / seeds
    values, draws = [], []
    for fold in left_out:
        values.append(fold.sums.sum(-1).mean(1) / fold.counts.sum())
        resampled = cluster_means(fold.sums, fold.counts, resample(len(fold.counts), DRAWS, rng=rng))
        draws.append(np.einsum("dws,ds->dw", resampled, seed_draws))
    value, draw = np.stack(values), np.stack(draws, axis=1)  # [fold, weight], [draw, fold, weight]
    worst, worst_draw = value.max(0), draw.max(1)
    rows = []
    for place, weight in enumerate(weights):
        folds = {
            fold.behavior: Estimate(*_estimate(value[number, place], draw[:, number, place]))
            for number, fold in enumerate(left_out)
        }
        curves = {name: risks[place] for name, risks in trained.items()}
        row = WeightRow(
            weight=weight,
            worst=Worst(
                *_estimate(worst[place], worst_draw[:, place]),
                behavior=left_out[int(value[:, place].argmax())].behavior,
            ),
            mean=Estimate(*_estimate(value[:, place].mean(), draw[:, :, place].mean(1))),
            folds=folds,
            trained={name: Estimate(float(r.mean()), float(r.min()), float(r.max())) for name, r in curves.items()},
            gain=Estimate(*_estimate(worst[0] - worst[place], worst_draw[:, 0] - worst_draw[:, place])),
        )
        rows.append(row)
    if len(weights) == 1:
        return Selection(RULE, rows, 0.0, None)
    best = 1 + int(worst[1:].argmin())
    gain = rows[best].gain
    pays = gain.low > 0 and gain.value >= LEAST_GAIN * worst[0]
    return Selection(RULE, rows, weights[best] if pays else 0.0, weights[best])


def _estimate(value: float, draws: np.ndarray) -> tuple[float, float, float]:
    low, high = interval(draws)
    return float(value), float(low), float(high)
