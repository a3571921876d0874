"""The process that drives a Ray cluster: it hands the chunks out, and again where one is lost.

A process of its own, because Ray may end the one that it runs in: where the node beside it is lost, and, up to 2.60, now and
then when it disconnects (a thread that nobody waits for sends a reply; SIGSEGV). `ray_cluster` has the other end of its
connection.
"""

import itertools
import os
import threading
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from worldrex.data import DataError, Transitions
from worldrex.data.findings import plural
from worldrex.data.transitions import COLUMNS
from worldrex.dynamics import chunks
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.ray_worker import Source, Standing, Task, train_task

LOOK_SECONDS = 0.5
MOST_LOSSES = 5


class Job(NamedTuple):
    """What is to be trained."""

    tasks: Sequence[Task]
    finished: int
    """How many runs were finished by an earlier try."""
    patience: float
    """Seconds after which a chunk that no free worker takes is given to another node, too."""


class _Attempt(NamedTuple):
    """A chunk that Ray was given."""

    chunk: int
    number: int
    """Of all attempts; `Standing` knows it by that."""
    since: float


class Log(NamedTuple):
    """A log in memory that follows, column by column."""

    columns: tuple[tuple[str, tuple[int, ...]], ...]
    """Type and shape of each."""
    behavior_names: tuple[str, ...]


def send_log(connection: "Connection[Any, Any]", data: Transitions) -> None:
    """Send the columns as they lie in memory."""
    for column in COLUMNS:
        connection.send_bytes(np.ascontiguousarray(getattr(data, column)).reshape(-1).view(np.uint8).data)


def _received(connection: "Connection[Any, Any]", sent: Log | bytes) -> Transitions | Source:
    if isinstance(sent, bytes):
        return import_module("ray.cloudpickle").loads(sent)
    columns = {
        name: np.frombuffer(connection.recv_bytes(), dtype).reshape(shape)
        for name, (dtype, shape) in zip(COLUMNS, sent.columns, strict=True)
    }
    return Transitions(**columns, behavior_names=sent.behavior_names)


def main(address: str, descriptor: int) -> None:
    """Join the cluster at this address and train what is asked for, until nobody asks any more.

    Tells pairs: a word, one of "joined", "failed", "say", "tick", "chunk", "refused", "fault" and "done", and what belongs to it.
    """
    connection: Connection[Any, Any] = Connection(descriptor)
    joined = threading.Event()
    threading.Thread(target=_leave_with_the_owner, args=(connection, joined), daemon=True).start()
    api = import_module("ray")
    own = {"include_dashboard": False} if address == "local" else {}
    # Whoever asks may leave at any time.
    with suppress(EOFError, ConnectionError):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Ray tells its developers what will change
                api.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except Exception as error:
            joined.set()
            connection.send(("failed", next(iter(str(error).splitlines()), type(error).__name__)))
            return
        joined.set()
        connection.send(("joined", None))
        while True:
            job, sent = connection.recv()
            try:
                _Chunks(job, api.put(_received(connection, sent)), connection).train()
            except (DataError, TrainingError) as error:
                connection.send(("refused", error))
            except ConnectionError:
                raise
            except Exception:
                connection.send(("fault", traceback.format_exc()))
            else:
                connection.send(("done", None))
    api.shutdown()


def _leave_with_the_owner(connection: "Connection[Any, Any]", joined: threading.Event) -> None:
    """Until the cluster is joined, which may take minutes, nothing is to be heard but that the other end was closed."""
    while not joined.wait(LOOK_SECONDS):
        if connection.poll() and not joined.is_set():  # what is heard after that is a job
            os._exit(0)


