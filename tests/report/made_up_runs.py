"""Run folders as `worldrex run` writes them, made up from measured numbers: no training here."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.report.made_up_diagnostics import around, diagnosed, noisy, shifted

LOGGED = ("ignores the gust", "compensates a quarter", "compensates a half", "compensates three quarters")
# Held-out risk of each behavior when trained on, and its left-out risk, by weight.
TRAINED = {
    0: (1.42, 0.62, 0.31, 0.24),
    1: (1.40, 0.70, 0.42, 0.36),
    10: (1.24, 0.90, 0.81, 0.76),
    30: (1.14, 0.95, 0.92, 0.90),
    100: (1.05, 1.01, 0.99, 0.98),
}
LEFT_OUT = {
    0: (1.59, 0.68, 0.28, 0.39),
    1: (1.58, 0.76, 0.38, 0.66),
    10: (1.57, 0.95, 0.87, 0.77),
    30: (1.48, 0.96, 0.95, 0.95),
    100: (1.30, 1.03, 1.02, 1.06),
}
UNLOGGED = {
    "leans with the gust": {"erm": 2.95, "chosen": 1.04, "penalized": 1.04, "plain": 1.88, "noise_floor": 1.0},
    "random torques": {"erm": 2.66, "chosen": 1.03, "penalized": 1.03, "plain": 1.39, "noise_floor": 1.0},
    "strong compensation": {"erm": 0.51, "chosen": 0.98, "penalized": 0.98, "plain": 0.25, "noise_floor": 1.0},
}


def selection(
    behaviors: Sequence[str], left_out: Mapping[int, Sequence[float]], trained: Mapping[int, Sequence[float]]
) -> dict[str, Any]:
    rows = []
    for weight, risks in left_out.items():
        worst = max(risks)
        gain = max(left_out[0]) - worst
        rows.append(
            {
                "weight": float(weight),
                "worst": around(worst, 0.06, behavior=behaviors[list(risks).index(worst)]),
                "mean": around(sum(risks) / len(risks), 0.03),
                "folds": {name: around(risk) for name, risk in zip(behaviors, risks, strict=True)},
                "trained": {name: around(risk) for name, risk in zip(behaviors, trained[weight], strict=True)},
                "gain": {"value": gain, "low": gain - 0.08, "high": gain + 0.09},
            }
        )
    return {
        "rule": "the smallest weight whose worst left-out risk is within one standard error of the least.",
        "weights": rows,
    }


def scored(errors: Mapping[str, Mapping[str, float | None]]) -> dict[str, Any]:
    return {
        behavior: {
            **models,
            "intervals": {
                name: [value * 0.95, value * 1.06]
                for name, value in models.items()
                if value is not None and name != "noise_floor"
            },
        }
        for behavior, models in errors.items()
    }


def described(names: Sequence[str], records: int = 10240) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "records": records,
            "episodes": 103 - index,
            "episode_return": -512.0 + 140.5 * index,
            "episode_return_std": 61.0 / (index + 1),
        }
        for index, name in enumerate(names)
    ]


def summary_of_gusty() -> dict[str, Any]:
    return {
        "format": 1,
        "kind": "run",
        "task": "gusty-pendulum",
        "seed": 0,
        "command": "worldrex run --task gusty-pendulum",
        "quick": False,
        "verdict": {
            "kind": "helps",
            "sentence": "The penalized model holds under behaviors that nobody logged; "
            "the pooled one gets the torque’s effect backward.",
            "evidence": [
                "Worst left-out risk falls from 1.59 to 1.30, a gain of 0.29 (0.21 to 0.38).",
                "Under every unlogged behavior the chosen model is within 1.04 × the noise floor.",
            ],
        },
        "chosen": {"penalty": "variance", "weight": 100.0, "debiased": True, "loss": "squared"},
        "candidate": {"penalty": "variance", "weight": 100.0},
        "data": {
            "records": 40960,
            "episodes": 412,
            "obs_dims": 3,
            "action_dims": 1,
            "behaviors": described(LOGGED),
            "unlogged": described(tuple(UNLOGGED), 5120),
            "findings": [],
        },
        "crossval": [
            {
                "penalty": "variance",
                "weight": float(weight),
                "behavior": name,
                "seed": 0,
                "risk": risk,
                "low": None,
                "high": None,
            }
            for weight, risks in LEFT_OUT.items()
            for name, risk in zip(LOGGED, risks, strict=True)
        ],
        "selection": selection(LOGGED, LEFT_OUT, TRAINED),
        "unlogged": scored(UNLOGGED),
        "logged": scored(
            {name: {"erm": erm, "chosen": 1.0, "plain": 0.6} for name, erm in zip(LOGGED, TRAINED[0], strict=True)}
        ),
        "diagnostics": {
            name: {"erm": diagnosed(of["erm"], 0.6), "chosen": diagnosed(of["chosen"], 1.0)}
            for name, of in UNLOGGED.items()
        }
        | {name: {"erm": diagnosed(0.5, 1.0), "chosen": diagnosed(1.0, 1.05)} for name in LOGGED},
        "shift": shifted(LOGGED, tuple(UNLOGGED)),
        "penalty_noise": noisy({"erm": 0.2, "chosen": 0.001}),
        "slope": {
            "action": "torque",
            "output": "ω",
            "truth": 0.15,
            "erm": -0.0743,
            "chosen": 0.1417,
            "penalized": 0.1417,
            "plain": 0.031,
        },
        **policies_of(LOGGED),
        "seconds": {"collect": 3.1, "describe": 0.2, "crossval": 121.4, "fit": 58.8, "score": 6.3, "report": None},
    }


def estimated(value: float, half: float = 10.0) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def policies_of(logged: Sequence[str], *, env: str | None = "worldrex/GustyPendulum-v0") -> dict[str, Any]:
    """What a run tells of its policies; without an environment, of what the models say."""

    def flat(value: float) -> dict[str, Any]:
        told = {"return": value, "low": value - 12, "high": value + 12, "mean": estimated(value - 2), "episodes": 150}
        return (told if env else {}) | {"policies": 3}

    rows = {
        "erm": flat(-339.0) | {"promised": estimated(-60.5), "foretold": estimated(-340.0)},
        "chosen": flat(-65.7) | {"promised": estimated(-70.9)},
    }
    if env:
        rows["erm"] |= {"gap": estimated(280.5)}
        rows["chosen"] |= {"gap": estimated(-3.2)}
        rows["simulator"] = flat(-63.3) | {"foretold": estimated(-71.8)}
    rows["cloning"] = flat(-150.0) | {"policies": 1, "foretold": estimated(-149.0)}
    returns = {name: -185.0 + 20 * place for place, name in enumerate(logged)}
    best = logged[-1]
    rows["best_behavior"] = {"name": best, "return": returns[best], "low": -150.0, "high": -80.0} | {
        "mean": estimated(returns[best])
    }
    others = {"do nothing": -208.0, "random actions": -216.0} if env else {}
    baselines = {
        name: {"return": estimated(value), "mean": estimated(value)} for name, value in {**others, **returns}.items()
    }
    return {
        "policy": rows, "policy_note": "", "returns": {"env": env, "episode_steps": 40, "baselines": baselines, "seed": 0},
    }  # fmt: skip


def where_erm_is_chosen(told: dict[str, Any]) -> dict[str, Any]:
    rows = {"penalized" if name == "chosen" else name: row for name, row in told["policy"].items()}
    return told | {"policy": rows | {"chosen": rows["erm"]}}


def without_evidence(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary as runs before 0.2 left it: without diagnostics, distances and noise."""
    return {name: part for name, part in summary.items() if name not in ("diagnostics", "shift", "penalty_noise")}


