"""A run folder: how the run stands, its metrics, the results of its stages, and one process at a time in it."""

import json
import os
import platform
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from worldrex.runs.files import RunError, atomic_file, plain, write_json
from worldrex.runs.locks import held, is_held
from worldrex.runs.provenance import environment

FROM_CHECKPOINT = (
    "goes on after its last finished stage, or within it from the last checkpoint, of which one is made each minute"
)
FROM_CHUNKS = "takes the chunks that are finished from there, and trains the others"
State = Literal["running", "interrupted", "failed", "finished"]


@runtime_checkable
class Mirror(Protocol):
    """Another place that metrics go to."""

    def begin(self) -> None:
        """Start anew: what an earlier try told is told again by who resumes it."""
        ...

    def write(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records of metrics."""
        ...

    def close(self) -> None:
        """The run ends."""
        ...


class RunFolder:
    """One run's folder. Make one with `open_run`; the methods write its files.

    `status.json` says how the run stands: one that was killed stays "running" (`was_killed` tells on the same machine), so
    only "finished" is finished.
    """

    def __init__(self, path: Path, *, resumed: bool, mirror: Mirror | None = None) -> None:
        self.path = path
        self.resumed = resumed
        self.stage = "start"
        self._locked = False
        self._mirror = mirror
        self._mirror_anew()

    def status(self, state: State) -> None:
        """Say how the run stands, in the stage that began last."""
        # Where it runs, if its lock tells who looks from there whether it still does.
        where = {"locked_on": _place(self.path)} if self._locked and state == "running" else {}
        write_json(self.path / "status.json", {"state": state, "stage": self.stage, **where})

    @contextmanager
    def job(self, stage: str, *, goes_on: str = FROM_CHECKPOINT) -> Iterator[None]:
        """Say in status.json that `stage` begins, and in the end how the run ended: finished, interrupted or failed.

        After Ctrl-C a person is told that the same command `goes_on`.
        """
        with _alone(self.path) as self._locked:
            for left in self.path.rglob(".*.unfinished"):
                left.unlink()  # by a process that was killed
            try:
                self.begin(stage)
                yield
            except KeyboardInterrupt as interrupt:
                self._end("interrupted")
                raise KeyboardInterrupt(
                    f"{self.path} is unfinished: the same command with --out {shlex.quote(str(self.path))} {goes_on}."
                ) from interrupt
            except BaseException:
                self._end("failed")
                raise
            finally:
                if self._mirror is not None:
                    self._mirror.close()
            self.status("finished")

    def _end(self, state: State) -> None:
        # A full disk must not hide why the run ends.
        with suppress(RunError):
            self.status(state)

    def begin(self, stage: str) -> None:
        """Say that a stage begins."""
        self.stage = stage
        self.status("running")

    def forget_metrics(self, stage: str, *, after: int) -> None:
        """Forget what an earlier, unfinished try at a stage logged of later steps than it goes on from."""
        lines = [line for line in self._metrics() if line.get("stage") != stage or line.get("step", 0) <= after]
        with atomic_file(self.path / "metrics.jsonl") as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in lines)
        self._mirror_anew()

    def log(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append to metrics.jsonl, one object per line, each with the time (seconds since 1970), for who follows the run."""
        now = round(time.time(), 3)
        lines = [plain(record) | {"time": now} for record in records]
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        try:
            with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise RunError(
                f"cannot write {self.path / 'metrics.jsonl'}: {error.strerror or error}. Make room, and give the same command "
                "to go on."
            ) from error
        if self._mirror is not None:
            self._mirror.write(lines)

    def keep(self, stage: str, result: Any) -> None:
        """Keep a finished stage's result, for a resumed run."""
        (self.path / "checkpoint").mkdir(exist_ok=True)
        write_json(self.path / "checkpoint" / f"{stage}.json", result)

    def kept(self, stage: str) -> Any | None:
        """The result of a stage that an earlier try finished, or None."""
        path = self.path / "checkpoint" / f"{stage}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def _mirror_anew(self) -> None:
        if self._mirror is not None:
            self._mirror.begin()
            self._mirror.write(self._metrics())

    def _metrics(self) -> list[dict[str, Any]]:
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        # A killed process may leave half a line at the end.
        lines = path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]


def open_run(
    path: str | os.PathLike[str], config: Mapping[str, Any], *, command: Iterable[str], mirror: Mirror | None = None
) -> RunFolder:
    """The run folder at `path`: a new one, or an unfinished one of the same configuration, which is then resumed.

    **Arguments:** `config`, JSON-like, with the seed; `command`, the words that repeat the run; `mirror`, where its
    metrics go beside metrics.jsonl.

    **Raises:** `RunError` if `path` is a file, a folder of something else, a finished run, an unfinished run with
    another configuration, or cannot be written.
    """
    path = Path(path)
    config = plain(config)
    if path.exists() and not path.is_dir():
        raise RunError(f"--out {path} is a file; name a folder that does not exist yet.")
    try:
        inside = sorted(entry.name for entry in path.iterdir()) if path.exists() else []
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}. Choose another --out.") from error
    resumed = "config.json" in inside
    if inside and not resumed:
        raise RunError(
            f"{path} exists and is not a run folder (it holds {', '.join(inside[:3])}{', ...' if len(inside) > 3 else ''} "
            "and no config.json). Name a new or empty folder with --out; nothing was written."
        )
    if resumed:
        _check_resumable(path, config)
    else:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"cannot make the folder {path}: {error.strerror or error}. Choose another --out."
            ) from error
        # First what makes it a run folder, so that it is one whenever a kill comes.
        write_json(path / "config.json", {"command": list(command), "config": config, "seed": config.get("seed")})
        write_json(path / "status.json", {"state": "running", "stage": "start"})
    if not (path / "environment.json").exists():
        write_json(path / "environment.json", environment())
    return RunFolder(path, resumed=resumed, mirror=mirror)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold a lock on config.json, where there are locks (which it tells): two processes would mix their files."""
    with held(path / "config.json") as taken:
        if taken == "another's":
            raise RunError(f"another worldrex is at work in {path}. Wait for it, or choose another --out.")
        yield taken == "ours"


def _place(path: Path) -> str:
    """The machine, and the folder on it: a copy of a folder is another one, in which nobody is at work."""
    return f"{platform.node()}, inode {(path / 'config.json').stat().st_ino}"


def was_killed(path: Path) -> bool:
    """Whether a job in the folder says that it runs, on this machine, and no process is there: it could not say that it ended."""

    def runs_here() -> bool:
        try:
            status = json.loads((path / "status.json").read_text(encoding="utf-8"))
            return status["state"] == "running" and status.get("locked_on") == _place(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    # Asked again afterwards: it may have ended, and said so, in between.
    return runs_here() and is_held(path / "config.json") is False and runs_here()


def _check_resumable(path: Path, config: Mapping[str, Any]) -> None:
    try:
        earlier = json.loads((path / "config.json").read_text(encoding="utf-8"))["config"]
        status = path / "status.json"
        state = json.loads(status.read_text(encoding="utf-8"))["state"] if status.exists() else "running"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} has a config.json or status.json that is not a run's. Choose another --out.") from error
    if state == "finished":
        raise RunError(f"{path} holds a finished run, which is never overwritten. Choose another --out.")
    if earlier != config:
        differ = sorted(key for key in {*earlier, *config} if earlier.get(key) != config.get(key))
        raise RunError(
            f"{path} holds an unfinished run with other settings ({', '.join(differ)}). Give the same settings to resume "
            "it, or choose another --out."
        )
