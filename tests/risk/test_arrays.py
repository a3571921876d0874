import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import assert_moments, loop_moments
from worldrex import risk
from worldrex.risk.arrays import framework_of

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


def test_importing_risk_takes_a_moment():
    program = "import time; start = time.process_time(); import worldrex.risk; print(time.process_time() - start)"
    answers = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(3)
    ]
    assert min(float(answer.stdout) for answer in answers) < 0.3  # of a busy machine


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
    m = framework.values(lambda *xs: risk.group_moments(*xs, 2))(losses, framework.array(np.zeros(5000), "int32"))
    assert {framework.dtype_of(x) for x in m} == {"float32"}
    np.testing.assert_array_equal(framework.numpy(m.count), [[5000, 0]] * 2)
    np.testing.assert_array_equal(framework.numpy(m.mean), [[1, 0]] * 2)
    assert framework.dtype_of(risk.objective(m)) == "float32"


@pytest.mark.parametrize("x", [[1.0, 2.0], (1.0,), 1.0, None, "losses"])
def test_what_is_no_array_is_refused_by_name(x):
    with pytest.raises(risk.RiskError, match=rf"^losses: .* TensorFlow, got builtins\.{type(x).__name__}"):
        risk.group_moments(x, np.zeros(2, int), 1)
    with pytest.raises(risk.RiskError, match=rf"^groups: .* TensorFlow, got builtins\.{type(x).__name__}"):
        risk.group_moments(np.ones(2), x, 1)
    assert issubclass(risk.RiskError, ValueError)


def test_a_framework_is_found_once_and_its_values_are_seen(framework):
    x, mask = framework.array([[3, 1, 7]], "int32"), framework.array([True, True, False], "bool")
    xp = framework_of(x)
    assert xp is framework_of(framework.array([3.0]))
    assert xp.bounds(x, None) == (1, 7)
    for counted in (mask, np.array([True, True, False])):
        assert xp.bounds(x, counted) == (1, 3)
    assert xp.bounds(x, framework.array([False] * 3, "bool")) is None


def test_a_tracer_has_no_values_yet(compiling):
    seen = []

    def look(x):
        seen.append(framework_of(x).bounds(x, None))
        return x

    compiling.compiled(look)(compiling.array([1, 2], "int32"))
    jax.vmap(look)(jnp.ones(2))
    assert seen == [None, None]


@pytest.mark.torch
def test_torch_values_are_not_looked_at_while_it_compiles(monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    m = risk.group_moments(torch.ones(4), torch.tensor([0, 7, 1, -1]), 2)
    assert m.count.tolist() == [1, 1]


@pytest.mark.torch
def test_torch_values_that_cannot_be_seen_are_left_to_count():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    losses, groups = torch.tensor(LOSSES), torch.tensor(GROUPS)
    rows = torch.func.vmap(torch.func.vmap(lambda losses, groups: risk.group_moments(losses, groups, 4)))(
        losses, groups
    )
    assert_moments(rows, loop_moments(LOSSES, GROUPS, 4), rtol=1e-12)
    assert risk.group_moments(losses.to("meta"), groups.to("meta"), 4).mean.shape == (2, 3, 4)


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
    compiled = [tf.function(lambda: risk.group_moments(losses, groups, 4), autograph=x)() for x in (True, False)]
    for m in (eager, *compiled):
        assert_moments(m, loop_moments(LOSSES, GROUPS, 4), rtol=1e-12)
