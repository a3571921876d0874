"""One NumPy matrix with a record in each row: [obs | action | next_obs | reward | terminal | policy]."""

from pathlib import Path

import numpy as np

from worldrex.data.findings import damaged, some_of
from worldrex.data.npy_header import DAMAGE, declared_bytes, quiet
from worldrex.data.options import LoadOptions
from worldrex.data.readers.limits import require_room
from worldrex.data.readers.reading import Reading
from worldrex.data.transitions import DataError

MAGIC = np.lib.format.MAGIC_PREFIX
MOST_FITTING = 100  # widths that an error looks at: a damaged header may say any number of columns
SINGLE = 3  # columns of one number: reward, terminal, policy


def read(path: Path, options: LoadOptions) -> Reading:
    """The matrix cut into columns by `obs_dims` and `action_dims`.

    It has no episodes: one ends where terminal is 1, where the policy changes, and where next_obs is not the next row's
    obs. Raises DataError for a damaged file and for widths that do not add up.
    """
    values = _read_matrix(path)
    obs, act = _widths(values.shape[1], options, path)
    starts = np.cumsum([obs, act, obs, 1, 1])
    names = ["obs", "action", "next_obs", "reward", "terminated", "behavior"]
    columns = dict(zip(names, np.split(values, starts, axis=1), strict=True))
    terminal, policy = columns["terminated"][:, 0], columns["behavior"][:, 0]
    stops = (columns["next_obs"][:-1] != columns["obs"][1:]).any(1) | (policy[:-1] != policy[1:])
    last = np.append(stops, True)[: len(values)] | (terminal != 0)
    columns["truncated"] = last & (terminal == 0)
    if options.behavior_column is not None:
        raise DataError(
            f"{str(path)!r} is a flat matrix, whose columns have no names: its last one is the behavior. "
            "Leave behavior_column away."
        )
    note = "episodes end at a terminal, at a change of policy and where next_obs does not continue"
    return Reading(f"a flat NPY matrix of {obs} obs and {act} action columns", columns, notes=(note,))


def _read_matrix(path: Path) -> np.ndarray:
    try:
        with quiet(), open(path, "rb") as file:
            magic = file.read(np.lib.format.MAGIC_LEN).ljust(np.lib.format.MAGIC_LEN, b"\0")
            declared, size = declared_bytes(file, magic[-2]), path.stat().st_size
            if declared > size:
                raise ValueError(f"it declares {declared:,} bytes and has {size:,}")
            require_room(declared, size, path)
            file.seek(0)
            values = np.lib.format.read_array(file, allow_pickle=False)
    except DataError:
        raise
    except DAMAGE as error:
        if "Object arrays" in str(error):
            raise DataError(
                f"{str(path)!r} holds pickled Python objects, which can run any program when they are read. "
                "worldrex needs plain numbers: save the matrix with a numeric dtype, rows of equal width."
            ) from error
        raise damaged(path, "NPY", error) from error
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise DataError(
            f"{str(path)!r} has an array of shape {values.shape} and type {values.dtype}. worldrex needs a matrix of "
            "numbers with a record in each row, [obs | action | next_obs | reward | terminal | policy]; for arrays of "
            "their own use NPZ, named as the columns."
        )
    return values


def _widths(columns: int, options: LoadOptions, path: Path) -> tuple[int, int]:
    obs, act = options.obs_dims, options.action_dims
    if obs is not None and act is not None and obs > 0 and act > 0 and 2 * obs + act + SINGLE == columns:
        return obs, act
    rest = columns - SINGLE
    widest = (rest - 1) // 2
    alike = {obs} if obs is not None else set()
    alike |= {(rest - act) // 2} if act is not None and (rest - act) % 2 == 0 else set()
    fitting = range(widest, max(widest - MOST_FITTING, 0), -1)
    near = [(o, rest - 2 * o) for o in sorted(o for o in alike if 0 < o <= widest)[::-1] or fitting]
    fits = some_of([f"obs_dims {o} with action_dims {a}" for o, a in near]) or "nothing, for it is too narrow"
    given = "no widths" if obs is None and act is None else f"obs_dims {obs} and action_dims {act}"
    raise DataError(
        f"{str(path)!r} is a matrix of {columns} columns, and there came {given}. worldrex needs both, such that "
        f"[obs | action | next_obs | reward | terminal | policy] = 2 · obs_dims + action_dims + {SINGLE} = {columns}: "
        f"{fits} would fit."
    )
