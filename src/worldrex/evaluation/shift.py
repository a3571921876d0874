"""How far behaviors lie from each other in what they see and do, and where on a map each of them is.

Distances are between distributions of (obs, action), in standard deviations of the logged records.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from worldrex.data import Transitions
from worldrex.data.two_samples import area_under_curve, normal_log_likelihood
from worldrex.dynamics import WorldModel
from worldrex.evaluation.record_scores import score_records

MOST_RECORDS = 2000  # of each behavior, evenly over its episodes
MOST_POINTS = 150  # of each behavior, on the map
MOST_ON_MAP = 2000  # of all together, but of each behavior a few
DIRECTIONS = 100
QUANTILES = 200
BLUR = 0.05  # of a standard deviation: keeps the classifier's covariances regular


@dataclass(frozen=True)
class ShiftMap:
    """Distances between behaviors, logged ones first, and a plane to see them in."""

    behaviors: tuple[str, ...]
    logged: tuple[bool, ...]
    distance: Float64[np.ndarray, "behavior behavior"]
    """Sliced Wasserstein; on the diagonal that of a behavior's even from its odd episodes (what chance makes), or NaN."""
    area: Float64[np.ndarray, "behavior behavior"]
    """How well a classifier tells two behaviors apart: area under the ROC curve, 0.5 where not at all."""
    to_rest: Float64[np.ndarray, " behavior"]
    """Distance of each behavior from all logged ones but itself together."""
    share: Float64[np.ndarray, " axis"]
    """Of the variance of the logged records that the map's two axes show."""
    points: dict[str, Float64[np.ndarray, "point axis"]]
    """Of each behavior, some of its records on the map."""
    rows: dict[str, Int64[np.ndarray, " point"]]
    """Which rows of their log the points are."""

    def to_json(self) -> dict[str, Any]:
        """As summary.json has it."""
        return {
            "behaviors": [
                {"name": name, "logged": logged, "to_rest": rest}
                for name, logged, rest in zip(self.behaviors, self.logged, self.to_rest.tolist(), strict=True)
            ],
            "distance": self.distance.round(4),
            "area": self.area.round(4),
            "share": self.share.round(4),
            "points": {name: points.round(3) for name, points in self.points.items()},
        }


def shift_map(
    logged: Transitions,
    others: Transitions | None = None,
    *,
    shown: Int[np.ndarray, " row"] | None = None,
    seed: int = 0,
) -> ShiftMap:
    """Compare the behaviors of a log, and of one that was not trained on, pair by pair.

    distance(p, q) = E_u W1(u·x, u·y) over directions u of the unit sphere, with W1 the mean absolute difference of the
    quantiles (sliced Wasserstein; Rabin et al. 2011, Bonneel et al. 2015). area(p, q) is that of a classifier two-sample
    test (Lopez-Paz & Oquab 2017) with a normal distribution for each behavior, learned from half of the episodes and judged
    on the other half, both ways. The map's axes are the first two principal components of the logged records, each behavior
    counting the same.

    **Arguments:** `logged` and `others`, of the same system; `shown`, the rows of `logged` that may be points of the map
    (held-out ones, say; of a behavior that has none among them, any); `seed` of the directions.

    **Returns:** `ShiftMap`; behaviors without records are left out.
    """
    samples: dict[str, tuple[bool, np.ndarray, np.ndarray, np.ndarray]] = {}
    for data in (logged, others):
        for behavior, name in enumerate(data.behavior_names if data is not None else ()):
            if data is not None and len(rows := np.flatnonzero(data.behavior == behavior)):
                chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_RECORDS)).astype(np.int64)]
                values = _inputs(data, chosen)
                samples[name] = data is logged, chosen, values, _halves(data.episode[chosen])
    known = [values for of_log, _, values, _ in samples.values() if of_log]
    center = np.mean([values.mean(0) for values in known], 0)
    spread = np.sqrt(np.mean([np.square(values - center).mean(0) for values in known], 0))
    spread[spread == 0] = 1.0
    scaled = [(values - center) / spread for _, _, values, _ in samples.values()]
    halves = [(x[half], x[~half]) for x, (*_, half) in zip(scaled, samples.values(), strict=True)]
    directions = np.random.default_rng(seed).standard_normal((scaled[0].shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    quantiles = [_quantiles(x, directions) for x in scaled]
    of_log = [own for own, *_ in samples.values()]
    count = len(scaled)
    distance, area = np.zeros((count, count)), np.zeros((count, count))
    for a in range(count):
        alone = min(map(len, halves[a])) == 0
        distance[a, a] = np.nan if alone else _apart(*(_quantiles(half, directions) for half in halves[a]))
        area[a, a] = 0.5
        for b in range(a):
            distance[a, b] = distance[b, a] = _apart(quantiles[a], quantiles[b])
            area[a, b] = area[b, a] = _told_apart(halves[a], halves[b])
    to_rest = np.full(count, np.nan)
    for a in range(count):
        rest = [x for b, x in enumerate(scaled) if of_log[b] and b != a]
        if rest:
            to_rest[a] = _apart(quantiles[a], _quantiles(np.concatenate(rest), directions))
    axes, share = _principal([x for x, own in zip(scaled, of_log, strict=True) if own])
    most = min(MOST_POINTS, max(MOST_ON_MAP // count, 20))
    rows, points = {}, {}
    for name, (own, chosen, *_) in samples.items():
        data = logged if own or others is None else others
        if own and shown is not None and len(of_shown := shown[data.behavior[shown] == data.behavior[chosen[0]]]):
            chosen = of_shown
        rows[name] = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), most)).astype(np.int64)]
        points[name] = (_inputs(data, rows[name]) - center) / spread @ axes
    return ShiftMap(
        behaviors=tuple(samples),
        logged=tuple(of_log),
        distance=distance,
        area=area,
        to_rest=to_rest,
        share=share,
        points=points,
        rows=rows,
    )


