"""The records of one group: what the seed notebook did before the data is split among batches."""

from worldrex.risk.arrays import Array, RiskError, framework_of


def rows_of_group(data: Array, groups: Array, group: int) -> Array:
    """The rows of `data` whose group is `group`, in order: any number of them, none and one included.

    **Arguments:** `data`: `[record, ...]`; `groups`: `[record]` or `[record, 1]`, integer ids.

    **Returns:** `[row, ...]`, in the framework of `data`. **Raises:** `RiskError` for lengths that differ, and under
    JAX's `jit`, where the number of rows cannot be known: give `group_moments` a mask there.
    """
    xp = framework_of(data, "data")
    framework_of(groups, "groups")
    length = data.shape[0]
    if tuple(groups.shape) not in ((length,), (length, 1)):
        raise RiskError(f"groups has shape {tuple(groups.shape)}; expected ({length},), one id for each row of data")
    if not framework_of(groups).is_integer(groups):
        raise RiskError(f"groups has dtype {groups.dtype}; expected integer ids: cast them first")
    ids = xp.integers(groups, data)
    return xp.rows(data, (ids[:, 0] if len(ids.shape) == 2 else ids) == group)
