"""A run folder as the report reads it: what is missing is empty, what is not finite is None."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]

# Of a summary, with what stands for each part where it is missing.
SUMMARY_PARTS: dict[str, Any] = {
    "kind": "run",
    "task": None,
    "seed": None,
    "command": None,
    "quick": False,
    "verdict": None,
    "chosen": {},
    "candidate": {},
    "data": {},
    "crossval": [],
    "selection": {},
    "distance": {},
    "unlogged": {},
    "logged": {},
    "diagnostics": {},
    "shift": None,
    "penalty_noise": None,
    "holdout_risk": {},
    "penalty": None,
    "weight": None,
    "slope": None,
    "policy": {},
    "policy_note": "",
    "returns": None,
    "seconds": {},
}


class ReportError(ValueError):
    """A folder that the report cannot read, or a place that it cannot write to."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run folder, read. `summary` has every part of a finished run's summary, empty where the file lacks it."""

    folder: Path
    state: str
    stage: str | None
    summary: Record
    config: Record
    environment: Record
    metrics: tuple[Record, ...]

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.state == "finished"

    @property
    def title(self) -> str:
        """The task's name, or the folder's where the task is not known."""
        return str(self.summary["task"] or self.folder.resolve().name)


def read_run(folder: Path) -> Run:
    """Read a run folder; every file but one of config.json, summary.json and status.json may be absent.

    Args:
        folder: the run folder.

    Returns:
        The run; its state is "finished", "running", "interrupted" or "unfinished" (no status.json and no summary.json).

    Raises:
        ReportError: the folder is missing, is no run folder, or one of its files is not JSON.
    """
    if not folder.is_dir():
        raise ReportError(f"{folder} is not a folder. Name a run folder: what `worldrex run --out DIR` wrote.")
    if not any((folder / name).is_file() for name in ("config.json", "summary.json", "status.json")):
        raise ReportError(
            f"{folder} is not a run folder: it has none of config.json, summary.json and status.json. "
            "Name the folder that `worldrex run --out DIR` wrote."
        )
    summary = _read_object(folder / "summary.json")
    status = _read_object(folder / "status.json")
    config = _read_object(folder / "config.json")
    present = {name: part for name, part in summary.items() if part is not None}
    return Run(
        folder=folder,
        state=str(status.get("state") or ("finished" if summary else "unfinished")),
        stage=status.get("stage"),
        summary=SUMMARY_PARTS | _choice(present, config.get("config") or {}) | present,
        config=config,
        environment=_read_object(folder / "environment.json"),
        metrics=_read_lines(folder / "metrics.jsonl"),
    )


def _choice(summary: Record, config: Record) -> dict[str, Any]:
    """What `worldrex crossval` chose, in the terms of `worldrex run`."""
    selection = summary.get("selection") or {}
    if "chosen" not in selection:
        return {}
    shared = {"penalty": selection.get("penalty") or config.get("penalty") or "penalty"}
    chosen, candidate = selection["chosen"], selection.get("candidate")
    debiased = {"debiased": config.get("debiased", False)}
    return {
        "chosen": {"penalty": shared["penalty"] if chosen else "none", "weight": chosen} | debiased,
        "candidate": shared | {"weight": candidate} if candidate else {},
    }


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} is not JSON ({error}). Run the command that wrote it again.") from error
    except OSError as error:
        raise ReportError(f"{path} cannot be read ({error.strerror}). Check its permissions.") from error
    if not isinstance(value, dict):
        raise ReportError(f"{path} holds a {type(value).__name__}, expected an object. Run the command again.")
    return _finite(value)


def _read_lines(path: Path) -> tuple[Record, ...]:
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(_finite(json.loads(line)))
        except json.JSONDecodeError as error:
            # A run that is writing, or that was cut off, leaves half of its last line.
            if number == len(lines):
                break
            raise ReportError(f"{path}, line {number} is not JSON ({error}). Remove the line.") from error
    return tuple(record for record in records if isinstance(record, dict))


def _finite(value: Any) -> Any:
    match value:
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list():
            return [_finite(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value
