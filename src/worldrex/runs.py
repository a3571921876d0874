"""A run folder: configuration, metrics, summary, environment and status, each file written whole or not at all."""

import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Literal, Protocol, runtime_checkable

VERSIONED = ("worldrex", "jax", "jaxlib", "optax", "numpy", "gymnasium", "pyarrow", "safetensors")

State = Literal["running", "interrupted", "failed", "finished"]


class RunError(ValueError):
    """A folder that a run cannot use; the message says what came and what to do instead."""


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path` only when the block ends well: never half of it, and never an old half.

    **Raises:** `RunError` where it cannot be written (no such folder, no permission, a full disk).
    """
    path = Path(path)
    # A hidden sibling, so that os.replace stays within one file system; its short name fits wherever `path` fits.
    unfinished = path.parent / f".{uuid.uuid4().hex}.unfinished"
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}. Nothing was changed there: choose a folder that exists and "
            "is writable, on a disk with room."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write strict JSON, whole or not at all; what is not finite becomes null. **Raises:** `RunError`."""
    text = json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    with atomic_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def plain(content: Any) -> Any:
    """`content` as strict JSON has it: arrays and tuples as lists, paths as strings, what is not finite as None."""
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple | set):
        return [plain(value) for value in content]
    if hasattr(content, "tolist"):
        return plain(content.tolist())
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if content is None or isinstance(content, str | int | bool):
        return content
    return str(content)


def check_file(path: Path, *, flag: str = "--out") -> None:
    """Raise `RunError` unless `path`, given by `flag`, is a new file's name in a folder that exists and is writable."""
    if path.exists():
        raise RunError(f"{path} exists and is never overwritten. Choose another {flag}.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise RunError(f"{path.parent} is not a folder that exists and is writable. Choose another {flag}.")


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

    `status.json` says how the run stands: one that was killed stays "running", so only "finished" is finished.
    """

    def __init__(self, path: Path, *, resumed: bool, mirror: Mirror | None = None) -> None:
        self.path = path
        self.resumed = resumed
        self.stage = "start"
        self._mirror = mirror
        self._mirror_anew()

    def status(self, state: State) -> None:
        """Say how the run stands, in the stage that began last."""
        write_json(self.path / "status.json", {"state": state, "stage": self.stage})

    @contextmanager
    def job(self, stage: str) -> Iterator[None]:
        """Say in status.json that `stage` begins, and in the end how the run ended: finished, interrupted or failed."""
        with _alone(self.path):
            for left in self.path.rglob(".*.unfinished"):
                left.unlink()  # by a process that was killed
            try:
                self.begin(stage)
                yield
            except KeyboardInterrupt as interrupt:
                self._end("interrupted")
                raise KeyboardInterrupt(
                    f"{self.path} is unfinished: the same command with --out {shlex.quote(str(self.path))} goes on after "
                    "its last finished stage, or within it from the last checkpoint, of which one is made each minute."
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
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock on config.json: two processes would mix their files. No lock where the system has none."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path / "config.json", "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another worldrex is at work in {path}. Wait for it, or choose another --out.") from error
        except OSError:
            pass  # a file system without locks
        yield


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


def environment() -> dict[str, Any]:
    """Versions, machine and source revision: what it takes to repeat a run."""
    versions = {}
    for name in VERSIONED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    machine = {"platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
    machine |= {"memory_bytes": memory}
    return {"python": sys.version.split()[0], **versions, "machine": machine, "git": _revision()}


def _revision() -> str | None:
    """The commit of the sources that run, with "+" if they have changed since; None outside a checkout."""
    here = Path(__file__).parent
    try:
        revision = subprocess.run(
            ["git", "-C", here, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "-C", here, "status", "--porcelain", "."], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return revision + ("+" if changes else "")
