"""The state of an unfinished training on disk: written by Orbax, sealed with checksums, the last two kept.

A checkpoint is a folder `step-N`, and `step-N.json` beside it with the checksum of each of its files. The seal is
written last, so what has none is half a checkpoint and is not looked at.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.processes import of_first
from worldrex.runs import RunError, write_json

FORMAT = 1
KEPT = 2
# What Orbax writes beside the arrays, in bytes: measured, and a little more.
PER_ARRAY, PER_CHECKPOINT = 1024, 64 * 1024


class Position(NamedTuple):
    """Where a training stands: all that the rest of it depends on. Keys are functions of the seeds and the step."""

    step: int
    networks: Any
    sound: Any
    """The networks as they last were without a step that was not finite."""
    told: Any


def write(folder: Path, position: Position) -> None:
    """Leave a checkpoint in `folder`, and of the earlier ones only the last.

    **Raises:** `RunError` where it cannot be written; the earlier checkpoints are then untouched.
    """
    name = f"step-{position.step:09d}"
    target = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        arrays = _arrays(position)
        _require_room(folder, arrays)
        with _orbax() as checkpointer:
            checkpointer.save(target.absolute(), arrays)
    except Exception as error:
        # Orbax tells of a full disk, a missing permission and much else by many types of its own.
        shutil.rmtree(target, ignore_errors=True)
        for part in folder.glob(f"{name}.orbax*"):
            shutil.rmtree(part, ignore_errors=True)
        reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
        raise RunError(
            f"cannot write the checkpoint {target}: {reason}. The one before it is untouched: make room, and give the same "
            "command to go on from there."
        ) from error
    seal = {"format": FORMAT, "step": position.step, "files": _checksums(target)}
    write_json(folder / f"{name}.json", seal)
    for old in sorted(folder.glob("step-*.json"))[:-KEPT]:
        old.unlink()
        shutil.rmtree(old.with_suffix(""), ignore_errors=True)


def newest(folder: Path | None, like: Position, *, say: Callable[[str], None] | None = None) -> Position | None:
    """The newest checkpoint that is whole, shaped as `like`; None where there is none.

    Of several processes the first one reads it, whatever folder the others have, and tells them.

    **Arguments:** `say` is told of each one that is damaged. **Raises:** `TrainingError` for one of another training.
    """
    found = _read(folder, say) if folder is not None and jax.process_index() == 0 else None
    arrays = of_first(found)
    if arrays is None:
        return None
    step = int(arrays.pop("step"))
    wanted = _arrays(like)
    if {name: x.shape for name, x in wanted.items()} != {name: np.shape(x) for name, x in arrays.items()}:
        raise TrainingError(
            f"the checkpoint of step {step} in {folder} is of a training of other shapes. Choose another --out, or remove "
            "that folder."
        )
    tree = jax.tree.structure(like[1:])
    leaves = [np.asarray(arrays[name]).astype(x.dtype, copy=False) for name, x in wanted.items()]
    return Position(step, *jax.tree.unflatten(tree, leaves))


def _read(folder: Path, say: Callable[[str], None] | None) -> dict[str, np.ndarray] | None:
    """The arrays of the newest checkpoint that is whole, and its step."""
    for seal in sorted(folder.glob("step-*.json"), reverse=True):
        target = seal.with_suffix("")
        try:
            content = json.loads(seal.read_text(encoding="utf-8"))
            whole = content["format"] == FORMAT and content["files"] == _checksums(target)
        except (OSError, ValueError, KeyError, TypeError):
            whole, content = False, {}
        if not whole:
            if say is not None:
                say(f"the checkpoint {target} is damaged, so the one before it is used")
            continue
        with _orbax() as checkpointer:
            arrays = checkpointer.restore(target.absolute())
        return {name: np.asarray(x) for name, x in arrays.items()} | {"step": np.array(content["step"])}
    return None


def forget(folder: Path) -> None:
    """Remove the checkpoints of a training that has ended."""
    shutil.rmtree(folder, ignore_errors=True)


def _arrays(position: Position) -> dict[str, np.ndarray]:
    """Every array by a name; they are in the order of the tree's leaves."""
    return {f"{place:04d}": np.asarray(leaf) for place, leaf in enumerate(jax.tree.leaves(position[1:]))}


def _require_room(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Raise `OSError` where the disk is too full: Orbax finds out in its threads, which then complain on their own."""
    needed = sum(x.nbytes for x in arrays.values()) + PER_ARRAY * len(arrays) + PER_CHECKPOINT
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _checksums(target: Path) -> dict[str, str]:
    files = sorted(path for path in target.rglob("*") if path.is_file())
    return {str(path.relative_to(target)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _orbax() -> Any:
    # Not at the top: it takes a second to import, and most trainings leave no checkpoint.
    import orbax.checkpoint

    # What it logs of each write is for its developers, and so are the tracebacks of a full disk: `write` tells of that.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    # Of several processes one writes and reads: what the others hold is the same.
    options = orbax.checkpoint.options.MultiprocessingOptions(
        primary_host=0, active_processes={0} if jax.process_count() > 1 else None, barrier_sync_key_prefix="first"
    )
    handler = orbax.checkpoint.PyTreeCheckpointHandler(multiprocessing_options=options)
    return orbax.checkpoint.Checkpointer(handler, multiprocessing_options=options)
