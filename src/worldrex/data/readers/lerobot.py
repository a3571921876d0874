"""LeRobot's data sets, versions 2 and 3: meta/info.json, and frames in data/chunk-*/*.parquet."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worldrex.data.columns import NAMES, as_matrix, per_record
from worldrex.data.findings import plural, quote, some_of
from worldrex.data.options import LoadOptions
from worldrex.data.readers.folders import inside, read_json
from worldrex.data.readers.lerobot_episodes import behavior_of_episodes, episode_columns
from worldrex.data.readers.parquet import column_names, parquet_files, read_file
from worldrex.data.readers.reading import Reading
from worldrex.data.readers.tables_joined import join
from worldrex.data.transitions import DataError
from worldrex.data.wide_columns import no_behavior_column

INFO = ("meta", "info.json")
RENAMED = {
    "observation.state": "obs",
    "action": "action",
    "next.reward": "reward",
    "next.done": "done",
    "episode_index": "episode",
    "frame_index": "frame",
    "observation.environment_state": "environment",
}
EXTRA = ("frame", "environment")
NEEDED = ("obs", "action", "episode", "frame")


def read(path: Path, options: LoadOptions) -> Reading:
    """All frames; version 2 has a file for each episode, version 3 several episodes in a file.

    A frame has no next observation: it is the next frame's. Without `next.reward`, every reward is 0. The behavior is the
    column of the frames, or else of the episodes' metadata, that `behavior_column` names.

    Raises DataError for another version, for frames that are missing or out of order, and for files that lie elsewhere.
    """
    info = read_json(inside(path, *INFO))
    version = str(info.get("codebase_version", "none"))
    if not re.fullmatch(r"v?[23](\..*)?", version):
        raise DataError(
            f"{str(path)!r} is a LeRobot data set of version {quote(version)}. worldrex reads versions 2 and 3: convert it "
            "with LeRobot's own converter."
        )
    pattern = str(info.get("data_path", ""))
    if pattern.startswith(("/", "~")) or ".." in Path(pattern).parts:
        raise DataError(
            f"{str(path)!r} says that its data lie in {quote(pattern)}, out of the folder. worldrex reads only what lies "
            "in the folder itself: move the data there, and correct data_path in meta/info.json."
        )
    files = parquet_files(path, "data")
    if not files:
        raise DataError(f"{str(path)!r} has no Parquet files in data/. worldrex needs its frames: download them too.")
    names = [RENAMED.get(name, name) for name in column_names(files[0])]
    of_episodes = options.behavior_column if options.behavior_column not in names else None
    if of_episodes is not None:
        if of_episodes not in (told := episode_columns(path)):
            raise no_behavior_column(of_episodes, [*told, *names], repr(str(path)))
        options = replace(options, behavior_column=None)
    tables = [read_file(file, options, {}, RENAMED, extra=EXTRA) for file in files]
    columns, _ = join(tables, [repr(str(file)) for file in files], repr(str(path)), numbered_throughout=True)
    _require_frames(columns, info, path)
    notes = []
    if of_episodes is not None:
        columns.pop(NAMES, None)
        columns |= behavior_of_episodes(path, of_episodes, per_record(columns["episode"]))
        notes.append(f"the behavior is {quote(of_episodes)} of the episodes' metadata")
    if "environment" in columns:
        columns["obs"] = np.concatenate([as_matrix(columns["obs"]), as_matrix(columns.pop("environment"))], axis=1)
        notes.append("obs is observation.state and observation.environment_state")
    if "reward" not in columns:
        columns["reward"] = np.zeros(len(columns["episode"]), np.float32)
        notes.append("no next.reward: every reward is 0")
    return Reading(f"a LeRobot data set, {version}", columns, notes=tuple(notes))


def _require_frames(columns: dict[str, np.ndarray], info: dict[str, Any], path: Path) -> None:
    """Every frame of every episode, in order: else the next row is not the next observation."""
    missing = [name for name, column in RENAMED.items() if column in NEEDED and column not in columns]
    if missing:
        original = {column: name for name, column in RENAMED.items()}
        came = some_of([quote(original.get(column, column)) for column in columns], 12)
        raise DataError(
            f"{str(path)!r} lacks {', '.join(missing)}; there came {came}. "
            "worldrex needs them in each Parquet file of data/: record or export them too."
        )
    episode, frame = per_record(columns["episode"]), per_record(columns.pop("frame"))
    total = info.get("total_frames")
    if isinstance(total, int) and total != len(episode):
        raise DataError(
            f"{str(path)!r} has {len(episode):,} frames, and its meta/info.json says {total:,}. worldrex needs the whole "
            "data set: download or copy it again."
        )
    first = np.concatenate([[True], episode[1:] != episode[:-1]])[: len(episode)]
    expected = np.where(first, 0, np.concatenate([[0], frame[:-1] + 1])[: len(episode)])
    wrong = frame != expected
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{str(path)!r}: frame_index is {frame[row]} at row {row:,} in episode {episode[row]}, and {expected[row]} was "
            f"expected ({plural(int(wrong.sum()), 'such place')}). worldrex needs all frames of an episode in order: "
            "download or export it again."
        )
