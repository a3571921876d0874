"""Minari's data sets on disk: a group for each episode, with one observation more than actions."""

from pathlib import Path

import numpy as np

from worldrex.data.columns import NAMES
from worldrex.data.findings import quote, some_of
from worldrex.data.options import LoadOptions
from worldrex.data.readers.folders import inside, natural, read_json
from worldrex.data.readers.hdf5_file import CHARACTER, Hdf5File, open_hdf5
from worldrex.data.readers.minari_folders import FILE
from worldrex.data.readers.reading import Reading
from worldrex.data.transitions import DataError

METADATA = "metadata.json"
# What worldrex adds where it writes one: the names in metadata.json, and the numbers as attributes of the episodes.
BEHAVIOR_NAMES_KEY, BEHAVIOR_KEY, EPISODE_KEY = "worldrex_behavior_names", "worldrex_behavior", "worldrex_episode"
STEPS = {"actions": "action", "rewards": "reward", "terminations": "terminated", "truncations": "truncated"}


def read(path: Path, options: LoadOptions) -> Reading:
    """All episodes of one data set; observations that are dictionaries or tuples are flattened in sorted order.

    The behavior is the step column or the episodes' attribute that `behavior_column` names (without it, `behavior`),
    else the data set's name.

    Raises DataError for a damaged file, for links, and for episodes whose arrays have other lengths than Minari's.
    """
    folder = path.parent if path.name == FILE else path
    folder = folder if (folder / FILE).is_file() else inside(folder, "data")
    metadata = read_json(inside(folder, METADATA)) if (folder / METADATA).exists() else {}
    with open_hdf5(inside(folder, FILE)) as file:
        groups = sorted((name for name in file.names() if name.startswith("episode_")), key=natural)
        if not groups:
            raise DataError(
                f"{str(path)!r} has no episodes. worldrex needs groups episode_0, episode_1, ...: check it."
            )
        names = metadata.get(BEHAVIOR_NAMES_KEY) if options.behavior_column is None else None
        key = (options.behavior_column or "behavior") if names is None else BEHAVIOR_KEY
        episodes = [_episode(file, group, key) for group in groups]
        labeled = ["behavior" in episode for episode in episodes]
        if options.behavior_column is not None and not all(labeled):
            raise DataError(
                f"{str(path)!r} has neither a step column nor an attribute {quote(options.behavior_column)} in "
                f"{quote(groups[labeled.index(False)])}. Name a step column (infos/KEY) or an attribute of every episode "
                f"({some_of(_labels(file, groups[0])) or 'it has none'}), or leave behavior_column away."
            )
    if any(labeled) and not all(labeled):
        raise DataError(
            f"{str(path)!r} says the behavior of {sum(labeled):,} of its {len(groups):,} episodes. worldrex needs it for "
            f"all or for none; {quote(groups[labeled.index(False)])} has none: complete it, or remove the attribute."
        )
    columns = {name: _joined([episode[name] for episode in episodes], name, path) for name in episodes[0]}
    name = metadata.get("dataset_id")
    if isinstance(names, list):
        columns[NAMES] = np.array([str(name) for name in names], dtype=object)
    return Reading("a Minari data set", columns, name=name if isinstance(name, str) else None)


def _episode(file: Hdf5File, group: str, key: str) -> dict[str, np.ndarray]:
    columns = {column: _flat(file, f"{group}/{name}") for name, column in STEPS.items()}
    observations, steps = _flat(file, f"{group}/observations"), len(columns["reward"])
    columns |= {"obs": observations[:-1], "next_obs": observations[1:]}
    wrong = next((name for name, values in columns.items() if len(values) != steps), None)
    if wrong is not None:
        raise DataError(
            f"{str(file.path)!r}: {quote(group)} has {len(observations):,} observations, {len(columns['action']):,} actions and "
            f"{steps:,} rewards. worldrex needs one observation more than steps, as Minari writes them: collect it again."
        )
    number = file.attribute(group, EPISODE_KEY)
    number = number if isinstance(number, int) else group.removeprefix("episode_")
    if isinstance(number, str) and not number.isdecimal():
        raise DataError(
            f"{str(file.path)!r} has the group {quote(group)}. worldrex needs episodes numbered as Minari does, episode_0, "
            "episode_1, ...: rename or remove it."
        )
    columns["episode"] = np.full(steps, int(number), np.int64)
    column = next((name for name in (f"{group}/{key}", f"{group}/infos/{key}") if file.is_array(name)), None)
    if column is not None:
        values = file.array(column)
        # Minari's collector begins infos with that of the reset.
        columns["behavior"] = values[1:] if len(values) == steps + 1 else values
    elif (label := file.attribute(group, key)) is not None:
        if isinstance(label, str):
            file.require_room(CHARACTER * len(label) * steps)
        columns["behavior"] = np.full(steps, label)
    return columns


def _flat(file: Hdf5File, name: str) -> np.ndarray:
    """An array; of a group, its arrays side by side in sorted order."""
    if not file.is_group(name):
        values = file.array(name)
        if not values.ndim:
            raise DataError(
                f"{str(file.path)!r}: {quote(name)} is a single value. worldrex needs one for each step: collect it again."
            )
        return values
    parts = [_flat(file, f"{name}/{key}") for key in file.parts(name)]
    if not parts or len({len(part) for part in parts}) > 1:
        raise DataError(f"{str(file.path)!r}: the parts of {quote(name)} have different lengths: collect it again.")
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _joined(parts: list[np.ndarray], name: str, path: Path) -> np.ndarray:
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1 or len({part.dtype.kind in "SU" for part in parts}) > 1:
        raise DataError(
            f"{str(path)!r}: {name} has different widths or types in its episodes. worldrex needs the same in all: "
            "load episodes of one system."
        )
    return np.concatenate(parts)


def _labels(file: Hdf5File, group: str) -> list[str]:
    return [quote(f"infos/{key}") for key in file.names(f"{group}/infos")] if file.is_group(f"{group}/infos") else []
