"""Arrays and their description as two files that belong together: safetensors, and JSON with its checksum."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load
from safetensors.numpy import save as serialize

from worldrex.runs import RunError, atomic_file, write_json

T = TypeVar("T")


class Kind(NamedTuple):
    """A kind of thing that is kept so."""

    name: str
    """What it is, and how its files and its folder in a run are called."""
    formats: tuple[int, ...]
    """Versions of its description that are read; the last one is written."""
    maker: str
    """Who writes it, for a message."""
    again: str
    """What to do where it is damaged, for a message."""
    error: type[ValueError]
    """What reading raises."""


def save(folder: Path, kind: Kind, arrays: Mapping[str, np.ndarray], description: Mapping[str, Any]) -> None:
    """Write `NAME.safetensors` and then `NAME.json` into the folder, each whole or not at all.

    The JSON carries the checksum of the other file, so that a mixture of two saves is found out.

    **Raises:** `RunError` where it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder {folder}: {error.strerror or error}.") from error
    content = serialize({name: np.ascontiguousarray(x) for name, x in arrays.items()})
    with atomic_file(folder / f"{kind.name}.safetensors") as file:
        file.write(content)
    seal = {"format": kind.formats[-1], "sha256": hashlib.sha256(content).hexdigest()}
    write_json(folder / f"{kind.name}.json", seal | dict(description))


def read(folder: Path, kind: Kind, make: Callable[[dict[str, np.ndarray], dict[str, Any]], T]) -> T:
    """What `make` makes of the arrays and the description in the folder, or in the folder NAME of a run.

    **Raises:** the kind's error if the folder holds none, a damaged one, or one of a format that is not read.
    """
    name = kind.name
    if not (folder / f"{name}.json").exists() and (folder / name / f"{name}.json").exists():
        folder = folder / name  # a run folder
    try:
        description = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        content = (folder / f"{name}.safetensors").read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise kind.error(
            f"{folder} holds no {name} that can be read ({reason}). Name a folder that {kind.maker} wrote."
        ) from error
    if not isinstance(description, dict) or description.get("format") not in kind.formats:
        raise kind.error(
            f"{folder / name}.json is not of format {' or '.join(map(str, kind.formats))}, which this version of worldrex "
            f"reads: load it with the version that wrote it, or {kind.again}."
        )
    again = kind.again[0].upper() + kind.again[1:]
    if hashlib.sha256(content).hexdigest() != description.get("sha256"):
        raise kind.error(
            f"{folder} is damaged: {name}.safetensors is not the file that {name}.json was written for. {again}."
        )
    try:
        return make(load(content), description)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, SafetensorError) as error:
        raise kind.error(f"{folder / name}.json is damaged ({type(error).__name__}: {error}). {again}.") from error
