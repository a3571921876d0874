"""The door to a Ray cluster, and this end of the process that drives it. Ray is imported only when it is asked for."""

import multiprocessing
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from worldrex.data import Transitions
from worldrex.data.transitions import COLUMNS
from worldrex.dynamics.chunks import Packed
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.ray_driver import Job, Log, send_log
from worldrex.dynamics.ray_worker import Source

ANSWER_SECONDS = 10
JOIN_SECONDS = 120
LEAVE_SECONDS = 20
# As a script that this process was started with finds its modules.
CHILD = """
import sys
address, descriptor, *sys.path[:] = sys.argv[1:]
from worldrex.dynamics.ray_driver import main
main(address, int(descriptor))
"""


class Driver:
    """The process that drives the cluster at an address; where it has ended, the next training starts another."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: Connection[Any, Any]

    def start(self) -> None:
        """Join the cluster. **Raises:** `TrainingError` where it does not let us in."""
        self.connection, theirs = multiprocessing.Pipe()
        with theirs:
            # A session of its own: Ctrl-C is for this process, which then leaves.
            self.process = subprocess.Popen(
                [sys.executable, "-c", CHILD, self.address, str(theirs.fileno()), *sys.path], pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        try:
            if not self.connection.poll(JOIN_SECONDS):
                raise _refused(self.address, f"nothing came of it in {JOIN_SECONDS} s")
            word, content = self._hear()
            if word == "failed":
                raise _refused(self.address, content)
        except BaseException:
            self.close()
            raise

    def train(
        self, job: Job, sent: Transitions | Source, *,
        keep: Callable[[Packed], None], say: Callable[[str], None], tick: Callable[[int, int], None],
    ) -> None:  # fmt: skip
        """Have it trained; `keep` is given each chunk as it comes. **Raises:** what went wrong there, or `TrainingError`."""
        if self.process is None:
            self.start()
        try:
            self._send(job, sent)
            while (told := self._hear())[0] not in ("done", "refused", "fault"):
                word, content = told
                if word == "chunk":
                    keep(content)
                elif word == "say":
                    say(content)
                else:
                    tick(*content)
        except BaseException:
            self.close()  # it would go on
            raise
        word, content = told
        if word == "refused":
            raise content
        if word == "fault":
            raise RuntimeError(f"in the process that drives Ray:\n{content}")

    def close(self) -> None:
        """Leave the cluster."""
        process, self.process = self.process, None
        if process is None:
            return
        self.connection.close()
        _wait(process)

    def _send(self, job: Job, sent: Transitions | Source) -> None:
        try:
            if isinstance(sent, Transitions):
                columns = [getattr(sent, column) for column in COLUMNS]
                self.connection.send((job, Log(tuple((x.dtype.str, x.shape) for x in columns), sent.behavior_names)))
                send_log(self.connection, sent)
            else:  # a function of a script's own is known there by its code only
                self.connection.send((job, import_module("ray.cloudpickle").dumps(sent)))
        except ConnectionError as error:
            raise self._ended() from error

    def _hear(self) -> tuple[str, Any]:
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise self._ended() from error

    def _ended(self) -> TrainingError:
        assert self.process is not None
        code = _wait(self.process)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        memory = ", and the system where memory runs out" if code == -signal.SIGKILL else ""
        return TrainingError(
            f"the process that drives the Ray cluster at {self.address!r} has ended ({how}). Ray ends it where the node on this "
            f"machine or the cluster's head is lost{memory}. Finished chunks are kept in --out (in Python: `checkpoint`): see to "
            "the cluster and give the same command to go on."
        )


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Until it has ended, by force where it takes long. Returns its exit code."""
    try:
        process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process.wait()


_joined: list[Driver] = []


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Within the block, `train_on_ray` trains on the cluster at `address`. A block within another changes nothing.

    Ray runs in a process of its own, which ends with the block.

    **Arguments:** `address`: "HOST:PORT" of a cluster's head; "auto", the cluster of this machine, or that RAY_ADDRESS
    names; "local", one that is started here, has all cores and ends with the block.

    **Raises:** `TrainingError` where Ray is missing, or nothing answers.
    """
    ray()
    if _joined:
        yield
        return
    if address == "auto":
        address = _of_this_machine()
    _require_answer(address)
    driver = Driver(address)
    driver.start()
    _joined.append(driver)
    try:
        yield
    finally:
        _joined.remove(driver)
        driver.close()


def joined() -> Driver:
    """What drives the cluster that `connected` has joined. **Raises:** `TrainingError` outside of its block."""
    if not _joined:
        raise TrainingError("no Ray cluster is joined: train within `with worldrex.dynamics.connected(ADDRESS):`.")
    return _joined[-1]


def ray() -> Any:
    """The module. **Raises:** `TrainingError` where it is not installed."""
    try:
        return import_module("ray")
    except ImportError as error:
        raise TrainingError(
            f"--ray needs Ray, which is not installed ({error}): pip install 'worldrex[ray]'"
        ) from error


def _of_this_machine() -> str:
    """What "auto" stands for. Ray takes the word, too, and then waits for minutes for a cluster that has gone."""
    services = import_module("ray._private.services")
    if not hasattr(services, "get_ray_address_from_environment"):
        return "auto"
    try:
        return services.get_ray_address_from_environment("auto", None)
    except ConnectionError as error:
        raise _unanswered("auto", "none runs on this machine, and RAY_ADDRESS names none") from error


def _require_answer(address: str) -> None:
    """Raise `TrainingError` unless somebody listens there: Ray itself would try for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise TrainingError(
            f"--ray {address!r} is no address; give HOST:PORT of the cluster's head (as `ray start --head` tells it), 'auto' for "
            "the cluster of this machine, or 'local' to start one here. (Ray Client, ray://, is not used: start worldrex on a "
            "machine of the cluster.)"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unanswered(address, str(error)) from error


def _unanswered(address: str, reason: str) -> TrainingError:
    return TrainingError(
        f"no Ray cluster answers at {address!r} ({reason.rstrip('.')}). Start one with `ray start --head` and give the "
        "HOST:PORT that it tells, or start one on this machine alone with --ray local."
    )


def _refused(address: str, reason: str) -> TrainingError:
    if address == "local":
        return TrainingError(f"Ray could not start a cluster on this machine: {reason.rstrip('.')}.")
    return TrainingError(
        f"something listens at {address!r}, and Ray cannot join it ({reason.rstrip('.')}). Is it the port of a cluster's head, "
        "as `ray start --head` tells it? Is that Ray of the version here? And where the cluster has a token, it is needed here, "
        "too: RAY_AUTH_MODE=token and RAY_AUTH_TOKEN."
    )
