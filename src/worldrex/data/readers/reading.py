"""What a reader makes of a log."""

from dataclasses import dataclass

import numpy as np

from worldrex.data.behaviors_of import Parts


@dataclass(frozen=True, eq=False)
class Reading:
    """One log as its file has it.

    Arguments:
        kind: what it was taken for, in words.
        columns: raw columns, as `from_columns` takes them; next_obs may be missing.
        parts: name and number of records of each file, for a log of several.
        name: what the log calls itself, if it does.
        notes: what its owner should know about how it was read.
    """

    kind: str
    columns: dict[str, np.ndarray]
    parts: Parts = ()
    name: str | None = None
    notes: tuple[str, ...] = ()
