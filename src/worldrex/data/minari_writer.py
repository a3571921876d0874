"""Transitions as a Minari data set: HDF5 and metadata.json that Minari's own library (0.5) reads."""

import json
import os
import re
import shutil
import uuid
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from worldrex.data.readers.minari import BEHAVIOR_KEY, BEHAVIOR_NAMES_KEY, EPISODE_KEY, METADATA
from worldrex.data.readers.minari_folders import FILE
from worldrex.data.transitions import DataError, Transitions, same_episode
from worldrex.runs import RunError

LONGEST_NAME = 1000
MINARI_VERSION = "0.5.0"  # of the layout
DATASET_ID = re.compile(r"([-_\w][-_\w/]*[-_\w]/)?[-_\w]+-v[0-9]+")


def write_minari(data: Transitions, path: str | os.PathLike[str], *, dataset_id: str | None = None) -> None:
    """Write a Minari data set, whole or not at all; `worldrex.load` reads it back identical to the bit.

    Minari finds it by its id if it lies in MINARI_DATASETS_PATH at the id's path. Each episode has the attribute
    `behavior`, the behavior's name.

    Arguments:
        data: what to write.
        path: a folder that does not exist yet.
        dataset_id: (namespace/)name-v0 as Minari has it; by default the folder's name, with -v0 where it lacks a version.

    Raises DataError for an id that Minari would refuse and for data whose next_obs is not exactly the next obs within
    an episode, RunError where the folder exists or cannot be written.
    """
    path = Path(path)
    if dataset_id is None:
        name = re.sub(r"[^-_\w]", "_", path.resolve().name)
        dataset_id = name if re.search(r"-v[0-9]+$", name) else f"{name}-v0"
    if not DATASET_ID.fullmatch(dataset_id):
        raise DataError(
            f"dataset_id is {dataset_id!r}. Minari needs (namespace/)name-v0, of letters, digits, - and _: choose another."
        )
    starts = _starts(data)
    if path.exists():
        raise RunError(f"{path} exists and is never overwritten. Choose another folder.")
    # A hidden sibling, so that the folder appears whole.
    unfinished = path.parent / f".{uuid.uuid4().hex}.unfinished"
    try:
        (unfinished / "data").mkdir(parents=True)
        with h5py.File(unfinished / "data" / FILE, "w", track_order=True) as file:
            for number, (start, stop) in enumerate(pairwise(starts.tolist())):
                _write_episode(file.create_group(f"episode_{number}"), number, data, slice(start, stop))
        size = (unfinished / "data" / FILE).stat().st_size
        metadata = _metadata(data, dataset_id, len(starts) - 1, size)
        (unfinished / "data" / METADATA).write_text(json.dumps(metadata, indent=1), encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}. Choose a folder that can be made, on a disk with room."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _starts(data: Transitions) -> np.ndarray:
    """The first row of each episode, and the number of rows. Raises DataError for what Minari cannot hold."""
    if not len(data):
        raise DataError("there are no records to write. worldrex needs at least one episode.")
    inside = same_episode(data)
    jumps = inside & (data.next_obs[:-1].view(np.uint32) != data.obs[1:].view(np.uint32)).any(1)
    if jumps.any():
        row = int(np.argmax(jumps))
        raise DataError(
            f"next_obs at row {row:,} is not exactly obs at row {row + 1:,} of the same episode. Minari stores each "
            "observation once, so one of the two would be lost: save the log as Parquet (Transitions.save)."
        )
    changes = inside & (data.behavior[1:] != data.behavior[:-1])
    starts = np.concatenate([[0], np.flatnonzero(~inside) + 1])
    if changes.any() or len(np.unique(data.episode[starts])) < len(starts):
        raise DataError(
            "an episode has several behaviors or goes on after another one. Minari needs the rows of an episode together "
            "and by one behavior: see what validate finds."
        )
    return np.append(starts, len(data))


def _write_episode(group: h5py.Group, number: int, data: Transitions, rows: slice) -> None:
    group.attrs["id"] = number
    group.attrs["total_steps"] = rows.stop - rows.start
    group.attrs[EPISODE_KEY] = int(data.episode[rows.start])
    behavior = int(data.behavior[rows.start])
    group.attrs[BEHAVIOR_KEY] = behavior
    # For people; HDF5 takes neither every character nor any length.
    name = data.behavior_names[behavior].encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    group.attrs["behavior"] = name[:LONGEST_NAME]
    group["observations"] = np.concatenate([data.obs[rows], data.next_obs[rows.stop - 1 : rows.stop]])
    group["actions"] = data.action[rows]
    group["rewards"] = data.reward[rows]
    group["terminations"] = data.terminated[rows]
    group["truncations"] = data.truncated[rows]


def _metadata(data: Transitions, dataset_id: str, episodes: int, size: int) -> dict[str, object]:
    return {
        "dataset_id": dataset_id,
        "minari_version": MINARI_VERSION,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "total_episodes": episodes,
        "total_steps": len(data),
        "dataset_size": round(size / 1e6, 1),
        "observation_space": _box(data.obs.shape[1]),
        "action_space": _box(data.action.shape[1]),
        BEHAVIOR_NAMES_KEY: list(data.behavior_names),
    }


def _box(width: int) -> str:
    """An unbounded space, since a log does not say its bounds; infinity as Minari writes it."""
    bound = [float("inf")] * width
    space = {"type": "Box", "dtype": "float32", "shape": [width], "low": [-b for b in bound], "high": bound}
    return json.dumps(space)
