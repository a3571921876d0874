"""Behaviors that saw and did nothing in common."""

from itertools import combinations

import numpy as np
from jaxtyping import Float64

from worldrex.data.findings import Finding, plural, quote, some_of
from worldrex.data.pieces import Pieces
from worldrex.data.transitions import Transitions
from worldrex.data.two_samples import area_under_curve, normal_log_likelihood

FEWEST_RECORDS = 50
MOST_RECORDS = 2000  # sampled of each behavior
MOST_ALTOGETHER = 20_000
MOST_VALUES = 2**22  # sampled in all: fewer records where they are wide
MOST_INPUTS = 64  # components that are compared: those whose means differ most
APART = 0.999  # area under the curve; at most 0.95 on the gusty tasks, 1.000 after a shift by 5 standard deviations
NEAR = 0.3  # standard deviations: what is closer than that is no difference


def find_apart(pieces: Pieces, data: Transitions) -> list[Finding]:
    """A warning for pairs of behaviors whose records of (obs, action) a classifier tells apart without fail.

    The classifier is a quadratic one, a normal distribution for each behavior with means and covariances of the first
    half of its sampled records; it is judged by the area under the ROC curve on the second half. Differences below
    `NEAR` of a component's spread within the behaviors are blurred: a model goes smoothly over them.
    """
    compared = np.flatnonzero(pieces.records >= FEWEST_RECORDS)
    if len(compared) < 2:
        return []
    width = data.obs.shape[1] + data.action.shape[1]
    size = max(
        min(MOST_RECORDS, MOST_ALTOGETHER // len(compared), MOST_VALUES // (width * len(compared))), FEWEST_RECORDS
    )
    samples = _standardized([_sample(pieces, data, int(behavior), size) for behavior in compared])
    halves = [(sample[: len(sample) // 2], sample[len(sample) // 2 :]) for sample in samples]
    likely = np.concatenate([half for _, half in halves])
    scores = np.stack([normal_log_likelihood(half, likely, blur=NEAR) for half, _ in halves])
    ends = np.cumsum([len(half) for _, half in halves])
    rows = [slice(end - len(half), end) for end, (_, half) in zip(ends, halves, strict=True)]
    apart = [
        (int(compared[a]), int(compared[b]))
        for a, b in combinations(range(len(compared)), 2)
        for score in (scores[a] - scores[b],)
        if area_under_curve(score[rows[a]], score[rows[b]]) >= APART
    ]
    if not apart:
        return []
    pairs = [f"{quote(data.behavior_names[a], 30)} and {quote(data.behavior_names[b], 30)}" for a, b in apart]
    row = min(int(pieces.start[np.argmax(pieces.behavior == b)]) for _, b in apart)
    total = len(compared) * (len(compared) - 1) // 2
    return [
        Finding(
            "warning",
            "behavior",
            len(apart),
            row,
            f"{plural(len(apart), 'pair')} of behaviors, of {total:,}, with no (obs, action) in common: {some_of(pairs, 3)}. "
            "No penalty can compare them: their risks differ because their records do. Log behaviors that meet, or remove "
            "what names the behavior from obs.",
        )
    ]


def _sample(pieces: Pieces, data: Transitions, behavior: int, most: int) -> Float64[np.ndarray, "record input"]:
    """Some records of one behavior in time order."""
    own = np.flatnonzero(pieces.behavior == behavior)
    before = np.cumsum(pieces.steps[own]) - pieces.steps[own]
    chosen = np.linspace(0, pieces.records[behavior] - 1, min(most, int(pieces.records[behavior]))).astype(np.int64)
    place = np.searchsorted(before, chosen, side="right") - 1
    rows = pieces.start[own[place]] + chosen - before[place]
    return np.concatenate([data.obs[rows], data.action[rows]], axis=1, dtype=np.float64)


def _standardized(samples: list[np.ndarray]) -> list[np.ndarray]:
    """In units of each component's spread within the behaviors; of many components, those whose means differ most."""
    within = np.sqrt(np.mean([sample.var(0) for sample in samples], axis=0))
    means = np.array([sample.mean(0) for sample in samples])
    # What hardly varies within them is measured by how it varies between them.
    scale = np.maximum(within, 1e-3 * means.std(0))
    scale[scale == 0] = 1
    chosen = np.argsort(means.std(0) / scale)[-MOST_INPUTS:]
    return [(sample[:, chosen] - means[:, chosen].mean(0)) / scale[chosen] for sample in samples]
