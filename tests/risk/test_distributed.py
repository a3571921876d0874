"""`all_reduce` over simulated devices and over processes: as one device, where the mean of the devices' is wrong."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import assert_moments, loop_moments
from worldrex import risk

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
LOSSES, GROUPS, WEIGHTS = RNG.gamma(2, 1, (4, 30)), RNG.integers(0, 5, (4, 30)), RNG.uniform(0.5, 2, (4, 30))


def run(module, *arguments, **environment):
    """Start the module in a process for each of the arguments; all of them answer OK, or none outlives the test."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *words], cwd=ROOT, env=os.environ | environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for words in arguments
    ]  # fmt: skip
    try:
        answers = [process.communicate(timeout=150) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [out.strip()[-2:] for out, _ in answers] == ["OK"] * len(answers), [err[-3000:] for _, err in answers]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_eight_devices_are_one():
    run("tests.risk.distributed_jax", [], JAX_PLATFORMS="cpu", JAX_NUM_CPU_DEVICES="8")


def test_two_processes_of_jax_are_one():
    address = f"127.0.0.1:{free_port()}"
    words = [[address, str(process)] for process in range(2)]
    run("tests.risk.distributed_jax", *words, JAX_PLATFORMS="cpu", JAX_NUM_CPU_DEVICES="1")


@pytest.mark.torch
def test_two_processes_of_torch_are_one(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    run("tests.risk.distributed_torch", *[[str(tmp_path / "store"), str(process)] for process in range(2)])


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["records", "weighted"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_named_axis_of_vmap_is_a_merge(weights, offset):
    losses = (LOSSES + offset).astype(np.float32)

    def whole(losses, groups, *weights):
        m = risk.group_moments(losses, groups, 6, weights=weights[0] if weights else None)
        return risk.all_reduce(m, "part")

    columns = [jnp.asarray(losses), jnp.asarray(GROUPS)]
    columns += [] if weights is None else [jnp.asarray(weights, jnp.float32)]
    m = jax.jit(jax.vmap(whole, axis_name="part"))(*columns)
    wanted = loop_moments(
        losses.reshape(-1), GROUPS.reshape(-1), 6, None, None if weights is None else weights.reshape(-1)
    )
    for part in range(4):
        # The parts' means are rounded: m2 is as good as those, a million spreads times float32's rounding.
        assert_moments([x[part] for x in m], wanted, rtol=1e-5 if not offset else 0.06)


@pytest.mark.torch
def test_one_process_of_torch_is_itself():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        losses, groups = torch.tensor(LOSSES, requires_grad=True), torch.tensor(GROUPS)
        m = risk.group_moments(losses, groups, 6)
        reduced = risk.all_reduce(m)
        assert_moments([x.detach() for x in reduced], [x.detach().numpy() for x in m], rtol=1e-12)
        gradients = [torch.autograd.grad(risk.objective(x).sum(), losses, retain_graph=True)[0] for x in (m, reduced)]
        np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-10, atol=1e-12)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("name", ["numpy", pytest.param("tensorflow", marks=pytest.mark.tensorflow)])
def test_frameworks_without_a_collective_say_so(name):
    losses = LOSSES
    if name == "tensorflow":
        losses = pytest.importorskip("tensorflow", reason="tensorflow is not installed").constant(LOSSES)
    with pytest.raises(risk.RiskError, match=f"no collective for {name}.*use `merge`"):
        risk.all_reduce(risk.group_moments(losses, GROUPS, 6))
