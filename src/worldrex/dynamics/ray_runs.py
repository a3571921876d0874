"""Sweeps over many machines on Ray: chunks of the runs, each trained by whichever worker is free.

A worker or a node that dies costs the chunks that it was training: they are trained again. Finished ones are kept on disk
as they arrive. That is done here and not by Ray's own retries, so that a person is told what happened.
"""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from worldrex.data import DataError, Transitions, maps_of, resident
from worldrex.data.findings import plural
from worldrex.dynamics import chunks
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.processes import simulate
from worldrex.dynamics.ray_cluster import on_this_node, ray
from worldrex.dynamics.settings import Run, TrainConfig, require_trainable
from worldrex.dynamics.sweep import Progress, Sweep

LOOK_SECONDS = 0.5
MOST_LOSSES = 5
RUNS_PER_CHUNK = 8
"""Runs that a worker trains as one program, where nobody says."""
Source = Callable[[], Transitions]


class _Task(NamedTuple):
    """What a worker is told."""

    number: int
    runs: tuple[Run, ...]
    config: TrainConfig
    of: str
    """The sweep's fingerprint."""
    versions: dict[str, str | None]


def train_on_ray(
    data: Transitions, runs: Sequence[Run], config: TrainConfig, *,
    report: Callable[[Progress], None] | None = None, tick: Callable[[int, int], None] | None = None,
    checkpoint: Path | None = None, say: Callable[[str], None] | None = None, begins: Callable[[int], None] | None = None,
    runs_per_chunk: int = RUNS_PER_CHUNK, source: Source | None = None,
) -> Sweep:  # fmt: skip
    """Train as `train` does, to the same result, by the workers of the Ray cluster that `connected` has joined.

    A chunk takes a GPU where the cluster has any, else a core.

    **Arguments:** as for `train`, and

    - `report`: called when all runs are trained.
    - `checkpoint`: a folder to keep finished chunks in; those that it holds of the same records, settings and versions are
      taken from there.
    - `runs_per_chunk`: how many runs a worker trains as one program.
    - `source`: for a log on disk, what opens it on a worker's node; one in memory is sent.

    **Raises:** as `train` does, also where that happened on another node; `TrainingError` for a chunk that is lost
    `MOST_LOSSES` times, or workers with other versions of what trains.
    """
    say = say or (lambda _: None)
    require_trainable(config, [run.weight for run in runs])
    if maps_of(data) and source is None:
        raise TrainingError(
            "the log lies on disk: give `source`, which opens it on each node, e.g. partial(worldrex.load, folder)."
        )
    of = chunks.fingerprint(data, config)
    found = chunks.kept(checkpoint, of, say=say) if checkpoint is not None else []
    finished = {run for chunk in found for run in chunk.runs} & set(runs)
    todo = chunks.cut([run for run in runs if run not in finished], runs_per_chunk)
    if finished:
        say(
            f"{len(finished)} of {plural(len(set(runs)), 'run')} were trained by an earlier try and are taken from there"
        )
    if begins is not None:
        begins(0)  # what an earlier try reported is told again, with the rest
    if todo:
        sent = ray().put(source or data)
        tasks = [_Task(number, part, chunks.shared(config), of, chunks.versions()) for number, part in enumerate(todo)]
        trained = _Driver(tasks, sent, checkpoint, say).trained(len(finished), tick)
        found = [*found, *trained]
    if report is not None:
        for progress in chunks.reports_of(found, runs):
            report(progress)
    return chunks.join(found, runs)


