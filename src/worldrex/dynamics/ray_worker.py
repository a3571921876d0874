"""What the workers of a Ray cluster do, and the actor to which they tell how far they are."""

import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from worldrex.data import DataError, Transitions, resident
from worldrex.dynamics import chunks
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.processes import simulate
from worldrex.dynamics.settings import Run, TrainConfig

Source = Callable[[], Transitions]


class Task(NamedTuple):
    """What a worker is told."""

    runs: tuple[Run, ...]
    config: TrainConfig
    of: str
    """The sweep's fingerprint."""
    versions: dict[str, str | None]


class Standing:
    """How far the workers are; an actor on the driver's node."""

    def __init__(self) -> None:
        self.steps: dict[int, int] = {}

    def tell(self, attempt: int, step: int) -> None:
        """An attempt at a chunk is at this step."""
        self.steps[attempt] = step

    def all(self) -> dict[int, int]:
        """The step of each attempt that has begun."""
        return self.steps


_opened: dict[str, Transitions] = {}


def train_task(sent: Transitions | Source, task: Task, attempt: int, standing: Any) -> chunks.Packed | Exception:
    """Train a chunk. What speaks to the user is returned, so that it comes without Ray's traceback."""
    simulate(1, exactly=True)  # a chunk has one core, whatever this machine simulates elsewhere

    def tick(step: int, _: int) -> None:
        standing.tell.remote(attempt, step)

    tick(0, 0)
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


def _open(source: Source, task: Task) -> Transitions:
    """The log on disk, looked at once in each worker."""
    if task.of not in _opened:
        node = socket.gethostname()
        try:
            data = source()
        except DataError as error:
            raise DataError(f"on node {node}: {error} Each node needs the log under the same path.") from error
        except Exception as error:  # of the caller's own, which may not even be sent
            raise TrainingError(f"on node {node} `source` raised {type(error).__name__}: {error}") from error
        if chunks.fingerprint(data, task.config) != task.of:
            raise DataError(f"on node {node} the log is another one: each node needs the same files.")
        _opened[task.of] = data
    return _opened[task.of]
