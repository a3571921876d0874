"""Tables that are cut into shards: 2 simulated devices, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from worldrex.dynamics import Features, TrainConfig, first_of_episode

SCRIPT = """
import sys
from functools import partial
import jax
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_disable_most_optimizations", True)
import numpy as np
from jax.sharding import PartitionSpec as P
from tests.dynamics.gust import gust_log
from tests.dynamics.test_shards import CONFIGS, RECORDS
from worldrex.dynamics import layout
from worldrex.dynamics.programs import tables_spec
from worldrex.dynamics.tables import RECORD_AXIS, take
log = gust_log().rows(slice(0, RECORDS))
log.terminated[:] = log.obs[:, 0] > 1
rng = np.random.default_rng(0)
# Both ends of the log and of the cut, and the first steps of episodes beyond it.
rows = np.concatenate([rng.integers(RECORDS, size=55), [0, 1, 798, 799, 800, 801, RECORDS - 1]]).astype(np.int32)
mask = rng.random(len(rows)) < 0.7
found = {}
for number, config in enumerate(CONFIGS):
    for given in (None, mask):
        for shards in (1, 2):
            tables, _ = layout.tables_of(log, [()], config, shards)
            part = partial(take, features=config.features, shards=shards)
            spec = tables_spec(tables, shards)
            cut = P(RECORD_AXIS) if shards > 1 else P()
            taken = jax.jit(jax.shard_map(
                part, mesh=layout.mesh_of(shards), in_specs=(spec, P(), P()), out_specs=cut, check_vma=False
            ))(tables, rows, given)
            for name, column in taken._asdict().items():
                if column is not None:
                    found[f"{number} {given is not None} {shards} {name}"] = np.asarray(column)
    found[f"{number} first"] = np.array([tables.obs.shape[0], tables.first is None])
np.savez(sys.argv[1], rows=rows, **found)
"""
RECORDS = 1597
CONFIGS = (
    TrainConfig(),
    TrainConfig(features=Features(history=3)),
    TrainConfig(features=Features(history=4, angles=(0,), masked=(1,), absolute=(1,))),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What one and two devices take, by configuration, whether masked, shards and column."""
    file, root = tmp_path_factory.mktemp("shards") / "batches.npz", Path(__file__).parents[2]
    paths = os.pathsep.join(filter(None, [str(root), *sys.path]))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, file], env=os.environ | {"JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": paths},
        cwd=root, stderr=subprocess.PIPE, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(file) as content:
        return dict(content)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_two_shards_take_the_batch_of_one(found: dict[str, np.ndarray], number: int, masked: bool):
    np.testing.assert_array_equal(found[f"{number} first"], [1598, CONFIGS[number].features.history == 1])
    one, two = (
        {name: found[f"{number} {masked} {shards} {name}"] for name in ("inputs", "outputs", "terminated", "behavior")}
        for shards in (1, 2)
    )
    assert len(one["inputs"]) == 62
    for name, column in one.items():
        np.testing.assert_array_equal(two[name], column)
    assert len(np.unique(one["behavior"])) == 4
    assert 0 < one["terminated"].sum() < 62
    features, rows = CONFIGS[number].features, found["rows"]
    log = gust_log().rows(slice(0, RECORDS))
    inputs = features.inputs(*features.past(log, rows, first_of_episode(log.episode)))
    np.testing.assert_allclose(one["inputs"], inputs, atol=1e-6)
    outputs = features.outputs(log.obs[rows], log.next_obs[rows], log.reward[rows])
    np.testing.assert_allclose(one["outputs"], outputs, atol=1e-6)
    counted = found[f"{number} {masked} 2 mask"]
    np.testing.assert_array_equal(counted, found[f"{number} True 1 mask"] if masked else np.ones(62, bool))
