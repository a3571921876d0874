"""Moments over simulated devices, or over two processes: `python -m tests.risk.distributed_jax [address process]`.

Prints OK where value and gradient of each penalty are those of one device.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tests.risk.conftest import CASES as EVERY_CASE
from tests.risk.conftest import objective_of
from worldrex import risk

AXIS = "device"
CASES = tuple(case for case in EVERY_CASE if case not in ("low quantile", "cvar of a third"))  # another alpha, no more
SHARDED, WHOLE = PartitionSpec(AXIS), PartitionSpec()


def data(records: int) -> tuple[np.ndarray, ...]:
    """Inputs, targets, groups and mask; not every device has each group."""
    rng = np.random.default_rng(0)
    groups = np.sort(rng.integers(0, 5, records)).astype(np.int32)
    x = rng.normal(size=records).astype(np.float32)
    return x, (x * (1 + groups) + rng.normal(size=records)).astype(np.float32), groups, rng.random(records) < 0.9


def objectives(slope, x, y, groups, mask, axis=None):
    """The objective of each case under a model y = slope x."""
    m = risk.group_moments((slope * x - y) ** 2, groups, 6, mask)
    m = m if axis is None else risk.all_reduce(m, axis)
    return jnp.stack([objective_of(m, case, weight=2.0) for case in CASES])


def check(arrays: tuple[np.ndarray, ...]) -> None:
    slope = np.float32(0.7)
    mesh = Mesh(np.array(jax.devices()), (AXIS,))
    spread = [
        jax.make_array_from_callback(a.shape, NamedSharding(mesh, SHARDED), lambda at, a=a: a[at]) for a in arrays
    ]
    on_each = partial(jax.shard_map, mesh=mesh, in_specs=(WHOLE, *[SHARDED] * 4), out_specs=WHOLE)

    def naive(slope, *arrays):
        return jax.lax.pmean(objectives(slope, *arrays), AXIS)

    def inside(slope, *arrays):
        """The gradient taken on each device, of a parameter that all of them have."""
        return jax.jacrev(partial(objectives, axis=AXIS))(slope, *arrays)

    one = jax.jit(lambda *a: (objectives(*a), jax.jacfwd(objectives)(*a)))(slope, *map(jnp.asarray, arrays))
    together = on_each(partial(objectives, axis=AXIS))
    values = jax.jit(lambda *a: (together(*a), jax.jacrev(together)(*a), on_each(inside)(*a), on_each(naive)(*a)))
    value, outer, inner, wrong = (np.asarray(z.addressable_data(0)) for z in values(slope, *spread))
    np.testing.assert_allclose(value, one[0], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(outer, one[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(inner, one[1], rtol=1e-4, atol=1e-4)
    gaps = dict(zip(CASES, np.abs(wrong - one[0]) / np.abs(one[0]), strict=True))
    assert min(gaps.values()) > 1e-3, gaps  # sorted records: no device has the whole's groups


if __name__ == "__main__":
    if len(sys.argv) > 1:
        jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
        assert jax.process_count() == 2
        assert len(jax.devices()) == 2 * len(jax.local_devices())
    else:
        assert len(jax.devices()) == 8
    check(data(8 * 50))
    print("OK")
