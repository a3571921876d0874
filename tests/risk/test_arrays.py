import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import CASES, RTOL, assert_moments, loop_moments
from worldrex import risk
from worldrex.risk.arrays import concrete, framework_of

LOSSES = np.random.default_rng(0).normal(2, 1, (2, 3, 11))
GROUPS = np.random.default_rng(1).integers(0, 4, (2, 3, 11))
MASK = np.random.default_rng(2).random((2, 3, 11)) < 0.7


@pytest.mark.parametrize(
    "use",
    [
        "pass",
        "m = risk.group_moments(np.ones(4), np.array([0, 1, 1, 0]), 2); risk.objective(m); risk.mean_over_models(m)",
    ],
)
def test_importing_and_using_risk_imports_no_framework(use):
    program = (
        f"import sys, numpy as np; from worldrex import risk; {use};"
        "print(sorted({'jax', 'torch', 'tensorflow', 'optax', 'scipy'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


def all_answers(losses, groups, mask):
    m = risk.group_moments(losses, groups, 4, mask)
    objectives = [risk.objective(m, penalty=p, weight=0.1, debiased=debiased) for p, debiased in CASES]
    return [*m, *risk.merge(m, m), risk.mean_over_models(m), *objectives]


@pytest.mark.parametrize("compiled", [False, True])
def test_every_framework_agrees_with_numpy_in_its_own_arrays_of_the_losses_dtype(framework, compiled):
    referee = all_answers(LOSSES, GROUPS, MASK)
    assert_moments(referee[:3], loop_moments(LOSSES, GROUPS, 4, MASK), rtol=1e-12)
    for dtype in framework.dtypes:
        arrays = framework.array(LOSSES, dtype), framework.array(GROUPS, "int32"), framework.array(MASK, "bool")
        for got, want in zip(
            (framework.compiled(all_answers) if compiled else all_answers)(*arrays), referee, strict=True
        ):
            assert isinstance(got, framework.kind)
            assert framework.dtype_of(got) == dtype
            np.testing.assert_allclose(framework.numpy(got), want, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_ids_of_any_integer_type(framework, dtype):
    groups = GROUPS.astype(dtype) if framework.name == "jax" else framework.array(GROUPS, dtype)
    m = risk.group_moments(framework.array(LOSSES), groups, 4)
    assert_moments(m, loop_moments(LOSSES, GROUPS, 4), rtol=1e-5, framework=framework)


def test_ids_and_mask_may_be_numpy_arrays_even_read_only_ones(framework):
    groups, mask = GROUPS.copy(), MASK.copy()
    groups.flags.writeable = mask.flags.writeable = False
    m = risk.group_moments(framework.array(LOSSES), groups, 4, mask)
    assert_moments(m, loop_moments(LOSSES, GROUPS, 4, MASK), rtol=1e-5, framework=framework)
    assert not groups.flags.writeable


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_accumulates_in_float32(framework, dtype):
    # 5000 ones: float16 would stick at 2048 and bfloat16 at 256.
    losses = framework.array(np.ones((2, 5000)), dtype)
    m = framework.moments(losses, framework.array(np.zeros(5000), "int32"), 2)
    assert {framework.dtype_of(x) for x in m} == {"float32"}
    np.testing.assert_array_equal(framework.numpy(m.count), [[5000, 0]] * 2)
    np.testing.assert_array_equal(framework.numpy(m.mean), [[1, 0]] * 2)
    assert framework.dtype_of(risk.objective(m)) == "float32"


@pytest.mark.parametrize("x", [[1.0, 2.0], (1.0,), 1.0, None, "losses"])
def test_what_is_no_array_is_refused_by_name(x):
    with pytest.raises(risk.RiskError, match=rf"NumPy, JAX, PyTorch or TensorFlow, got builtins\.{type(x).__name__}"):
        risk.group_moments(x, np.zeros(2, int), 1)
    assert issubclass(risk.RiskError, ValueError)


def test_a_framework_is_found_once_and_its_values_are_seen(framework):
    x = framework.array([1.0, 2.0])
    assert framework_of(x) is framework_of(framework.array([3.0]))
    np.testing.assert_array_equal(concrete(x), [1.0, 2.0])


def test_a_tracer_has_no_values_yet():
    seen = []
    jax.jit(lambda x: seen.append(concrete(x)) or x)(jnp.ones(2))
    jax.vmap(lambda x: seen.append(concrete(x)) or x)(jnp.ones(2))
    assert seen == [None, None]


@pytest.mark.torch
def test_torch_values_that_cannot_be_seen_are_left_to_count():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    losses, groups = torch.tensor(LOSSES), torch.tensor(GROUPS)
    rows = torch.func.vmap(torch.func.vmap(lambda losses, groups: risk.group_moments(losses, groups, 4)))(
        losses, groups
    )
    assert_moments(rows, loop_moments(LOSSES, GROUPS, 4), rtol=1e-12)
    assert risk.group_moments(losses.to("meta"), groups.to("meta"), 4).mean.shape == (2, 3, 4)


@pytest.mark.torch
def test_torch_ids_on_a_device_are_checked_through_the_host(monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")

    class OnDevice(torch.Tensor):
        """As a CUDA tensor: NumPy cannot read it before `.cpu()`."""

        def numpy(self):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

        def cpu(self):
            return self.as_subclass(torch.Tensor)

    groups = torch.tensor([0, 3]).as_subclass(OnDevice)
    assert risk.group_moments(torch.ones(2), groups, 4).count.tolist() == [1, 0, 0, 1]
    with pytest.raises(risk.RiskError, match="ids from 0 to 3"):
        risk.group_moments(torch.ones(2), groups, 3)


@pytest.mark.tensorflow
def test_tensorflow_functions_with_an_unknown_number_of_rows_and_records():
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.float64),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None, None], tf.bool),
        ]
    )
    def moments(losses, groups, mask):
        m = risk.group_moments(losses, groups, 4, mask)
        return *m, risk.mean_over_models(m), risk.objective(m)

    for rows, records in ((2, 11), (1, 5), (3, 0)):
        losses, groups, mask = (
            np.resize(LOSSES, (rows, records)),
            GROUPS[0, 0, :records],
            np.resize(MASK, (rows, records)),
        )
        *m, means, objective = moments(*map(tf.constant, (losses, groups, mask)))
        assert_moments(m, loop_moments(losses, groups, 4, mask), rtol=1e-12)
        expected = risk.group_moments(losses, groups, 4, mask)
        np.testing.assert_allclose(means, risk.mean_over_models(expected), rtol=1e-12)
        np.testing.assert_allclose(objective, risk.objective(expected), rtol=1e-12)


@pytest.mark.tensorflow
def test_tensorflow_variables_are_arrays():
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    losses, groups = tf.Variable(LOSSES), tf.Variable(GROUPS)
    eager = risk.group_moments(losses, groups, 4)
    compiled = tf.function(lambda: risk.group_moments(losses, groups, 4))()
    for m in (eager, compiled):
        assert_moments(m, loop_moments(LOSSES, GROUPS, 4), rtol=1e-12)
