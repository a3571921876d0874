"""Diagnostics, distances and noise as a run's summary has them, made up: no training here."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LEVELS = (("50", 0.5), ("90", 0.9), ("95", 0.95))


def diagnosed(error: float, narrow: float, steps: int = 50, points: int = 50) -> dict[str, Any]:
    """One model under one behavior, of this error, whose standard deviation is `narrow` times the right one."""
    nodes = np.linspace(0.0, 1.0, 21)
    quantiles = np.array([-9.0, *(_quantile(share) for share in nodes[1:-1]), 9.0])
    inside = [_normal(narrow * quantile) for quantile in quantiles]
    covered = {
        name: around(2 * _normal(narrow * _quantile(0.5 + level / 2)) - 1, 0.02, outputs=[0.5] * 4)
        for name, level in LEVELS
    }
    growth = [error * (1 + 0.4 * step) for step in range(steps)]
    still = [3.0 * (1 + 0.5 * step) for step in range(steps)]
    removed = [place / points for place in range(points)]
    order = {
        "rank_correlation": 0.3 * narrow,
        "area": 0.5 - 0.3 * narrow,
        "curve": [1 - 0.5 * narrow * share for share in removed],
    }
    return {
        "records": 1000,
        "episodes": 25,
        "squared_error": around(error, outputs=[error] * 4),
        "nll": around(1.2, outputs=[1.2] * 4),
        "crps": around(0.4, outputs=[0.4] * 4),
        "coverage": covered,
        "pit": {"histogram": np.diff(inside).tolist(), "error": abs(1 - narrow) / 4, "outputs": {}},
        "sharpness": {"value": 0.6 * narrow, "outputs": [0.6] * 4},
        "joint": {"nll": around(4.1), "coverage": covered, "pit": {"histogram": [0.05] * 20, "error": 0.01}},
        "open_loop": {
            "starts": 100,
            "episodes": 25,
            "samples": 39,
            "steps": list(range(1, steps + 1)),
            "squared_error": over_steps(growth),
            "persistence": over_steps(still),
            "variance": growth,
            "coverage": {name: over_steps([part["value"]] * steps) for name, part in covered.items()},
            "outputs": {},
        },
        "uncertainty": {
            "removed": removed,
            "oracle": [1 - share for share in removed],
            "random_area": 0.5,
            "total": order,
            "epistemic": order | {"area": order["area"] + 0.05},
            "aleatoric": order | {"area": order["area"] + 0.1},
        },
    }


def around(value: float, share: float = 0.05, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": value * (1 - share), "high": value * (1 + share), **more}


def over_steps(values: Sequence[float]) -> dict[str, list[float]]:
    return {"value": [*values], "low": [0.9 * value for value in values], "high": [1.1 * value for value in values]}


def shifted(
    logged: Sequence[str], others: Sequence[str], models: Sequence[str] = ("erm", "chosen"), points: int = 60
) -> dict[str, Any]:
    """A map on which the last of the others lies apart."""
    names = [*logged, *others]
    rng = np.random.default_rng(0)
    places = np.linspace(0.0, 0.4, len(names)) + np.array([0.0] * (len(names) - 1) + [2.0 if others else 0.0])
    distance = np.abs(places[:, None] - places) + 0.06
    clouds = {name: rng.normal(at, 1.0, (points, 2)).round(3).tolist() for name, at in zip(names, places, strict=True)}
    values = {
        part: {model: {name: rng.gamma(2.0, 0.3, points).round(4).tolist() for name in names} for model in models}
        for part in ("squared_error", "uncertainty")
    }
    return {
        "behaviors": [
            {"name": name, "logged": name in logged, "to_rest": round(float(of.mean()), 4)}
            for name, of in zip(names, distance, strict=True)
        ],
        "distance": distance.round(4).tolist(),
        "area": (0.5 + 0.4 * np.tanh(distance - 0.06)).round(4).tolist(),
        "share": [0.61, 0.2],
        "points": clouds,
        **values,
    }


def noisy(models: Mapping[str, float], batch: int = 1024) -> dict[str, Any]:
    """Noise of each model beside this variance of its true risks."""
    return {
        model: {
            "batch": batch,
            "variance": variance,
            "low": variance - 0.003,
            "high": variance + 0.003,
            "noise": 0.002,
            "share": 0.002 / (0.002 + variance),
            "batch_enough": math.ceil(batch * 0.02 / variance) if variance > 0.003 else None,
        }
        for model, variance in models.items()
    }


def _normal(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def _quantile(share: float) -> float:
    low, high = -9.0, 9.0
    for _ in range(60):
        low, high = ((low + high) / 2, high) if _normal((low + high) / 2) < share else (low, (low + high) / 2)
    return low
