"""Checks of a data set's values: errors that make it unusable, warnings that its owner should know."""

import numpy as np
from jaxtyping import Float32

from worldrex.data.cautions import find_cautions
from worldrex.data.columns import check_columns
from worldrex.data.findings import Finding, plural, raise_errors
from worldrex.data.mapped import maps_of
from worldrex.data.transitions import COLUMNS, DataError, Transitions, component, same_episode

__all__ = ["DataError", "Finding", "require_valid", "validate"]

TOLERANCE = 1e-3  # of a component's standard deviation: room for rounded logs, far below one step of motion
ROUNDING = 1e-6  # of the value itself: a few units in the last place of float32
MOST_COMPONENTS = 4  # that are reported one by one


def validate(data: Transitions) -> list[Finding]:
    """The errors, or, where there are none, the warnings; empty where worldrex knows of no problem."""
    return _errors(data) or find_cautions(data)


def require_valid(data: Transitions, *, source: str = "the data") -> None:
    """Raise one DataError that tells all errors of `data`, calling it `source`; warnings raise nothing.

    A log that lies on disk was checked before it was written there.
    """
    if not maps_of(data):
        raise_errors(_errors(data), source)


def _errors(data: Transitions) -> list[Finding]:
    # Transitions built by hand may have any shape; the checks below need the right ones.
    structure = check_columns(
        {column: getattr(data, column) for column in COLUMNS}
        | {"behavior_names": np.array(data.behavior_names, dtype=object)}
    )
    if structure:
        return structure
    findings = []
    for column in ("obs", "action", "reward", "next_obs"):
        findings += _check_finite(column, getattr(data, column))
    scattered = _check_episodes(data)
    findings += scattered
    if not scattered:
        findings += _check_continuity(data)
    return findings


def _check_finite(column: str, values: Float32[np.ndarray, "record ..."]) -> list[Finding]:
    finite = np.isfinite(values)
    if finite.all():
        return []
    findings = []
    places = np.flatnonzero(~finite.reshape(len(values), -1).all(0))
    for place in places[:MOST_COMPONENTS]:
        name, series = component(column, values, int(place))
        nans, infinities = np.isnan(series), np.isinf(series)
        kinds = [(nans, "NaN"), (infinities, "infinite")]
        came = " and ".join(f"{int(where.sum()):,} {kind}" for where, kind in kinds if where.any())
        bad = nans | infinities
        row, count = int(np.argmax(bad)), int(bad.sum())
        findings.append(
            Finding(
                "error",
                name,
                count,
                row,
                f"{name} has {came} {'value' if count == 1 else 'values'} (first at row {row:,} of {len(values):,}). "
                "worldrex needs finite numbers: drop or repair these records.",
            )
        )
    if len(places) > MOST_COMPONENTS:
        more = len(places) - MOST_COMPONENTS
        findings.append(
            Finding(
                "error",
                column,
                more,
                int(np.argmax(~finite.all(1))),
                f"{column} has NaN or infinite values in {plural(more, 'more component')} of its {values.shape[1]:,}.",
            )
        )
    return findings


def _check_episodes(data: Transitions) -> list[Finding]:
    """Every episode in one piece, by one behavior."""
    findings = []
    starts = np.concatenate([[0], np.flatnonzero(~same_episode(data)) + 1])
    _, first = np.unique(data.episode[starts], return_index=True)
    again = np.setdiff1d(starts, starts[first])
    if len(again):
        row = int(again[0])
        findings.append(
            Finding(
                "error",
                "episode",
                len(again),
                row,
                f"episode {data.episode[row]} goes on at row {row:,} after other episodes "
                f"({plural(len(again), 'such place')}). worldrex needs the rows of an episode together and in time "
                "order: sort the records by episode and time, or give separate recordings different numbers.",
            )
        )
    changes = same_episode(data) & (data.behavior[1:] != data.behavior[:-1])
    if changes.any():
        row = int(np.argmax(changes)) + 1
        findings.append(
            Finding(
                "error",
                "behavior",
                int(changes.sum()),
                row,
                f"the behavior changes within episode {data.episode[row]} at row {row:,} "
                f"({plural(int(changes.sum()), 'such place')}). worldrex needs one behavior per episode: start a new "
                "episode, truncated before it, where another policy takes over.",
            )
        )
    return findings


def _check_continuity(data: Transitions) -> list[Finding]:
    """next_obs of a step is obs of the next one within an episode, up to rounding."""
    inside = np.flatnonzero(same_episode(data))
    after, before = data.obs[inside + 1], data.next_obs[inside]
    if np.array_equal(after, before):
        return []
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is reported by itself
        gap = np.abs(after - before)
        apart = gap > TOLERANCE * data.obs.std(0, dtype=np.float64) + ROUNDING * np.abs(after)
    broken = apart.any(1)
    if not broken.any():
        return []
    place = int(np.argmax(broken))
    row, wrong = int(inside[place]), int(np.argmax(apart[place]))
    episodes = len(np.unique(data.episode[inside[broken]]))
    count = int(broken.sum())
    return [
        Finding(
            "error",
            "next_obs",
            count,
            row,
            f"next_obs does not continue: at row {row:,} of episode {data.episode[row]}, next_obs[{row}, {wrong}] is "
            f"{before[place, wrong]:.6g} and obs[{row + 1}, {wrong}] is {after[place, wrong]:.6g} "
            f"({count:,} of {plural(len(inside), 'step')} within episodes, in {plural(episodes, 'episode')}). "
            "worldrex needs the next row's obs there: put the rows in time order, or start a new episode "
            "(another episode number, or truncated = 1) where the recording was interrupted.",
        )
    ]
