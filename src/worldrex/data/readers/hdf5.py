"""HDF5 in D4RL's layout: observations, actions, rewards, terminals, timeouts, with next_observations or not."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from worldrex.data.columns import KNOWN, NAMES
from worldrex.data.options import LoadOptions
from worldrex.data.readers.hdf5_file import open_hdf5
from worldrex.data.readers.reading import Reading
from worldrex.data.transitions import DataError
from worldrex.data.wide_columns import TIMES, left_out, no_behavior_column

D4RL = {
    "observations": "obs",
    "actions": "action",
    "rewards": "reward",
    "terminals": "terminated",
    "timeouts": "truncated",
    "next_observations": "next_obs",
}
GROUPS = ("infos", "metadata")  # D4RL's own, which are no columns


def read(path: Path, options: LoadOptions) -> Reading:
    """The arrays with D4RL's names or worldrex's own; other groups (infos, metadata) are left out.

    Raises DataError for a damaged file, for links and virtual arrays that lead elsewhere, and where an array is missing
    without which the ends of episodes are not known.
    """
    with open_hdf5(path) as file:
        names = file.names()
        named = {name: D4RL.get(name, name) for name in names if name in D4RL or name in KNOWN}
        doubled = next((name for name in named if name in D4RL and D4RL[name] in named), None)
        if doubled is not None:
            raise DataError(
                f"{str(path)!r} has both {doubled} and {D4RL[doubled]}. worldrex needs one of them: remove the other."
            )
        columns = left_out([name for name in names if name not in GROUPS], named)
        columns |= {column: file.array(name) for name, column in named.items()}
        for name in TIMES:
            with suppress(DataError):  # no log is refused for its clock
                if file.is_array(name):
                    columns[name] = np.empty(0)
                    columns[name] = np.atleast_1d(file.array(name))
        if options.behavior_column is not None:
            if not file.is_array(options.behavior_column):
                infos = [f"infos/{name}" for name in file.names("infos")] if "infos" in names else []
                raise no_behavior_column(options.behavior_column, [*names, *infos], repr(str(path)))
            columns["behavior"] = file.array(options.behavior_column)
            columns.pop(NAMES, None)
    d4rl = any(name in D4RL for name in named)
    if d4rl and "next_obs" not in columns and "truncated" not in columns and "episode" not in columns:
        raise DataError(
            f"{str(path)!r} has neither next_observations nor timeouts, so that an episode that ran out of time would go "
            "on in the next one. worldrex needs one of the two: export the log with timeouts."
        )
    return Reading("D4RL HDF5" if d4rl else "HDF5", columns)