class _Driver:
    """Hands the chunks out, and again where one is lost."""

    def __init__(self, tasks: Sequence[_Task], sent: Any, checkpoint: Path | None, say: Callable[[str], None]) -> None:
        api = ray()
        self.tasks, self.sent, self.checkpoint, self.say = tasks, sent, checkpoint, say
        self.gpu = api.cluster_resources().get("GPU", 0) >= 1
        # A worker trains its chunk once: where it dies, `_lost` decides.
        self.train = api.remote(num_gpus=int(self.gpu), num_cpus=1, max_retries=0)(_train)
        self.standing = api.remote(num_cpus=0, scheduling_strategy=on_this_node())(Standing).remote()
        self.losses = [0] * len(tasks)
        self.waiting: dict[Any, int] = {}
        self.nodes, self.stuck = _nodes_alive(), False

    def trained(self, before: int, tick: Callable[[int, int], None] | None) -> list[chunks.Chunk]:
        """All chunks, in the order in which they come; `before` is how many runs were finished by an earlier try."""
        api, done = ray(), []
        where = f"{plural(self.nodes, 'node')} of the Ray cluster"
        self.say(f"{plural(len(self.tasks), 'chunk')} of up to {plural(len(self.tasks[0].runs), 'run')} for {where}")
        try:
            for task in self.tasks:
                self._submit(task)
            while self.waiting:
                ready, _ = api.wait(list(self.waiting), timeout=LOOK_SECONDS)
                for ref in ready:
                    task = self.tasks[self.waiting.pop(ref)]
                    packed = self._result(task, ref)
                    if packed is None:
                        self._submit(task)
                        continue
                    if self.checkpoint is not None:
                        chunks.keep(self.checkpoint, packed)
                    done.append(chunks.unpack(*packed))
                self._look_at_nodes()
                if tick is not None:
                    tick(*self._steps(before, done))
        finally:
            for ref in self.waiting:
                with suppress(Exception):
                    api.cancel(ref, force=True)
            with suppress(Exception):
                api.kill(self.standing)
        return done

    def _submit(self, task: _Task) -> None:
        self.waiting[self.train.remote(self.sent, task, self.standing)] = task.number

    def _result(self, task: _Task, ref: Any) -> chunks.Packed | None:
        """What the worker sent; None where the chunk was lost. Raises what went wrong on the worker."""
        errors = ray().exceptions
        try:
            told = ray().get(ref)
        except errors.RayTaskError as error:
            # What a worker cannot import, Ray tells by several types, for the function and for its arguments.
            *_, reason = str(error).strip().splitlines()
            if reason.startswith(("ModuleNotFoundError", "ImportError", "AttributeError")) and any(
                told in str(error) for told in ("failed to import on the worker", "input arguments for this task")
            ):
                raise TrainingError(
                    f"a worker of the Ray cluster cannot import what trains ({reason}). Install worldrex "
                    f"{task.versions['worldrex'] or 'of the same version'} on each node, for the Python that `ray start` runs in."
                ) from error
            raise  # a fault of worldrex itself
        except errors.RayError as error:
            self._lost(task, error)
            return None
        if isinstance(told, Exception):
            raise told
        return told

    def _lost(self, task: _Task, error: Exception) -> None:
        errors = ray().exceptions
        self.losses[task.number] += 1
        known = {
            errors.NodeDiedError: "its node died",
            errors.OutOfMemoryError: "its node ran out of memory",
            errors.WorkerCrashedError: "its worker died",
        }
        reason = known.get(type(error), f"Ray says {type(error).__name__}")
        if self.losses[task.number] >= MOST_LOSSES:
            raise TrainingError(
                f"chunk {task.number + 1} of {len(self.tasks)} was lost {MOST_LOSSES} times, the last time because {reason}. "
                "What is finished is kept: see to the nodes (memory, logs of Ray) and give the same command to go on; with fewer "
                "--runs-per-chunk where memory is short."
            ) from error
        self.say(f"chunk {task.number + 1} of {len(self.tasks)} was lost ({reason}) and is trained again")

    def _look_at_nodes(self) -> None:
        """Say what becomes of the cluster."""
        nodes = _nodes_alive()
        if nodes != self.nodes:
            self.say(f"{plural(nodes, 'node')} now, before {self.nodes}")
            self.nodes = nodes
        wanted = "GPU" if self.gpu else "CPU"
        stuck = ray().cluster_resources().get(wanted, 0) < 1
        if stuck and not self.stuck:
            self.say(f"no node with a {wanted} is left: waits until one joins (what is finished is kept, Ctrl-C ends)")
        self.stuck = stuck

    def _steps(self, before: int, done: Sequence[chunks.Chunk]) -> tuple[int, int]:
        """Steps trained, mean over the runs, and in all."""
        config = self.tasks[0].config
        total = config.warmup_steps + config.steps
        under_way: dict[int, int] = {}
        with suppress(ray().exceptions.RayError, TimeoutError):  # without it, the bar waits for whole chunks
            under_way = ray().get(self.standing.all.remote(), timeout=LOOK_SECONDS)
        ahead = set(self.waiting.values())
        steps = sum(len(self.tasks[number].runs) * step for number, step in under_way.items() if number in ahead)
        finished = before + sum(len(chunk.runs) for chunk in done)
        return (finished * total + steps) // (before + sum(len(task.runs) for task in self.tasks)), total


class Standing:
    """How far the workers are; an actor on the driver's node."""

    def __init__(self) -> None:
        self.steps: dict[int, int] = {}

    def tell(self, number: int, step: int) -> None:
        """A chunk is at this step."""
        self.steps[number] = step

    def all(self) -> dict[int, int]:
        """The step of each chunk that began."""
        return self.steps


def _nodes_alive() -> int:
    return sum(node["Alive"] for node in ray().nodes())


# On a worker.

_opened: dict[str, Transitions] = {}


def _train(sent: Transitions | Source, task: _Task, standing: Any) -> chunks.Packed | Exception:
    """Train a chunk. What speaks to the user is returned, so that it comes without Ray's traceback."""
    simulate(1, exactly=True)  # a chunk has one core, whatever this machine simulates elsewhere

    def tick(step: int, _: int) -> None:
        standing.tell.remote(task.number, step)

    node = socket.gethostname()
    try:
        if (own := chunks.versions()) != task.versions:
            differ = [
                f"{name} {own[name]} (here {task.versions[name]})" for name in own if own[name] != task.versions[name]
            ]
            raise TrainingError(
                f"node {node} has {', '.join(differ)}, and would train otherwise: install the same versions on each node."
            )
        data = sent if isinstance(sent, Transitions) else _open(sent, task)
        with resident(data):
            return chunks.pack(chunks.train_chunk(data, task.runs, task.config, tick=tick), task.of)
    except (DataError, TrainingError) as error:
        return type(error)(str(error))


def _open(source: Source, task: _Task) -> Transitions:
    """The log on disk, looked at once in each worker."""
    if task.of not in _opened:
        node = socket.gethostname()
        try:
            data = source()
        except DataError as error:
            raise DataError(f"on node {node}: {error} Each node needs the log under the same path.") from error
        if chunks.fingerprint(data, task.config) != task.of:
            raise DataError(f"on node {node} the log is another one: each node needs the same files.")
        _opened[task.of] = data
    return _opened[task.of]
