"""What became of a damaged log: a valid one, one clear error, or something that must be mended."""

import re
import traceback
import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tests.data.readers.damage import damage
from worldrex.data import DataError, LoadOptions, Transitions, load, maps_of
from worldrex.data.transitions import COLUMNS

LONGEST_MESSAGE = 4000
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Outcome(NamedTuple):
    """Arguments:
    word: accepted and refused are good.
    detail: the error's message, or what must be mended.
    """

    word: Literal["accepted", "refused", "finding"]
    detail: str


def judge(kind: str, seed: bytes, folder: Path) -> Outcome:
    """Make the log of a seed below an empty folder, and read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that make it
        try:
            log, options = damage(kind, seed).write(folder)
        except BaseException as error:  # one log that is not made must not end a run of many
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            return Outcome("finding", f"not made: {_traceback(error)}")
    return judge_log(log, options)


def judge_log(log: Any, options: LoadOptions) -> Outcome:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        lines: list[str] = []
        try:
            data = load(log, options=options, say=lines.append)
            outcome = Outcome("accepted", _wrong_in(data))
        except DataError as error:
            outcome = Outcome("refused", str(error))
        except BaseException as error:  # a panic of polars is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            return Outcome("finding", _traceback(error))
    if warned:
        return Outcome("finding", f"warning: {warned[0].category.__name__}: {warned[0].message} ({warned[0].filename})")
    if outcome.word == "accepted":
        return Outcome("finding", outcome.detail) if outcome.detail else outcome
    if len(outcome.detail) > LONGEST_MESSAGE:
        return Outcome("finding", f"message of {len(outcome.detail)} characters: {outcome.detail[:200]}")
    if CONTROL.search(outcome.detail) or "Type-check" in outcome.detail or not outcome.detail.strip():
        return Outcome("finding", f"no clear message: {outcome.detail!r}")
    return outcome


def _wrong_in(data: Transitions) -> str:
    """What is wrong with what was taken for a valid log; empty if nothing is."""
    rows, names = len(data), data.behavior_names
    for name in COLUMNS:
        values = getattr(data, name)
        if len(values) != rows or values.ndim != (2 if name in ("obs", "action", "next_obs") else 1):
            return f"accepted with {name} of shape {values.shape}"
    if not rows or data.obs.shape != data.next_obs.shape or not data.obs.shape[1] or not data.action.shape[1]:
        return "accepted with shapes that do not fit"
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return f"accepted with behavior names {names!r}"
    if data.behavior.min() < 0 or data.behavior.max() >= len(names):
        return "accepted with behaviors out of their range"
    in_memory = not maps_of(data)  # on disk, values are looked at by who trains on them
    finite = all(np.isfinite(getattr(data, name)).all() for name in ("obs", "action", "reward", "next_obs"))
    return "accepted with values that are not finite" if in_memory and not finite else ""


def _traceback(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:])
    return f"{type(error).__name__}: {str(error)[:200]} ({places})"