def errors_on_map(
    placed: ShiftMap, models: Mapping[str, WorldModel], logged: Transitions, others: Transitions | None,
    scale: Float[np.ndarray, " output"],
) -> dict[str, dict[str, dict[str, Float64[np.ndarray, " point"]]]]:  # fmt: skip
    """How far off each model is at the points of a map, and how far it believes to be.

    **Arguments:** the map of `logged` and `others`, the `models` by name, and the `scale` of `output_scale`.

    **Returns:** under "squared_error" and "uncertainty" (standard deviation of the mixture), for each model and behavior,
    one number for each point: the mean and the root mean square over the outputs.
    """
    told: dict[str, dict[str, dict[str, np.ndarray]]] = {"squared_error": {}, "uncertainty": {}}
    for name, model in models.items():
        for part in told.values():
            part[name] = {}
        for data, own in ((logged, True), (others, False)):
            behaviors = [b for b, of_log in zip(placed.behaviors, placed.logged, strict=True) if of_log == own]
            if data is None or not behaviors:
                continue
            scores = score_records(model, data, scale, np.concatenate([placed.rows[b] for b in behaviors]))
            ends = np.cumsum([len(placed.rows[b]) for b in behaviors])[:-1]
            for what, values in (("squared_error", scores.squared), ("uncertainty", scores.total)):
                parts = np.split(values.astype(np.float64).round(4), ends)
                told[what][name] |= dict(zip(behaviors, parts, strict=True))
    return told


def _inputs(data: Transitions, rows: np.ndarray) -> Float64[np.ndarray, "row input"]:
    return np.concatenate([data.obs[rows], data.action[rows]], 1, dtype=np.float64)


def _halves(episode: np.ndarray) -> np.ndarray:
    """True for every other episode; of a single one, for its first half."""
    place = np.unique(episode, return_inverse=True)[1]
    if place.max() == 0:
        return np.arange(len(episode)) < (len(episode) + 1) // 2
    return place % 2 == 0


def _quantiles(x: np.ndarray, directions: np.ndarray) -> Float64[np.ndarray, "quantile direction"]:
    return np.quantile(x @ directions, (np.arange(QUANTILES) + 0.5) / QUANTILES, axis=0)


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


def _told_apart(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    """Mean area of a classifier learned on either half; 0.5 where a half has too few records to learn from."""
    areas = []
    for learned, judged in ((0, 1), (1, 0)):
        pair = one[learned], other[learned]
        if min(map(len, (*pair, one[judged], other[judged]))) < 2:
            return 0.5
        scores = [
            np.subtract(*(normal_log_likelihood(half, points, blur=BLUR) for half in pair))
            for points in (one[judged], other[judged])
        ]
        areas.append(area_under_curve(scores[0], scores[1]))
    return float(np.mean(areas))


def _principal(samples: list[np.ndarray]) -> tuple[Float64[np.ndarray, "input axis"], Float64[np.ndarray, " axis"]]:
    """The two directions of most variance, their largest component positive, and their shares of it."""
    covariance = np.mean([x.T @ x / len(x) for x in samples], 0)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1][:2]
    axes = vectors[:, order]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    return axes, values[order] / max(values.sum(), np.finfo(float).tiny)
