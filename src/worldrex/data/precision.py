"""Columns that vary too little, so far from zero, for the 24 bits of a float32."""

from collections.abc import Mapping

import numpy as np

from worldrex.data.findings import Finding

ROWS = 65_536  # looked at, evenly over the log
MOST_ROUNDED, MOST_ROUNDED_STEP = 0.01, 0.3  # of the spread, and of the mean change in a step
NARROW = {"f": 4, "i": 2, "u": 2}  # bytes that float32 holds exactly, or as far as they go


def find_rounded(columns: Mapping[str, np.ndarray]) -> list[Finding]:
    """An error for each column, [record, component], of which float32 would keep little: of its spread or its changes."""
    found = []
    for name in ("obs", "action", "reward"):
        values = columns[name]
        if values.dtype.itemsize <= NARROW.get(values.dtype.kind, values.dtype.itemsize):
            continue
        rows = np.linspace(0, len(values) - 1, min(len(values), ROWS)).astype(np.int64)
        sample = values[rows].astype(np.float64)
        following = columns["next_obs"][rows].astype(np.float64) if name == "obs" else sample
        finite = np.isfinite(sample).all(1) & np.isfinite(following).all(1)
        sample, following = sample[finite], following[finite]
        if not len(sample):
            continue
        rounding = (sample - sample.astype(np.float32)).std(0)
        spreads = [("", sample.std(0), MOST_ROUNDED)]
        if name == "obs":
            spreads.append(("from step to step ", np.abs(following - sample).mean(0), MOST_ROUNDED_STEP))
        # What is not above this varies by the rounding of float64 itself.
        least = 1e3 * np.finfo(np.float64).eps * np.abs(sample).max(0)
        for how, spread, most in spreads:
            lost = (spread > least) & (rounding > most * spread)
            if lost.any():
                place = int(np.argmax(lost))
                value = float(np.abs(sample[:, place]).max())
                found.append(
                    Finding(
                        "error",
                        name,
                        int(lost.sum()),
                        None,
                        f"{name}[:, {place}] varies {how}by {spread[place]:.2g} at values of up to {value:.9g}, where float32, "
                        f"in which worldrex computes, has steps of {np.spacing(np.float32(value)):.2g}. Subtract an offset"
                        f"{', the same in obs and next_obs' if name == 'obs' else ''}.",
                    )
                )
                break
    return found