def training_lines(
    behaviors: Sequence[str], finals: Mapping[str, Sequence[float]], steps: int = 6000
) -> list[dict[str, Any]]:
    lines = []
    for model, ends in finals.items():
        for step in range(0, steps + 1, 100):
            on = model != "erm" and step > 1000
            pull = 1 - math.exp(-(step - 1000) / 900) if on else 0.0
            risks = {
                name: start + pull * (end - start) + 6 * math.exp(-step / 220)
                for name, start, end in zip(behaviors, finals["erm"], ends, strict=True)
            }
            lines.append(
                {
                    "stage": "fit",
                    "model": model,
                    "step": step,
                    "phase": "penalized" if on else "unpenalized",
                    "train_risk": sum(risks.values()) / len(risks),
                    "holdout_risk": risks,
                    "holdout_penalty": 0.1,
                }
            )
    return lines


def summary_of_pipeline() -> dict[str, Any]:
    """Third-party data: no truth is known, and the penalty is not chosen."""
    names = ("every third episode, from 0", "every third episode, from 1", "every third episode, from 2")
    left_out = {
        0: (0.412, 0.407, 0.421),
        1: (0.413, 0.408, 0.420),
        10: (0.419, 0.411, 0.426),
        100: (0.481, 0.466, 0.470),
    }
    trained = {weight: tuple(0.97 * risk for risk in risks) for weight, risks in left_out.items()}
    return summary_of_gusty() | {
        "task": "Pipeline-high-100000-train",
        "command": "worldrex run --data 'Pipeline high.npz' --behavior-cycle 3",
        "verdict": {
            "kind": "buys nothing",
            "sentence": "These behaviors do not disagree about the dynamics, so the penalty buys nothing; "
            "the ordinary model stands.",
            "evidence": [
                "Worst left-out risk is 0.421 without the penalty and 0.420 at best with it: "
                "a gain of 0.00 (−0.01 to 0.02)."
            ],
        },
        "chosen": {"penalty": "variance", "weight": 0.0, "debiased": True, "loss": "squared"},
        "candidate": {"penalty": "variance", "weight": 1.0},
        "data": {
            "records": 100000,
            "episodes": 100,
            "obs_dims": 52,
            "action_dims": 1,
            "behaviors": described(names, 33334),
            "unlogged": described(("Pipeline-high-20000-val",), 20000),
            "findings": [
                {
                    "severity": "warning",
                    "column": "obs[17]",
                    "count": 100000,
                    "message": "constant; it is left as it is",
                },
                {"severity": "note", "column": "terminated", "count": 0, "message": "no episode terminates"},
            ],
        },
        "selection": selection(names, left_out, trained),
        "unlogged": scored(
            {"Pipeline-high-20000-val": {"erm": 0.52, "chosen": 0.52, "penalized": 0.534, "noise_floor": None}}
        ),
        "logged": {},
        "diagnostics": {},
        "shift": None,
        "penalty_noise": None,
        "slope": None,
        **where_erm_is_chosen(policies_of(names, env=None)),
    }


