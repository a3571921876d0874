"""Metrics of a run as TensorBoard's event files."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from worldrex.runs import RunError

# What says whose metrics a record has.
EVENT_KEYS = ("stage", "model", "weight", "phase")


class EventFiles:
    """Metrics as TensorBoard reads them: a scalar for each number, called by what stands before it in the record."""

    def __init__(self, path: Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise RunError("--tensorboard needs another package: pip install 'worldrex[tensorboard]'.") from error
        self._writer_at, self._path = SummaryWriter, path
        self._writer: Any = None

    def begin(self) -> None:
        """Start anew: what an earlier try told is told again by who resumes it."""
        if self._writer is not None:
            self._writer.close()
        shutil.rmtree(self._path, ignore_errors=True)
        self._writer = None

    def write(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add the records. **Raises:** `RunError` where they cannot be written."""
        try:
            if self._writer is None:
                self._writer = self._writer_at(str(self._path))
            for record in records:
                for name, value in _scalars(record):
                    self._writer.add_scalar(name, value, record["step"])
            self._writer.flush()
        except OSError as error:
            raise RunError(
                f"cannot write {self._path}: {error.strerror or error}. Make room, or do without --tensorboard."
            ) from error


def _scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    which = [f"{key} {record[key]:g}" if key == "weight" else str(record[key]) for key in EVENT_KEYS if key in record]
    for name, value in record.items():
        if name in (*EVENT_KEYS, "step"):
            continue
        for part, number in value.items() if isinstance(value, Mapping) else [("", value)]:
            if isinstance(number, int | float):
                yield "/".join(filter(None, (*which, name, part))), number
