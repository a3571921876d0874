"""One small log in every format, written by other means than worldrex's own."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.logs import make_log
from worldrex.data import LoadOptions, Transitions

Columns = dict[str, np.ndarray]

OBS, ACT = 3, 2


def small_log() -> Transitions:
    """Three behaviors, each with terminated and with truncated episodes."""
    data = make_log(behaviors=3, episodes=4, steps=5, obs=OBS, act=ACT)
    terminated = data.truncated & (data.episode % 2 == 0)
    return replace(data, terminated=terminated, truncated=data.truncated & ~terminated)


def with_last_frames(data: Transitions) -> Columns:
    """As recorders log: every frame, the last one of an episode too, whose action led to nothing that was logged."""
    columns: dict[str, list] = {name: [] for name in ("obs", "action", "reward", "terminated", "truncated")}
    columns |= {"episode": [], "behavior": []}
    for number in np.unique(data.episode):
        rows = np.flatnonzero(data.episode == number)
        columns["obs"].append(np.concatenate([data.obs[rows], data.next_obs[rows[-1:]]]))
        columns["action"].append(np.concatenate([data.action[rows], np.full((1, ACT), 99, np.float32)]))
        columns["reward"].append(np.append(data.reward[rows], np.float32(99)))
        for flag in ("terminated", "truncated"):
            columns[flag].append(np.append(np.zeros(len(rows), bool), getattr(data, flag)[rows[-1]]))
        for name in ("episode", "behavior"):
            columns[name].append(np.full(len(rows) + 1, getattr(data, name)[rows[0]]))
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def without_unknown_ends(data: Transitions) -> Transitions:
    """What is left of `data` where the last frame's flags are gone with it."""
    ends = data.terminated | data.truncated
    return replace(data, terminated=np.zeros(len(data), bool), truncated=ends)


@dataclass(frozen=True)
class Format:
    """A format: how to write it, what must be given to read it, and whether it lacks next_obs."""

    name: str
    write: Callable[[Columns, Path], Any]
    options: LoadOptions = LoadOptions()  # noqa: RUF009
    frames: bool = False
    in_memory: bool = False

    def written(self, data: Transitions, folder: Path, **changed: np.ndarray) -> Any:
        """`data` in this format below `folder`: a path, or the thing in memory."""
        columns = with_last_frames(data) if self.frames else {name: getattr(data, name) for name in ALL}
        return self.write(columns | changed, folder)

    def expected(self, data: Transitions) -> Transitions:
        return without_unknown_ends(data) if self.frames else data


ALL = ("obs", "action", "reward", "next_obs", "terminated", "truncated", "episode", "behavior")