class _Chunks:
    """The chunks of one job."""

    def __init__(self, job: Job, sent: Any, connection: "Connection[Any, Any]") -> None:
        self.api = import_module("ray")
        self.tasks, self.finished, self.patience = job.tasks, job.finished, job.patience
        self.sent, self.connection = sent, connection
        self.wanted = "GPU" if self.api.cluster_resources().get("GPU", 0) >= 1 else "CPU"
        # A worker trains its chunk once: where it dies, `_lost` decides.
        self.remote = self.api.remote(num_gpus=int(self.wanted == "GPU"), num_cpus=1, max_retries=0)(train_task)
        self.here = self.api.get_runtime_context().get_node_id()
        self.standing = self.api.remote(num_cpus=0, scheduling_strategy=self._near(self.here))(Standing).remote()
        self.steps: dict[int, int] = {}
        self.losses, self.rounds = [0] * len(self.tasks), [0] * len(self.tasks)
        self.waiting: dict[Any, _Attempt] = {}
        self.numbers = itertools.count()
        self.nodes, self.stuck, self.free_since = len(self._alive()), False, time.monotonic()

    def train(self) -> None:
        """Until all chunks are told."""
        size = plural(len(self.tasks[0].runs), "run")
        self._say(
            f"{plural(len(self.tasks), 'chunk')} of up to {size} for {plural(self.nodes, 'node')} of the Ray cluster"
        )
        trained = 0
        try:
            for chunk in range(len(self.tasks)):
                self._submit(chunk)
            while self.waiting:
                ready, _ = self.api.wait(list(self.waiting), timeout=LOOK_SECONDS)
                for ref in ready:
                    if ref not in self.waiting:
                        continue  # another attempt at its chunk was ready, too
                    chunk = self.waiting.pop(ref).chunk
                    packed = self._result(chunk, ref)
                    if packed is not None:
                        self._cancel(chunk)
                        trained += len(self.tasks[chunk].runs)
                        self.connection.send(("chunk", packed))
                    elif chunk not in self._under_way():
                        self._submit(chunk)
                self._look_at_nodes()
                self._look_at_workers()
                self.connection.send(("tick", self._steps(trained)))
        finally:
            for chunk in self._under_way():
                self._cancel(chunk)
            with suppress(Exception):
                self.api.kill(self.standing)

    def _submit(self, chunk: int, node: str | None = None) -> None:
        remote = self.remote if node is None else self.remote.options(scheduling_strategy=self._near(node))
        attempt = _Attempt(chunk, next(self.numbers), time.monotonic())
        self.waiting[remote.remote(self.sent, self.tasks[chunk], attempt.number, self.standing)] = attempt

    def _cancel(self, chunk: int) -> None:
        for ref in [ref for ref, attempt in self.waiting.items() if attempt.chunk == chunk]:
            del self.waiting[ref]
            with suppress(Exception):
                self.api.cancel(ref, force=True)

    def _under_way(self) -> dict[int, list[_Attempt]]:
        """The attempts at each chunk that is not trained."""
        found: dict[int, list[_Attempt]] = {}
        for attempt in self.waiting.values():
            found.setdefault(attempt.chunk, []).append(attempt)
        return found

    def _result(self, chunk: int, ref: Any) -> chunks.Packed | None:
        """What the worker sent; None where the chunk was lost. Raises what went wrong on the worker."""
        errors = self.api.exceptions
        try:
            told = self.api.get(ref)
        except errors.RayTaskError as error:
            # What a worker cannot import, Ray tells by several types, for the function and for its arguments.
            *_, reason = str(error).strip().splitlines()
            if reason.startswith(("ModuleNotFoundError", "ImportError", "AttributeError")) and any(
                told in str(error) for told in ("failed to import on the worker", "input arguments for this task")
            ):
                raise TrainingError(
                    f"a worker of the Ray cluster cannot import what trains ({reason}). Install worldrex "
                    f"{self.tasks[chunk].versions['worldrex'] or 'of the same version'} on each node, for the Python that "
                    "`ray start` runs in."
                ) from error
            raise  # a fault of worldrex itself
        except errors.RayError as error:
            self._lost(chunk, error)
            return None
        if isinstance(told, Exception):
            raise told
        return told

    def _lost(self, chunk: int, error: Exception) -> None:
        errors = self.api.exceptions
        self.losses[chunk] += 1
        known = {
            errors.NodeDiedError: "its node died",
            errors.OutOfMemoryError: "its node ran out of memory",
            errors.WorkerCrashedError: "its worker died",
        }
        reason = known.get(type(error), f"Ray says {type(error).__name__}")
        if self.losses[chunk] >= MOST_LOSSES:
            raise TrainingError(
                f"chunk {chunk + 1} of {len(self.tasks)} was lost {MOST_LOSSES} times, the last time because {reason}. "
                "What is finished is kept: see to the nodes (memory, logs of Ray) and give the same command to go on; with fewer "
                "--runs-per-chunk where memory is short."
            ) from error
        self._say(f"chunk {chunk + 1} of {len(self.tasks)} was lost ({reason}) and is trained again")

    def _look_at_nodes(self) -> None:
        """Say what becomes of the cluster."""
        nodes = len(self._alive())
        if nodes != self.nodes:
            self._say(f"{plural(nodes, 'node')} now, before {self.nodes}")
            self.nodes = nodes
        stuck = self.api.cluster_resources().get(self.wanted, 0) < 1
        if stuck and not self.stuck:
            self._say(
                f"no node with a {self.wanted} is left: waits until one joins (what is finished is kept, Ctrl-C ends)"
            )
        self.stuck = stuck

    def _look_at_workers(self) -> None:
        """Give a chunk that no free worker takes to another node, too.

        Ray goes on asking a node that does not answer until it is declared dead, and at times for ever:
        https://github.com/ray-project/ray/issues/63405. The first attempt stays, since it may only be slow: whichever ends first
        counts. Tasks that wish for different nodes are asked for apart, so the new attempt does not wait behind the old.
        """
        with suppress(self.api.exceptions.RayError, TimeoutError):  # without it, the bar waits for whole chunks
            self.steps = self.api.get(self.standing.all.remote(), timeout=LOOK_SECONDS)
        now = time.monotonic()
        if self.api.available_resources().get(self.wanted, 0) < 1:
            self.free_since = now
            return
        overdue = [
            (chunk, attempts)
            for chunk, attempts in self._under_way().items()
            if not any(attempt.number in self.steps for attempt in attempts)
            and now - max(self.free_since, attempts[-1].since) >= self.patience * 2 ** self.rounds[chunk]
        ]
        if not overdue:
            return
        waited = self.patience * 2 ** min(self.rounds[chunk] for chunk, _ in overdue)
        self._say(
            f"no worker took {plural(len(overdue), 'chunk')} for {waited:g} s though one is free: given to another node, too"
        )
        nodes = [self.here, *(node for node in self._alive() if node != self.here)]
        for chunk, _ in overdue:
            self._submit(chunk, nodes[self.rounds[chunk] % len(nodes)])
            self.rounds[chunk] += 1

    def _steps(self, trained: int) -> tuple[int, int]:
        """Steps trained, mean over the runs, and in all."""
        config = self.tasks[0].config
        total = config.warmup_steps + config.steps
        ahead = sum(
            len(self.tasks[chunk].runs) * max(self.steps.get(attempt.number, 0) for attempt in attempts)
            for chunk, attempts in self._under_way().items()
        )
        runs = self.finished + sum(len(task.runs) for task in self.tasks)
        return ((self.finished + trained) * total + ahead) // runs, total

    def _say(self, line: str) -> None:
        self.connection.send(("say", line))

    def _alive(self) -> list[str]:
        return [node["NodeID"] for node in self.api.nodes() if node["Alive"]]

    def _near(self, node: str) -> Any:
        """On this node, as long as it lives."""
        strategies = import_module("ray.util.scheduling_strategies")
        return strategies.NodeAffinitySchedulingStrategy(node, soft=True)
