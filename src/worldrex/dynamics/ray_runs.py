"""Sweeps over many machines on Ray: chunks of the runs, each trained by whichever worker is free.

A worker or a node that dies costs the chunks that it was training: they are trained again. Finished ones are kept on disk
as they arrive. That is done here and not by Ray's own retries, so that a person is told what happened.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from worldrex.data import Transitions, maps_of
from worldrex.data.findings import plural
from worldrex.dynamics import chunks
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.ray_cluster import joined
from worldrex.dynamics.ray_driver import Job
from worldrex.dynamics.ray_worker import Source, Task
from worldrex.dynamics.settings import Run, TrainConfig, require_trainable
from worldrex.dynamics.sweep import Progress, Sweep

RUNS_PER_CHUNK = 8
"""Runs that a worker trains as one program, where nobody says."""
PATIENCE_SECONDS = 60.0
"""After which a chunk that no worker takes, though one is free, is given to another node as well; twice that the next time."""


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

    **Raises:** as `train` does, also where that happened on another node; `TrainingError` outside of `connected`, for a chunk
    that is lost five times, for workers with other versions of what trains, and where Ray has ended its driver (the node on
    this machine or the cluster's head is lost).
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

        def keep(packed: chunks.Packed) -> None:
            if checkpoint is not None:
                chunks.keep(checkpoint, packed)
            found.append(chunks.unpack(*packed))

        tasks = [Task(part, chunks.shared(config), of, chunks.versions()) for part in todo]
        joined().train(
            Job(tasks, len(finished), PATIENCE_SECONDS),
            source or data,
            keep=keep,
            say=say,
            tick=tick or (lambda *_: None),
        )
    if report is not None:
        for progress in chunks.reports_of(found, runs):
            report(progress)
    return chunks.join(found, runs)
