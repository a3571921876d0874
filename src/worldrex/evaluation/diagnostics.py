"""Calibration, open-loop error and uncertainty of a model under one behavior, as JSON has them.

docs/evaluation.md tells what each number means, and which values are good.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from worldrex.data import Transitions
from worldrex.dynamics import WorldModel
from worldrex.evaluation.calibration import BINS, LEVELS, calibration_error, joint_pit
from worldrex.evaluation.open_loop import SAMPLES, open_loop
from worldrex.evaluation.record_scores import RecordScores
from worldrex.evaluation.statistics import by_cluster, cluster_means, interval, resample
from worldrex.evaluation.uncertainty import rank_correlation, sparsification

DRAWS = 1000
STEPS_TOLD = (1, 2, 5, 10, 20, 50)
"""At which the open-loop error of each dimension is told."""
NAMES = tuple(f"{100 * level:g}" for level in LEVELS)


def diagnose(
    model: WorldModel, data: Transitions, scores: RecordScores, scale: Float[np.ndarray, " output"],
    draws: Float[np.ndarray, "draw episode"], *, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Everything about one model under one behavior.

    **Arguments:** the records of one behavior, their `scores`, the `scale` that makes errors normalized, and the `draws` of
    its episodes (of `statistics.resample`), the same for every model.

    **Returns:** for each number its `value` and 95 % interval over episodes, `low` and `high`, and its `outputs`.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is told as such
        return {
            "records": len(data),
            "episodes": draws.shape[1],
            **_calibration(data, scores, draws),
            "open_loop": _open_loop(model, data, scale, seed),
            "uncertainty": _uncertainty(scores),
        }


def _calibration(data: Transitions, scores: RecordScores, draws: np.ndarray) -> dict[str, Any]:
    outputs = scores.outputs
    distance = joint_pit(scores.distance, len(outputs.squared))
    joint_covered = distance[:, None] <= np.array(LEVELS)
    names = ["squared_error", "nll", "crps", *NAMES, "joint nll", *(f"joint {name}" for name in NAMES)]
    values = np.column_stack(
        [scores.squared, scores.nll, scores.crps, scores.covered, scores.joint_nll, joint_covered]
    ).astype(np.float64)
    told = dict(zip(names, with_intervals(values, data.episode, draws), strict=True))
    of_outputs = dict(zip(names, [outputs.squared, outputs.nll, outputs.crps, *outputs.covered], strict=False))
    for name, each in of_outputs.items():
        told[name]["outputs"] = each
    shares = outputs.pit.T
    in_bins = np.histogram(distance[np.isfinite(distance)], BINS, (0.0, 1.0))[0] / len(data)
    return {
        **{name: told[name] for name in names[:3]},
        "coverage": {name: told[name] for name in NAMES},
        "pit": {
            "histogram": shares.mean(0),
            "error": float(calibration_error(shares).mean()),
            "outputs": {"histogram": shares, "error": calibration_error(shares)},
        },
        "sharpness": {"value": float(outputs.sharpness.mean()), "outputs": outputs.sharpness},
        "joint": {
            "nll": told["joint nll"],
            "coverage": {name: told[f"joint {name}"] for name in NAMES},
            "pit": {"histogram": in_bins, "error": float(calibration_error(in_bins))},
        },
    }


def _open_loop(model: WorldModel, data: Transitions, scale: np.ndarray, seed: int) -> dict[str, Any]:
    rolled = open_loop(model, data, scale, seed=seed)
    episode = data.episode[rolled.rows]
    draws = resample(len(np.unique(episode)), DRAWS, rng=np.random.default_rng([seed, 51]))
    steps = len(rolled.squared)

    def over_steps(values: np.ndarray) -> dict[str, Any]:
        """Means over the dimensions of `[step, start, obs]`, at each step."""
        each = with_intervals(values.mean(-1, dtype=np.float64).T, episode, draws)
        return {name: [entry[name] for entry in each] for name in ("value", "low", "high")}

    told = [step for step in STEPS_TOLD if step <= steps]
    return {
        "starts": len(rolled.rows),
        "episodes": draws.shape[1],
        "samples": SAMPLES,
        "steps": list(range(1, steps + 1)),
        "squared_error": over_steps(rolled.squared),
        "persistence": over_steps(rolled.persistence),
        "variance": rolled.variance.mean((1, 2), dtype=np.float64),
        "coverage": dict(zip(NAMES, map(over_steps, rolled.covered), strict=True)),
        "outputs": {
            "steps": told,
            "squared_error": rolled.squared.mean(1, dtype=np.float64)[np.array(told) - 1],
            "persistence": rolled.persistence.mean(1, dtype=np.float64)[np.array(told) - 1],
        },
    }


def _uncertainty(scores: RecordScores) -> dict[str, Any]:
    error = np.sqrt(scores.squared)
    candidates = {name: getattr(scores, name) for name in ("total", "epistemic", "aleatoric")}
    found = {name: sparsification(uncertainty, error) for name, uncertainty in candidates.items()}
    of_error = found["total"]
    return {
        "removed": of_error.removed,
        "oracle": of_error.oracle,
        "random_area": of_error.random_area,
        **{
            name: {
                "rank_correlation": rank_correlation(candidates[name], error),
                "area": order.area,
                "curve": order.curve,
            }
            for name, order in found.items()
        },
    }


def with_intervals(
    values: Float[np.ndarray, "record quantity"], episode: np.ndarray, draws: Float[np.ndarray, "draw episode"]
) -> list[dict[str, Any]]:
    """Mean of each quantity over the records, with its 95 % interval over episodes."""
    low, high = interval(cluster_means(*by_cluster(values, episode), draws))
    return [
        {"value": float(v), "low": float(a), "high": float(b)}
        for v, a, b in zip(values.mean(0), low, high, strict=True)
    ]
