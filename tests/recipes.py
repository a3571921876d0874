"""The recipes of docs/data.md as they stand there, and the log that each is for."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests import pages
from tests.data.logs import make_log
from tests.data.readers import formats
from tests.data.readers.formats import Columns, with_last_frames
from worldrex.data import Transitions
from worldrex.data.transitions import COLUMNS


def recipes() -> dict[str, list[pages.Block]]:
    """The fenced blocks below each heading of the page's section on recipes."""
    section = re.split(r"^## ", pages.read("data.md"), flags=re.MULTILINE)
    (found,) = (text for text in section if text.startswith("Recipes\n"))
    parts = found.split("\n### ")[1:]
    return {part.split("\n", 1)[0]: pages.blocks(part) for part in parts}


def one_behavior(number: int) -> Transitions:
    """Ten episodes of 50 steps; every other one ends in a terminal state."""
    data = make_log(behaviors=1, episodes=10, steps=50, obs=formats.OBS, act=formats.ACT, seed=number)
    terminated = data.truncated & (data.episode % 2 == 0)
    return replace(data, terminated=terminated, truncated=data.truncated & ~terminated)


def frames(number: int) -> Columns:
    """What a recorder of frames keeps, without who acted: the last frame of an episode has no next observation."""
    columns = with_last_frames(one_behavior(number))
    return {name: values for name, values in columns.items() if name != "behavior"}


def whole(data: Transitions, *without: str) -> Columns:
    return {name: getattr(data, name) for name in COLUMNS if name not in ("behavior", *without)}


def put(made: Path, place: Path) -> Path:
    """What a writer made under its own name, where the recipe has it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    return made.rename(place)


def robots(folder: Path) -> None:
    """Four LeRobot data sets; the metadata tell who operated each episode, and its task."""
    for number in range(4):
        path = put(
            formats.lerobot_v3({**frames(number), "behavior": np.zeros(510, int)}, folder),
            folder / f"fleet/arm_{number + 1}",
        )
        episodes = path / "meta/episodes/chunk-000/file-000.parquet"
        operators = [("ada", "ben", "cid")[episode % 3] for episode in range(10)]
        tasks = [[("wipe the table", "stack the cups")[episode % 2]] for episode in range(10)]
        told = pq.read_table(episodes).append_column("operator", [operators]).append_column("tasks", [tasks])
        pq.write_table(told, episodes)


def controllers(folder: Path) -> None:
    """Six CSV files of three controllers with a clock, one CSV file with names of its own."""
    (folder / "logs").mkdir()
    for number, name in enumerate(["pid-1", "pid-2", "mpc-1", "mpc-2", "manual-1", "manual-2"]):
        columns = frames(number)
        time = {"time": np.tile(np.arange(51) / 10, 10)}
        kept = {name: columns[name] for name in ("obs", "action", "reward", "episode")}
        put(formats.text(time | kept, folder), folder / f"logs/run-{name}.csv")
    columns = frames(0)
    names = ["batch", "level", "flow", "temperature", "valve", "pump", "cost", "controller"]
    with open(folder / "plant.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in range(len(columns["reward"])):
            episode = int(columns["episode"][row])
            numbers = [*columns["obs"][row].tolist(), *columns["action"][row].tolist(), float(columns["reward"][row])]
            writer.writerow([episode, *numbers, ("pid", "mpc", "manual")[episode % 3]])


def d4rl(folder: Path) -> None:
    for number, name in enumerate(["random", "medium", "expert"]):
        put(formats.d4rl(frames(number), folder), folder / f"hopper-{name}.hdf5")


def minari(folder: Path) -> None:
    """Three data sets by one policy each, and one whose steps say the pilot."""
    for number, name in enumerate(["simple-v0", "medium-v0", "expert-v0", "shared-v0"]):
        data = one_behavior(number)
        pilot = data.episode % 3
        path = formats.minari({**whole(data), "behavior": pilot}, folder / "made")
        with h5py.File(path / "data" / "main_data.hdf5", "a") as file:
            for group in file.values():
                if name == "shared-v0":
                    group.move("infos/behavior", "infos/pilot")
                else:
                    del group["infos"]
        metadata = {"dataset_id": f"arm/{name}", "data_format": "hdf5"}
        (path / "data" / "metadata.json").write_text(json.dumps(metadata))
        put(path, folder / "datasets" / ("pilots" if name == "shared-v0" else "arm") / name)


def data_frame(folder: Path) -> None:
    """A table with a column for each component, and one for who acted."""
    data = one_behavior(0)
    columns = formats.flat(whole(data)) | {"pilot": np.array(["ada", "ben", "cid"])[data.episode % 3]}
    pq.write_table(pa.table(columns), folder / "flights.parquet")


def archives(folder: Path) -> None:
    """Two archives in NeoRL's layout, in whose first three policies took turns."""
    for name, number in (("train", 0), ("val", 1)):
        data = one_behavior(number)
        put(formats.neorl(whole(data), folder), folder / f"Pipeline-{name}.npz")


def matrix(folder: Path) -> None:
    data = one_behavior(0)
    data = replace(data, behavior=data.episode % 3, behavior_names=("a", "b", "c"))
    put(formats.npy({name: getattr(data, name) for name in COLUMNS}, folder), folder / "log.npy")


def unlabeled(folder: Path) -> None:
    """Three controllers in the same states, in two files that do not say who acted."""
    from tests.data.test_label import controlled

    for number, name in enumerate(["monday", "tuesday"]):
        data = controlled(episodes=10, seed=number)
        put(formats.npz(whole(data), folder), folder / f"{name}.npz")


def lists(folder: Path) -> None:
    """The same, each file with a list beside it."""
    from tests.data.test_label import controlled, truth

    unlabeled(folder)
    for number, name in enumerate(["monday", "tuesday"]):
        rows = [f"{episode},{'abc'[who]}" for episode, who in enumerate(truth(controlled(episodes=10, seed=number)))]
        (folder / f"{name}.csv").write_text("\n".join(["episode,behavior", *rows]))


def parts(folder: Path) -> None:
    """Four files of two controllers each."""
    for number in range(4):
        data = make_log(
            behaviors=2, episodes=5, steps=50, seed=number, names=[("pid", "mpc"), ("mpc", "manual")][number % 2]
        )
        data.save(folder / f"part-{number}.parquet")


LOGS = {
    "A robot fleet (LeRobot)": robots,
    "A controller's CSV export": controllers,
    "D4RL files": d4rl,
    "Minari": minari,
    "A data frame": data_frame,
    "NPZ, and NeoRL's logs": archives,
    "A flat NPY matrix": matrix,
    "A list for each of several logs": lists,
    "Logs that do not say who acted": unlabeled,
    "Logs beyond memory": parts,
}
