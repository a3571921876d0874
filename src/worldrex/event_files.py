"""Metrics of a run as TensorBoard's event files."""

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from worldrex.runs import RunError

# What says whose metrics a record has, and what says when: neither is a number to plot.
EVENT_KEYS = ("stage", "model", "penalty", "weight", "phase")
WHEN_KEYS = ("step", "total", "time")


class EventFiles:
    """Metrics as TensorBoard reads them: a scalar for each number, called by what stands before it in the record."""

    def __init__(self, path: Path) -> None:
        try:
            # What writes at once, and not in a thread that a full disk ends unheard.
            from tensorboardX.event_file_writer import EventsWriter  # pyright: ignore
        except ImportError as error:
            raise RunError("--tensorboard needs another package: pip install 'worldrex[tensorboard]'.") from error
        self._writer_at, self._path = EventsWriter, path
        self._writer: Any = None

    def begin(self) -> None:
        """Start anew: what an earlier try told is told again by who resumes it."""
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)

    def write(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add the records. **Raises:** `RunError` where they cannot be written."""
        try:
            if self._writer is None:
                self._path.mkdir(parents=True, exist_ok=True)
                self._writer = self._writer_at(str(self._path / "events"))
            for record in records:
                for name, value in _scalars(record):
                    self._writer.write_event(_event(name, value, record))
            self._writer.flush()
        except OSError as error:
            raise RunError(
                f"cannot write {self._path}: {error.strerror or error}. Make room, or do without --tensorboard."
            ) from error

    def close(self) -> None:
        """The run ends."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None


def _event(name: str, value: float, record: Mapping[str, Any]) -> Any:
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore
    from tensorboardX.summary import scalar  # pyright: ignore

    # What a resumed run tells again keeps the time at which it came to be known.
    when = record.get("time", time.time())
    return Event(wall_time=when, step=record["step"], summary=scalar(name, value))


def _scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    which = [f"{key} {record[key]:g}" if key == "weight" else str(record[key]) for key in EVENT_KEYS if key in record]
    for name, value in record.items():
        if name in (*EVENT_KEYS, *WHEN_KEYS):
            continue
        for part, number in value.items() if isinstance(value, Mapping) else [("", value)]:
            if isinstance(number, int | float):
                yield "/".join(filter(None, (*which, name, part))), number