def summary_of_many(
    count: int = 12, *, weights: Sequence[int] = (0, 1, 3, 10, 30, 100), seeds: int = 0, unlogged: int = 0
) -> dict[str, Any]:
    """A run of many behaviors; with as many unlogged ones, each of them diagnosed."""
    names = tuple(
        f"operator {chr(65 + index % 26)}{index // 26 or ''}, shift {index % 3 + 1}" for index in range(count)
    )
    left_out = {
        weight: tuple(
            0.4 + 1.1 * ((7 * index) % count) / count * 3 / (3 + weight) + weight / 900 for index in range(count)
        )
        for weight in weights
    }
    trained = {weight: tuple(0.9 * risk for risk in risks) for weight, risks in left_out.items()}
    others = tuple(f"policy {index}" for index in range(unlogged))
    errors = {name: {"erm": 2.0 + index / 9, "chosen": 1.1} for index, name in enumerate(others)}
    of_logged = {name: {"erm": 0.6, "chosen": 0.9} for name in names} if others else {}
    return summary_of_gusty() | {
        "task": f"plant-{count}",
        "data": summary_of_gusty()["data"] | {"behaviors": described(names), "unlogged": described(others)},
        "selection": selection(names, left_out, trained),
        "crossval": [
            {"penalty": "variance", "weight": float(weight), "behavior": name, "seed": seed, "risk": risk}
            for weight, risks in left_out.items()
            for name, risk in zip(names, risks, strict=True)
            for seed in range(seeds)
        ],
        "chosen": {"penalty": "variance", "weight": 30.0, "debiased": True, "loss": "squared"},
        "candidate": {"penalty": "variance", "weight": 30.0},
        "unlogged": scored(errors),
        "logged": scored(of_logged),
        "diagnostics": {
            name: {"erm": diagnosed(of["erm"], 0.6), "chosen": diagnosed(of["chosen"], 1.0)}
            for name, of in (errors | of_logged).items()
        },
        "shift": shifted(names, others) if others else None,
        "penalty_noise": noisy({"erm": 0.2, "chosen": 0.001}) if others else None,
        "slope": None,
    }


def write_folder(folder: Path, summary: dict[str, Any], *, without: Sequence[str] = (), status: Any = None) -> Path:
    names = [behavior["name"] for behavior in summary["data"]["behaviors"]]
    rows = summary["selection"]["weights"]
    first, last = ([row["trained"][name]["value"] for name in names] for row in (rows[0], rows[-1]))
    halves = [(one + other) / 2 for one, other in zip(first, last, strict=True)]
    metrics = training_lines(names, {"erm": first, "penalized": last, "plain": halves})
    folder.mkdir(parents=True)
    files = {
        "summary.json": json.dumps(summary, ensure_ascii=False),
        "status.json": json.dumps(status or {"state": "finished", "stage": "report"}),
        "config.json": json.dumps(
            {
                "command": ["worldrex", "run", "--task", summary["task"]],
                "config": {
                    "seed": 0,
                    "crossval": {"weights": [0.0, 1.0, 10.0], "seeds": 2},
                    "fit": {"loss": "squared", "steps": 6000},
                },
                "seed": 0,
            }
        ),
        "environment.json": json.dumps(
            {
                "worldrex": "0.1.0",
                "python": "3.11.7",
                "jax": "0.8.1",
                "numpy": "2.3.4",
                "machine": {"system": "Linux", "cpus": 2},
                "git": None,
            }
        ),
        "metrics.jsonl": "".join(json.dumps(line) + "\n" for line in metrics),
    }
    for name, text in files.items():
        if name not in without:
            (folder / name).write_text(text, encoding="utf-8")
    return folder
