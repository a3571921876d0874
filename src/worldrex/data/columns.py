"""Raw columns, as a file or a program holds them, become Transitions, or one message that says why not."""

from collections.abc import Mapping

import numpy as np

from worldrex.data.behaviors_of import Parts, behaviors_of
from worldrex.data.findings import Finding, plural, quote, raise_errors, some_of
from worldrex.data.options import LoadOptions, with_cycle
from worldrex.data.precision import find_rounded
from worldrex.data.transitions import Transitions, aligned, aligned_copy

REQUIRED = ("obs", "action", "reward", "next_obs")
FLAGS = ("done", "terminated", "truncated")
NAMES = "behavior_names"  # not a column: one entry per behavior id
KNOWN = (*REQUIRED, *FLAGS, "episode", "behavior", NAMES)
MATRICES = ("obs", "action", "next_obs")

Columns = Mapping[str, np.ndarray]

# What is not finite is found and told; a signaling NaN among it would be warned of as well.
QUIETLY = np.errstate(invalid="ignore", over="ignore")


@QUIETLY
def from_columns(
    columns: Columns,
    *,
    source: str = "the data",
    unlabeled: str = "behavior 0",
    behavior_cycle: int | None = None,
    options: LoadOptions | None = None,
    parts: Parts = (),
) -> Transitions:
    """Transitions from arrays of any numeric type; columns that worldrex does not know are left out.

    Arguments:
        columns: obs [record, obs], action [record, act], reward [record], next_obs [record, obs]. Optional, [record]:
            terminated, truncated, done (= terminated, or truncated where that column says so), episode (default: an
            episode ends at terminated, truncated or done), behavior (numbers or names); behavior_names [behavior].
        source: how an error calls the data.
        unlabeled: name of the behavior where there is no column `behavior`.
        behavior_cycle: where there is no column `behavior`, episode i was logged by "behavior {i % behavior_cycle}".
        options: all sources of behaviors; `behavior_cycle` is short for the option of that name.
        parts: name and number of records of each file, where the columns come from several.

    Raises DataError with everything that is wrong with the columns' names, types, lengths and widths. Values (NaN,
    continuity) are for `validate` and `require_valid`.
    """
    raise_errors(check_columns(columns), source)
    length = len(columns["reward"])
    terminated, truncated, ends = end_flags(columns, length)
    if "episode" in columns:
        logged_episode = per_record(columns["episode"])
        episode = _episode_numbers(logged_episode)
    else:
        episode = logged_episode = number_episodes(ends)
    options = with_cycle(options, behavior_cycle)
    behavior, names = behaviors_of(
        per_record(columns["behavior"]) if "behavior" in columns else None,
        columns.get(NAMES),
        logged_episode,
        options=options,
        source=source,
        unlabeled=unlabeled,
        parts=parts,
    )
    return Transitions(
        **{name: _float32(as_matrix(columns[name])) for name in MATRICES},
        reward=_float32(per_record(columns["reward"])),
        terminated=terminated,
        truncated=truncated,
        episode=episode,
        behavior=behavior.astype(np.int32),
        behavior_names=names,
    )


@QUIETLY
def check_columns(columns: Columns) -> list[Finding]:
    """Errors in the names, types, shapes and codes of raw columns; empty where they can become Transitions."""
    missing = [name for name in REQUIRED if name not in columns]
    if len(missing) > 1 and {"episode", *FLAGS} & set(columns):
        # It comes from the next row, once the others are there.
        missing = [name for name in missing if name != "next_obs"]
    if missing:
        came = some_of([quote(name, 30) for name in columns], 12) or "no columns"
        verb = "is" if len(missing) == 1 else "are"
        return [
            _error(
                missing[0],
                len(missing),
                f"missing {verb} {', '.join(missing)}; there came {came}. "
                "worldrex needs obs, action, reward and next_obs, in tables lists or columns obs_0, obs_1, ...: rename or add "
                "the columns.",
            )
        ]
    present = {name: columns[name] for name in KNOWN if name in columns}
    findings = [finding for name, values in present.items() for finding in _check_type(name, values)]
    if findings:
        return findings
    lengths = {name: len(values) for name, values in present.items() if name != NAMES}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        return [
            _error(
                "",
                len(lengths),
                f"columns of unequal length: {each}. worldrex needs one entry per record in every column: "
                "export them again from the same records.",
            )
        ]
    if lengths["reward"] == 0:
        return [_error("", 0, "there are no records (0 rows). worldrex needs logged transitions: check the export.")]
    widths = {name: as_matrix(present[name]).shape[1] for name in MATRICES}
    findings = [
        _error(name, 0, f"{name} has no components (width 0). worldrex needs at least one: check the export.")
        for name, width in widths.items()
        if width == 0
    ]
    if widths["obs"] != widths["next_obs"]:
        findings.append(
            _error(
                "next_obs",
                abs(widths["obs"] - widths["next_obs"]),
                f"obs has width {widths['obs']} and next_obs has width {widths['next_obs']}. "
                "worldrex needs the same components in the same order in both: export them again.",
            )
        )
    for name in REQUIRED:
        findings += _check_range(name, present[name])
    if not findings:
        findings += find_rounded({name: as_matrix(present[name]) for name in REQUIRED})
    for name in FLAGS:
        if name in present:
            findings += _check_flag(name, per_record(present[name]))
    if "behavior" in present:
        findings += _check_behavior(present)
    return findings


