"""A sweep in parts: chunks of its runs, each trained by itself, kept on disk when it is finished, and joined again.

A run gives the same bits in any company, so the chunks joined are the sweep that is trained in one piece.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from worldrex import sealed
from worldrex.data import Transitions
from worldrex.dynamics.ensemble import named_arrays, network_of, parts_of
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.normalizer import Normalizer
from worldrex.dynamics.settings import Run, TrainConfig
from worldrex.dynamics.sweep import Progress, Sweep, train

KIND = sealed.Kind("chunk", (1,), "`worldrex crossval --ray`", "train it again", TrainingError)
# What a training's bits depend on beside the data, the settings and the machine.
VERSIONED = ("worldrex", "jax", "jaxlib", "optax", "numpy")
ARRAYS = ("holdout_risk", "holdout_objective", "last_step", "skipped")
TOLD = tuple(name for name in Progress._fields if name not in ("step", "total"))


class Chunk(NamedTuple):
    """Some runs of a sweep, trained."""

    runs: tuple[Run, ...]
    sweep: Sweep
    reports: list[Progress]
    """All that was reported on the way."""


class Packed(NamedTuple):
    """A chunk as arrays and JSON, to be sent or kept."""

    arrays: dict[str, np.ndarray]
    description: dict[str, Any]


def shared(config: TrainConfig) -> TrainConfig:
    """What all runs share of a configuration that may have more, such as a comparison's weights."""
    return TrainConfig(**{field.name: getattr(config, field.name) for field in fields(TrainConfig)})


def versions() -> dict[str, str | None]:
    """Of the software that trains; None for what is on the path without having been installed."""
    found = {}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def fingerprint(data: Transitions, config: TrainConfig) -> str:
    """Of all that the runs of a sweep share: records, names, settings and versions. Runs of one fingerprint belong together."""
    content = {
        "records_crc32": data.checksum(), "behavior_names": data.behavior_names, "config": asdict(shared(config)),
        "versions": versions(),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def require_chunk(size: int) -> None:
    """Raise `TrainingError` unless a chunk can have so many runs."""
    if size < 1:
        raise TrainingError(f"runs_per_chunk is {size}; a chunk needs 1 or more.")


def cut(runs: Sequence[Run], size: int) -> list[tuple[Run, ...]]:
    """The runs in their order, so many to a chunk; each of them once."""
    require_chunk(size)
    distinct = list(dict.fromkeys(runs))
    return [tuple(distinct[start : start + size]) for start in range(0, len(distinct), size)]


def train_chunk(
    data: Transitions, runs: tuple[Run, ...], config: TrainConfig, *, tick: Callable[[int, int], None] | None = None
) -> Chunk:
    """Train these runs of a sweep. **Raises:** as `train` does."""
    reports: list[Progress] = []
    return Chunk(runs, train(data, runs, config, report=reports.append, tick=tick), reports)


def pack(chunk: Chunk, of: str) -> Packed:
    """The chunk as arrays and JSON; `of` is the sweep's fingerprint."""
    sweep, reports = chunk.sweep, chunk.reports
    arrays = named_arrays(
        {
            "networks": sweep.networks,
            "normalizers": sweep.normalizers._asdict(),
            "sweep": {name: getattr(sweep, name) for name in ARRAYS},
            "told": {name: np.stack([getattr(progress, name) for progress in reports]) for name in TOLD},
        }
    )
    return Packed(
        arrays,
        {
            "of": of, "runs": [asdict(run) for run in chunk.runs], "compile_seconds": sweep.compile_seconds,
            "behavior_names": sweep.behavior_names, "steps": [progress.step for progress in reports],
            "total": reports[0].total, **parts_of(sweep.networks),
        },
    )  # fmt: skip


def unpack(arrays: dict[str, np.ndarray], description: dict[str, Any]) -> Chunk:
    """The chunk that was packed so."""
    sweep = Sweep(
        network_of(arrays, description),
        Normalizer(*(arrays[f"normalizers.{name}"] for name in Normalizer._fields)),
        **{name: arrays[f"sweep.{name}"] for name in ARRAYS},
        compile_seconds=description["compile_seconds"],
        behavior_names=tuple(description["behavior_names"]),
    )
    told = zip(*(arrays[f"told.{name}"] for name in TOLD), strict=True)
    reports = [
        Progress(step, description["total"], *of_step) for step, of_step in zip(description["steps"], told, strict=True)
    ]
    runs = tuple(Run(**run | {"left_out": tuple(run["left_out"])}) for run in description["runs"])
    return Chunk(runs, sweep, reports)


def keep(folder: Path, packed: Packed) -> None:
    """Leave a finished chunk in a folder of its own, under `folder`. **Raises:** `RunError` where it cannot be written."""
    content = json.dumps([packed.description["of"], packed.description["runs"]])
    sealed.save(folder / f"chunk-{hashlib.sha256(content.encode()).hexdigest()[:16]}", KIND, *packed)


def kept(folder: Path, of: str, *, say: Callable[[str], None]) -> list[Chunk]:
    """The finished chunks in `folder` of the sweep of that fingerprint; `say` is told of others and of damaged ones."""
    found, others = [], 0
    for place in sorted(folder.glob("chunk-*")):
        if not (place / "chunk.json").exists():
            continue  # a process was killed between the arrays and their seal
        try:
            chunk = sealed.read(place, KIND, lambda *packed: (packed[1]["of"], unpack(*packed)))
        except TrainingError:
            say(f"{place} is damaged, so its runs are trained again")
            continue
        if chunk[0] == of:
            found.append(chunk[1])
        else:
            others += 1
    if others:
        say(f"{others} of the chunks in {folder} are of other records, settings or versions, and are left alone")
    return found


def join(chunks: Sequence[Chunk], runs: Sequence[Run]) -> Sweep:
    """The sweep of these runs, in their order; its compiling seconds are the sum over the chunks."""
    order = _order(chunks, runs)
    bare = [chunk.sweep._replace(compile_seconds=0.0, behavior_names=()) for chunk in chunks]
    joined = jax.tree.map(lambda *x: np.concatenate(x)[order] if np.ndim(x[0]) else x[0], *bare)
    return joined._replace(
        compile_seconds=sum(chunk.sweep.compile_seconds for chunk in chunks),
        behavior_names=chunks[0].sweep.behavior_names,
    )


def reports_of(chunks: Sequence[Chunk], runs: Sequence[Run]) -> Iterator[Progress]:
    """What the sweep in one piece reports: of a chunk that has ended, what it told last."""
    order = _order(chunks, runs)
    for step in sorted({progress.step for chunk in chunks for progress in chunk.reports}):
        last = [[progress for progress in chunk.reports if progress.step <= step][-1] for chunk in chunks]
        told = (np.concatenate([getattr(progress, name) for progress in last])[order] for name in TOLD)
        yield Progress(step, last[0].total, *told)


def _order(chunks: Sequence[Chunk], runs: Sequence[Run]) -> np.ndarray:
    """Where each run is among those of all chunks."""
    place = {run: number for number, run in enumerate(run for chunk in chunks for run in chunk.runs)}
    return np.array([place[run] for run in runs])
