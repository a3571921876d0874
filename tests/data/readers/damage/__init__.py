"""Damaged and hostile logs of every kind that worldrex reads, each made of a few bytes: the same bytes make the same log.

The first byte says in which way a log is damaged: its file's bytes are given outright (`WHOLE`), a sound file's bytes are
damaged, or a file is packed soundly around what no log should have in it.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.data.logs import make_log
from tests.data.readers import formats
from tests.data.readers.damage import frames
from tests.data.readers.damage.archives import npy_bytes, npz_bytes
from tests.data.readers.damage.arrays import hostile_array, hostile_name
from tests.data.readers.damage.choices import Choices
from tests.data.readers.damage.hdf5 import hdf5_bytes
from tests.data.readers.damage.spans import damage_bytes
from tests.data.readers.damage.tables import csv_bytes, parquet_bytes
from tests.data.readers.damage.texts import json_bytes
from worldrex.data import LoadOptions, Transitions, write_mapped

Files = dict[str, bytes]  # below a folder; the first part of every name is the log's own

WHOLE, BYTES = (
    8,
    144,
)  # of 256 first bytes: up to the first the file is given outright, up to the second bytes are damaged
WIDTHS = LoadOptions(obs_dims=formats.OBS, action_dims=formats.ACT)
BY_TASK = LoadOptions(behavior_column="task_index")
BY_OPERATOR = LoadOptions(behavior_column="operator")


@dataclass(frozen=True)
class Damaged:
    """A log, and how to read it.

    Arguments:
        log: the log itself where it is in memory, else its path below the folder that `write` is given.
        files: what to write there.
        links: names of links, and where each leads.
        options: how to read it.
    """

    log: Any
    files: Files = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    options: LoadOptions = LoadOptions()  # noqa: RUF009

    def write(self, folder: Path) -> tuple[Any, LoadOptions]:
        """What to give to `load`. Names that no file system takes are left out."""
        for name, content in self.files.items():
            path = folder / name
            with suppress(OSError, ValueError):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        for name, target in self.links.items():
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(target)
        options = self.options
        if options.behaviors is not None:
            options = replace(options, behaviors=folder / options.behaviors)
        return folder / self.log if isinstance(self.log, str) else self.log, options


@cache
def small() -> Transitions:
    """Two episodes of three steps, one of each behavior."""
    return make_log(behaviors=2, episodes=1, steps=3, obs=formats.OBS, act=formats.ACT, names=("left", "right"))


def columns(*, frames: bool = False) -> formats.Columns:
    data = small()
    return formats.with_last_frames(data) if frames else {name: getattr(data, name) for name in formats.ALL}


Writer = Callable[[Path], Any]
SOUND: dict[str, tuple[Writer, ...]] = {
    "mapped": (lambda folder: write_mapped([small()], folder / "log"),),
    "parquet": (
        lambda folder: formats.parquet_lists(columns(), folder),
        lambda folder: formats.parquet_flat(columns(frames=True), folder),
        lambda folder: small().save(folder / "log"),
    ),
    "parquet-folder": (
        lambda folder: formats.parquet_hive(columns(), folder),
        lambda folder: [small().save(_made(folder / "logs") / f"part-{i}.parquet") for i in range(2)],
        lambda folder: formats.parquet_lists(columns(frames=True), _made(folder / "logs")),
    ),
    "npz": (lambda folder: formats.npz(columns(), folder), lambda folder: formats.neorl(columns(), folder)),
    "npy": (lambda folder: formats.npy(columns(), folder),),
    "hdf5": (lambda folder: formats.d4rl(columns(), folder), lambda folder: formats.d4rl(columns(frames=True), folder)),
    "minari": (lambda folder: formats.minari(columns(), folder),),
    "lerobot": (
        lambda folder: formats.lerobot_v2(columns(frames=True), folder),
        lambda folder: formats.lerobot_v3(columns(frames=True), folder),
    ),
    "lerobot-episodes": (
        lambda folder: formats.lerobot_v2_operators(columns(frames=True), folder),
        lambda folder: formats.lerobot_v3_operators(columns(frames=True), folder),
    ),
    "csv": (lambda folder: formats.text(columns(), folder), lambda folder: formats.text(columns(frames=True), folder)),
    "behaviors": (lambda folder: (folder / "log").write_text("episode,behavior\n0,left\n1,right\n"),),
}
IN_MEMORY: dict[str, Callable[[formats.Columns, Choices], Any]] = {
    "mapping": frames.mapping,
    "pandas": frames.pandas,
    "polars": frames.polars,
}
KINDS = (*SOUND, *IN_MEMORY)


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@cache
def sound(kind: str) -> tuple[Files, ...]:
    """The files of each sound log of a kind."""
    logs = []
    for write in SOUND[kind]:
        with TemporaryDirectory() as folder:
            write(Path(folder))
            files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            logs.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    return tuple(logs)


def damage(kind: str, seed: bytes) -> Damaged:
    """The damaged log that a seed makes of a kind."""
    choices = Choices(seed)
    if kind in IN_MEMORY:
        wide = kind == "pandas" or choices.chance(3)
        given = columns(frames=choices.chance(3))
        return Damaged(
            IN_MEMORY[kind](formats.flat(given) if wide else given, choices), options=_options(kind, choices)
        )
    way = choices.below(256)
    files = dict(choices.one_of(sound(kind)))
    names = list(files)
    if kind == "lerobot-episodes":  # its frames are damaged as lerobot's
        names += 4 * [name for name in names if "/meta/episodes" in name]
    name = choices.one_of(names)
    links: dict[str, str] = {}
    if way < WHOLE:
        files[name] = choices.rest()
        return _log(kind, files, links, Choices(b""))
    if way >= BYTES and name.endswith(".jsonl"):
        lines = files[name].split(b"\n")
        place = choices.below(len(lines) - 1)
        files[name] = b"\n".join([*lines[:place], json_bytes(lines[place], choices), *lines[place + 1 :]])
    elif way >= BYTES and name.endswith(".json"):
        files[name] = json_bytes(files[name], choices)
    elif way >= BYTES:
        files[name] = _rewritten(kind, name, files[name], choices)
    else:
        files[name] = damage_bytes(files[name], choices)
    if len(files) > 1 and choices.chance(12):
        _rearrange(files, links, choices)
    return _log(kind, files, links, choices)


def _rewritten(kind: str, name: str, content: bytes, choices: Choices) -> bytes:
    if kind in ("csv", "behaviors"):
        return csv_bytes(content, choices)
    if kind in ("hdf5", "minari"):
        return hdf5_bytes(content, choices)
    if kind == "npz":
        return npz_bytes(columns(frames=choices.chance(3)), choices)
    if kind in ("npy", "mapped"):
        values = np.lib.format.read_array(io.BytesIO(content))
        return npy_bytes(hostile_array(values, choices) if choices.chance(2) else values, choices)
    return parquet_bytes(content, choices) if content.startswith(b"PAR1") else damage_bytes(content, choices)


def _rearrange(files: Files, links: dict[str, str], choices: Choices) -> None:
    """A file is gone, there twice, somewhere else, another's, or a link."""
    names = list(files)
    name, other = choices.one_of(names), choices.one_of(names)
    match choices.below(6):
        case 0:
            del files[name]
        case 1:
            files[f"{name}.copy.parquet"] = files[name]
        case 2:
            files[name], files[other] = files[other], files[name]
        case 3:
            links[name] = choices.one_of([Path(other).name, "/etc/passwd", "..", ".", Path(name).name, "/dev/zero"])
        case 4:
            moved = hostile_name(choices).encode("utf-8", "replace").decode().replace("..", "_").strip("/")
            files[str(Path(name).parent / moved / Path(name).name)] = files.pop(name)
        case _:
            files[name] = b""


def _log(kind: str, files: Files, links: dict[str, str], choices: Choices) -> Damaged:
    if kind == "behaviors":
        unlabeled = {name: values for name, values in columns().items() if name != "behavior"}
        return Damaged(unlabeled, files, links, LoadOptions(behaviors="log"))
    first = next(iter(sound(kind)[0]))
    top = first.split("/")[0] if kind != "minari" else "arm/expert-v0"
    return Damaged(top, files, links, _options(kind, choices))


def _options(kind: str, choices: Choices) -> LoadOptions:
    given = {"npy": WIDTHS, "lerobot": BY_TASK, "lerobot-episodes": BY_OPERATOR}
    options = given.get(kind, LoadOptions())
    if not choices.chance(6):
        return options
    others = [LoadOptions(behavior_cycle=2), LoadOptions(behavior_pattern="."), LoadOptions(behavior_column="episode")]
    others += [
        LoadOptions(behavior_column="infos/behavior"),
        LoadOptions(action_low=(-1.0,)),
        LoadOptions(behavior_column="reward"),
    ]
    return choices.one_of(others)