def _check_type(name: str, values: np.ndarray) -> list[Finding]:
    kinds = "biuf" if name in (*REQUIRED, *FLAGS) else "SU" if name == NAMES else "biufSU"
    strings = name == NAMES and values.dtype == object and all(isinstance(value, str) for value in values)
    if values.dtype.kind not in kinds and not strings:
        expected = "names" if name == NAMES else "numbers" if kinds == "biuf" else "numbers or names"
        return [
            _error(
                name,
                values.size,
                f"{name} has values of type {values.dtype}. worldrex needs {expected}: convert the column.",
            )
        ]
    if name in MATRICES:
        fits, expected = values.ndim in (1, 2), "[record, component]"
    else:
        fits, expected = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1), "[record]"
    if fits:
        return []
    return [
        _error(name, values.size, f"{name} has shape {values.shape}. worldrex needs {expected}: reshape the column.")
    ]


def _check_range(name: str, values: np.ndarray) -> list[Finding]:
    if values.dtype.kind != "f" or values.dtype.itemsize <= 4:
        return []
    beyond = np.isfinite(values) & (np.abs(values) > np.finfo(np.float32).max)
    if not beyond.any():
        return []
    count, row = int(beyond.sum()), int(np.nonzero(beyond)[0][0])
    return [
        _error(
            name,
            count,
            f"{name} has {plural(count, 'value')} beyond ±3.4e38 (first at row {row:,}). "
            "worldrex computes in float32: rescale the column, or drop these records.",
            row,
        )
    ]


def _check_flag(name: str, values: np.ndarray) -> list[Finding]:
    if values.dtype == bool:
        return []
    wrong = (values != 0) & (values != 1)
    if not wrong.any():
        return []
    row = int(np.argmax(wrong))
    return [
        _error(
            name,
            int(wrong.sum()),
            f"{name} has {plural(int(wrong.sum()), 'value')} other than 0 and 1 (first at row {row:,}: {values[row]}). "
            "worldrex needs 1 where an episode ends and 0 elsewhere: convert the column.",
            row,
        )
    ]


def _check_behavior(columns: Columns) -> list[Finding]:
    names = [str(name) for name in columns[NAMES].reshape(-1)] if NAMES in columns else None
    if names is not None and len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        return [
            _error(
                NAMES,
                len(names) - len(set(names)),
                f"behavior_names has {quote(repeated)} more than once. worldrex needs different names: rename one.",
            )
        ]
    behavior = per_record(columns["behavior"])
    if behavior.dtype.kind in "SU":
        return []
    last = np.inf if names is None else len(names) - 1
    if behavior.dtype.kind in "biu" and behavior.min() >= 0 and behavior.max() <= last:
        return []  # as most logs are, and without arrays as long as the log
    problems = {
        "that are not whole numbers": ~(np.isfinite(behavior) & (behavior == np.trunc(behavior))),
        "below 0": behavior < 0,
        f"above {last}, the last of {plural(len(names or ()), 'behavior name')}": behavior > last,
    }
    findings = []
    for problem, wrong in problems.items():
        if wrong.any():
            count, row = int(wrong.sum()), int(np.argmax(wrong))
            findings.append(
                _error(
                    "behavior",
                    count,
                    f"behavior has {plural(count, 'id')} {problem} (first at row {row:,}: {behavior[row]}). "
                    "worldrex needs whole numbers from 0 or names: give every record the policy that logged it, "
                    "or drop the records without one.",
                    row,
                )
            )
    return findings


def end_flags(columns: Columns, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """terminated, truncated, and where one of the flags ends an episode, each [record]."""
    never = np.zeros(length, bool)
    given = {name: per_record(columns[name]) != 0 for name in FLAGS if name in columns}
    done, truncated = given.get("done", never), given.get("truncated", never)
    # Older logs set `done` at both kinds of ends; the more precise column decides.
    terminated = given.get("terminated", done & ~truncated)
    if "terminated" in given and "truncated" not in given:
        truncated = done & ~terminated
    return terminated, truncated, done | terminated | truncated


def number_episodes(ends: np.ndarray) -> np.ndarray:
    """Each record's episode, numbered from 0, from where they end."""
    return np.concatenate([[0], np.cumsum(ends[:-1])]).astype(np.int32)


def _episode_numbers(values: np.ndarray) -> np.ndarray:
    """Numbers that fit stay as they are; others, and names, are numbered in their sorted order."""
    if values.dtype.kind in "biuf":
        values = values.astype(np.float64) if values.dtype == np.float16 else values  # which does not hold the bounds
        whole = np.isfinite(values).all() and (values == np.trunc(values)).all()
        if whole and values.min() >= -(2**31) and values.max() < 2**31:
            return values.astype(np.int32)
    return np.unique(values, return_inverse=True)[1].astype(np.int32)


def as_matrix(values: np.ndarray) -> np.ndarray:
    """A column of components as [record, component], also where it came as [record]."""
    return values[:, None] if values.ndim == 1 else values


def per_record(values: np.ndarray) -> np.ndarray:
    """A column of one value per record as [record], also where it came as [record, 1]."""
    return values.reshape(len(values))


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # a signaling NaN is reported with the others
        values = np.asarray(values, np.float32)
    # Nobody else's memory, and where training can take it as it lies.
    return (aligned if values.flags.owndata and values.flags.writeable else aligned_copy)(values)


def _error(column: str, count: int, message: str, row: int | None = None) -> Finding:
    return Finding("error", column, count, row, message)
