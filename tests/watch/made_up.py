"""Metrics as running jobs write them, made up."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

BEHAVIORS = ("ignores the gust", "compensates a quarter", "compensates half", "compensates three quarters")
MODELS = ("erm", "penalized", "plain")
START = 1_700_000_000.0


def reports(
    steps: Iterable[int], *, behaviors: Sequence[str] = BEHAVIORS, weights: Sequence[float] = (), total: int = 6000,
    pace: float = 100.0, start: float = START,
) -> list[dict[str, Any]]:  # fmt: skip
    """A fit's records of each of these steps, or a cross-validation's where weights are given."""
    which: list[dict[str, Any]] = [{"stage": "crossval", "weight": weight} for weight in weights]
    which = which or [{"stage": "fit", "model": model} for model in MODELS]
    return [
        {
            **of,
            "step": step,
            "total": total,
            "train_risk": 0.5 + 100 / (step + 1),
            "holdout_risk": {name: 1.0 + place + 100 / (step + 1) for place, name in enumerate(behaviors)},
            "holdout_penalty": 0.25,
            "time": start + step / pace,
        }
        for step in steps
        for of in which
    ]


def as_lines(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def write_job(
    folder: Path, records: Iterable[Mapping[str, Any]], *, state: str = "running", stage: str = "fit"
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "metrics.jsonl").write_text(as_lines(records))
    set_state(folder, state, stage)
    return folder


def set_state(folder: Path, state: str, stage: str = "fit") -> None:
    (folder / "status.new").write_text(json.dumps({"state": state, "stage": stage}))
    (folder / "status.new").replace(folder / "status.json")