def flat(columns: Columns) -> Columns:
    """One column per component."""
    wide = {}
    for name, values in columns.items():
        wide |= {name: values} if values.ndim == 1 else {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
    return wide


def arrow(values: np.ndarray) -> pa.Array:
    return pa.array(values.tolist(), None if values.dtype.kind == "U" or values.ndim == 1 else pa.list_(pa.float32()))


def parquet_lists(columns: Columns, folder: Path) -> Path:
    pq.write_table(pa.table({name: arrow(values) for name, values in columns.items()}), folder / "log")
    return folder / "log"


def parquet_flat(columns: Columns, folder: Path) -> Path:
    pq.write_table(pa.table(dict(reversed(flat(columns).items()))), folder / "log")
    return folder / "log"


def parquet_hive(columns: Columns, folder: Path) -> Path:
    for behavior in np.unique(columns["behavior"]):
        rows = columns["behavior"] == behavior
        (folder / "logs" / f"behavior={behavior}").mkdir(parents=True)
        part = {name: values[rows] for name, values in columns.items() if name != "behavior"}
        table = pa.table({name: arrow(values) for name, values in part.items()})
        for number, start in enumerate(range(0, len(table), 7)):
            path = folder / "logs" / f"behavior={behavior}" / f"part-{number}.parquet"
            pq.write_table(table.slice(start, 7), path)
    (folder / "logs" / "_SUCCESS").touch()
    return folder / "logs"


def text(columns: Columns, folder: Path) -> Path:
    wide = flat(columns)
    with open(folder / "log", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(wide)
        writer.writerows(zip(*(values.tolist() for values in wide.values()), strict=True))
    return folder / "log"


def npz(columns: Columns, folder: Path) -> Path:
    with open(folder / "log", "wb") as file:
        np.savez_compressed(file, **columns)  # pyright: ignore[reportArgumentType]
    return folder / "log"


def neorl(columns: Columns, folder: Path) -> Path:
    others = {name: values for name, values in columns.items() if name not in ("terminated", "episode", "truncated")}
    done = columns["terminated"] | columns["truncated"]
    return npz(others | {"done": done[:, None], "truncated": columns["truncated"][:, None]}, folder)


D4RL = {"obs": "observations", "action": "actions", "reward": "rewards", "next_obs": "next_observations"}
D4RL |= {"terminated": "terminals", "truncated": "timeouts", "behavior": "behavior"}


def put(group: h5py.Group, name: str, values: np.ndarray) -> None:
    group.create_dataset(name, data=values.astype(object) if values.dtype.kind == "U" else values)


def d4rl(columns: Columns, folder: Path) -> Path:
    with h5py.File(folder / "log", "w") as file:
        for name, values in columns.items():
            if name in D4RL:
                put(file, D4RL[name], values)
        file["infos/qpos"] = np.zeros(len(columns["obs"]))
        file["metadata/algorithm"] = "SAC"
    return folder / "log"


def npy(columns: Columns, folder: Path) -> Path:
    parts = [columns[name] for name in ("obs", "action", "next_obs", "reward", "terminated", "behavior")]
    matrix = np.concatenate([part[:, None] if part.ndim == 1 else part for part in parts], axis=1)
    with open(folder / "log", "wb") as file:
        np.save(file, matrix)
    return folder / "log"


def minari(columns: Columns, folder: Path) -> Path:
    path = folder / "arm" / "expert-v0"
    (path / "data").mkdir(parents=True)
    with h5py.File(path / "data" / "main_data.hdf5", "w") as file:
        for number in np.unique(columns["episode"]):
            rows = np.flatnonzero(columns["episode"] == number)
            group = file.create_group(f"episode_{number}")
            put(group, "observations", np.concatenate([columns["obs"][rows], columns["next_obs"][rows[-1:]]]))
            names = {"action": "actions", "reward": "rewards", "terminated": "terminations", "truncated": "truncations"}
            for name, in_minari in names.items():
                put(group, in_minari, columns[name][rows])
            # The collector logs the infos of the reset, too.
            put(group, "infos/behavior", np.append(-1, columns["behavior"][rows]))
    (path / "data" / "metadata.json").write_text(json.dumps({"dataset_id": "arm/expert-v0", "data_format": "hdf5"}))
    return path


def lerobot(version: str, columns: Columns, folder: Path) -> Path:
    path = folder / "robot"
    (path / "data" / "chunk-000").mkdir(parents=True)
    (path / "meta").mkdir()
    episode = columns["episode"]
    v3 = version == "v3.0"
    data_path = (
        "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        if v3
        else "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    )
    info = {"codebase_version": version, "total_frames": len(episode), "fps": 10, "data_path": data_path}
    (path / "meta" / "info.json").write_text(json.dumps(info))
    frame = np.concatenate([np.arange(0), *(np.arange(count) for count in np.unique(episode, return_counts=True)[1])])
    table = pa.table(
        {
            "observation.state": arrow(columns["obs"]),
            "action": arrow(columns["action"]),
            "next.reward": columns["reward"],
            "next.done": columns["terminated"] | columns["truncated"],
            "episode_index": episode,
            "frame_index": frame,
            "timestamp": frame / 10,
            "index": np.arange(len(episode)),
            "task_index": columns["behavior"],
        }
    )
    for number in range(3) if v3 else np.unique(episode):
        rows = np.flatnonzero(episode // 4 == number) if v3 else np.flatnonzero(episode == number)
        name = data_path.format(chunk_index=0, file_index=number, episode_chunk=0, episode_index=number)
        pq.write_table(table.take(rows), path / name)
    if v3:
        (path / "meta" / "episodes" / "chunk-000").mkdir(parents=True)
        pq.write_table(
            pa.table({"episode_index": np.unique(episode)}), path / "meta/episodes/chunk-000/file-000.parquet"
        )
    return path


def with_operators(path: Path, columns: Columns) -> Path:
    """Who recorded each episode, said in the metadata alone."""
    numbers, first = np.unique(columns["episode"], return_index=True)
    operators, tasks = columns["behavior"][first], [["wipe", "stack"][number % 2 :] for number in numbers.tolist()]
    if (path / "meta" / "episodes").exists():
        table = pa.table(
            {"episode_index": numbers, "tasks": tasks, "operator": operators, "stats/action/max": operators}
        )
        half = len(table) // 2
        for name, part in (("chunk-000/file-000", table.slice(half)), ("chunk-001/file-000", table.slice(0, half))):
            (path / "meta" / "episodes" / name).parent.mkdir(exist_ok=True)
            pq.write_table(part, path / "meta" / "episodes" / f"{name}.parquet")
    else:
        told = zip(numbers.tolist(), tasks, operators.tolist(), strict=True)
        lines = [json.dumps({"episode_index": i, "tasks": task, "operator": operator}) for i, task, operator in told]
        (path / "meta" / "episodes.jsonl").write_text("\n".join([*lines, ""]))
    for file in path.glob("data/**/*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(["task_index"]), file)
    return path


def lerobot_v2_operators(columns: Columns, folder: Path) -> Path:
    return with_operators(lerobot_v2(columns, folder), columns)


def lerobot_v3_operators(columns: Columns, folder: Path) -> Path:
    return with_operators(lerobot_v3(columns, folder), columns)


def lerobot_v2(columns: Columns, folder: Path) -> Path:
    return lerobot("v2.1", columns, folder)


def lerobot_v3(columns: Columns, folder: Path) -> Path:
    return lerobot("v3.0", columns, folder)


def pandas(columns: Columns, _: Path) -> Any:
    import pandas as pd

    return pd.DataFrame(flat(columns))


def polars(columns: Columns, _: Path) -> Any:
    import polars as pl

    return pl.DataFrame(columns)


def mapping(columns: Columns, _: Path) -> Any:
    return columns


FORMATS = [
    Format("parquet-lists", parquet_lists),
    Format("parquet-flat", parquet_flat),
    Format("parquet-hive", parquet_hive),
    Format("csv", text),
    Format("csv-frames", text, frames=True),
    Format("npz", npz),
    Format("npz-neorl", neorl),
    Format("npz-frames", npz, frames=True),
    Format("d4rl", d4rl),
    Format("d4rl-frames", d4rl, frames=True),
    Format("npy", npy, LoadOptions(obs_dims=OBS, action_dims=ACT)),
    Format("minari", minari),
    Format("lerobot-v2", lerobot_v2, LoadOptions(behavior_column="task_index"), frames=True),
    Format("lerobot-v3", lerobot_v3, LoadOptions(behavior_column="task_index"), frames=True),
    Format("lerobot-v2-operators", lerobot_v2_operators, LoadOptions(behavior_column="operator"), frames=True),
    Format("lerobot-v3-operators", lerobot_v3_operators, LoadOptions(behavior_column="operator"), frames=True),
    Format("pandas", pandas, in_memory=True),
    Format("polars", polars, in_memory=True),
    Format("mapping", mapping, in_memory=True),
]
