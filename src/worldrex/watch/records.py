"""What a run writes while it runs, read while it is written."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from worldrex.runs import RunError, was_killed


class Status(NamedTuple):
    """How a run stands: as it says itself, unless it was killed."""

    state: str
    """running, interrupted, failed, finished or killed."""
    stage: str


class MetricsFile:
    """The whole lines of a file that another process appends to, and replaces where it goes on from earlier."""

    def __init__(self, path: Path) -> None:
        self.records: list[dict[str, Any]] = []
        self._path = path
        self._inode: int | None = None
        self._read = 0
        self._last = b""

    def read_on(self) -> bool:
        """Read what has come since the last look, or all of a file that was replaced. Returns whether anything changed.

        Raises:
            RunError: the file is there and cannot be read.
        """
        try:
            with open(self._path, "rb") as file:
                return self._read_on(file.fileno())
        except FileNotFoundError:
            changed = bool(self.records)
            self._forget(None)
            return changed
        except OSError as error:
            raise RunError(f"cannot read {self._path}: {error.strerror or error}. Check its permissions.") from error

    def _read_on(self, descriptor: int) -> bool:
        inode, size = os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size
        if inode == self._inode and size == self._read:
            return False
        start = self._read - len(self._last)
        come = os.pread(descriptor, max(size - start, 0), start)
        changed = inode != self._inode or not come.startswith(self._last)
        if changed:
            self._forget(inode)
            come = os.pread(descriptor, size, 0)
        # Behind the last line's end stands what is half written.
        lines = come[len(self._last) :].splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        if whole:
            self._read += sum(map(len, whole))
            self._last = whole[-1]
            self.records += [record for line in whole if (record := _record(line)) is not None]
        return changed or bool(whole)

    def _forget(self, inode: int | None) -> None:
        self.records = []
        self._inode, self._read, self._last = inode, 0, b""


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None for what is none, which is no reason to stop watching."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    known = isinstance(record, dict) and isinstance(record.get("stage"), str) and isinstance(record.get("step"), int)
    return record if known else None


def require_run_folder(folder: Path) -> None:
    """Raise `RunError` unless `folder` is one."""
    if not folder.is_dir():
        raise RunError(
            f"{folder} is {'not a folder' if folder.exists() else 'not there (yet)'}. Name the --out of a job that has begun, or "
            "the folder that `worldrex run` says first."
        )
    if not (folder / "config.json").is_file() and not (folder / "status.json").is_file():
        raise RunError(
            f"{folder} is not a run folder: it has neither config.json nor status.json. Name the --out of `worldrex run`, "
            "`crossval` or `fit`."
        )


def read_status(folder: Path) -> Status:
    """How the run stands; one that has not said so yet is taken to be starting.

    Raises:
        RunError: the folder is no longer there, or its status.json is not a run's.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is no longer there. It was moved or removed while it was watched.")
    path = folder / "status.json"
    try:
        status = json.loads(path.read_text(encoding="utf-8"))
        return Status("killed" if was_killed(folder) else str(status["state"]), str(status["stage"]))
    except FileNotFoundError:
        return Status("running", "start")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is not a run's ({error}). Watch another folder, or start the job anew.") from error


def read_verdict(folder: Path) -> str | None:
    """The sentence that a finished `worldrex run` ends with; None where there is none."""
    try:
        return str(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["verdict"]["sentence"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
