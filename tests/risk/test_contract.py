"""Every penalty with every option, in every framework and mode: all agree with NumPy in float64, or fail."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import (
    CASES,
    MARKS,
    assert_runs_alone,
    differences,
    for_each_case,
    objective_of,
    objective_of_each,
    use,
)
from worldrex import risk

RNG = np.random.default_rng(0)
GROUPS = np.array([[0, 0, 0, 1, 1, 1, 1, 3, 3, 3, 4, 4], [2, 2, 4, 4, 4, 4, 2, 0, 0, 4, 3, 2], [1] * 12, [0, 2] * 6])
LOSSES = RNG.gamma(2.0, 0.5, GROUPS.shape) + np.array([0.5, 2.5, 1.5, 5.0, 3.5])[GROUPS]
MASK = RNG.random(GROUPS.shape) < 0.85
WEIGHTS = RNG.uniform(0.5, 2.0, GROUPS.shape)
WEIGHTS[0, 4] = 0.0
DIRTY = np.where(MASK & (WEIGHTS > 0), LOSSES, np.resize([np.nan, np.inf, -np.inf], LOSSES.shape))


def plain_objectives(losses, groups, mask):
    m = risk.group_moments(losses, groups, 5, mask)
    return objective_of_each(m)


def weighted_objectives(losses, groups, mask, weights):
    m = risk.group_moments(losses, groups, 5, mask, weights=weights)
    return objective_of_each(m, reduce="pooled", rescale=True)


def stacked(framework, f):
    return lambda *arrays: framework.stack(f(*arrays))


@functools.cache
def referee(f, with_weights):
    arrays = [for_each_case(x) for x in (LOSSES, GROUPS, MASK, WEIGHTS)[: 4 if with_weights else 3]]
    values = lambda *arrays: np.stack(f(*arrays))  # noqa: E731
    # Where a record does not count, the slope is 0 whatever the loss is.
    return values(*arrays), differences(values, *arrays)


# (framework, mode, dtype): the weighted objectives in some, for each framework at least one of each.
RUNS = [
    ("numpy", "eager", "float64"),
    ("numpy", "eager", "float32"),
    ("jax", "eager", "float32"),
    ("jax", "jit", "float64"),
    ("jax", "vmap", "float32"),
    ("torch", "eager", "float32"),
    ("torch", "eager", "float64"),
    ("torch", "vmap", "float32"),
    ("tensorflow", "eager", "float32"),
    ("tensorflow", "eager", "float64"),
    ("tensorflow", "function", "float32"),
]
WITH_WEIGHTS = dict.fromkeys(
    [
        ("numpy", "eager", "float32"),
        ("jax", "vmap", "float32"),
        ("torch", "eager", "float64"),
        ("torch", "compile", "float32"),
        ("tensorflow", "eager", "float64"),
        ("tensorflow", "function", "float32"),
    ],
    weighted_objectives,
)


@pytest.mark.parametrize(
    ("name", "mode", "dtype"), [pytest.param(*run, marks=MARKS.get(run[0], []), id="-".join(run)) for run in RUNS]
)
def test_every_penalty_in_every_framework(name, mode, dtype):
    agree(name, mode, dtype)


@pytest.mark.torch
def test_every_penalty_under_torch_compile():
    pytest.importorskip("torch", reason="torch is not installed")
    assert_runs_alone("from tests.risk.test_contract import agree, COMPILED; [agree(*run) for run in COMPILED]")


COMPILED = [("torch", "compile", "float32"), ("torch", "aot", "float64")]


def agree(name, mode, dtype):
    """Values and gradients of one framework, mode and dtype are NumPy's."""
    f = WITH_WEIGHTS.get((name, mode, dtype), plain_objectives)
    framework, with_weights = use(name), f is weighted_objectives
    values, slopes = referee(f, with_weights)
    with framework.precise():
        losses = for_each_case(DIRTY if with_weights else np.where(MASK, LOSSES, np.nan))
        arrays = framework.array(losses, dtype), framework.array(for_each_case(GROUPS), "int32")
        arrays += (framework.array(for_each_case(MASK), "bool"),)
        if with_weights:
            arrays += (framework.array(for_each_case(WEIGHTS), dtype),)
        got, gradient = framework.modes[mode](stacked(framework, f))(*arrays)
        assert isinstance(got, framework.kind)
        assert framework.dtype_of(got) == dtype
        if name != "numpy":
            assert framework.dtype_of(gradient) == dtype
        got, gradient = framework.numpy(got), framework.numpy(gradient)
    rtol, slope_rtol = {"float32": (2e-5, 5e-5), "float64": (1e-10, 1e-6)}[dtype]
    for row, case in enumerate(CASES):
        np.testing.assert_allclose(got[row], values[row], rtol=rtol, atol=rtol, err_msg=case)
        if name != "numpy":
            np.testing.assert_allclose(gradient[row], slopes[row], rtol=slope_rtol, atol=slope_rtol, err_msg=case)
    if name != "numpy":
        np.testing.assert_array_equal(gradient[:, ~MASK], 0)


TWICE = ("variance", "plain variance", "std", "irm", "quantile", "gaussian quantile")
"""The cases whose second derivatives the mathematics has."""


def curved(x, groups, case):
    return objective_of(risk.group_moments(x, groups, 5), case)


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, [])) for name in ("jax", "torch")])
def test_second_derivatives_are_the_differences_of_gradients(name):
    framework, groups, losses = use(name), GROUPS[0], LOSSES[0]
    with framework.precise():
        x, ids = framework.array(losses, "float64"), framework.array(groups, "int32")

        if name == "jax":

            def both(x):
                values = lambda x: jnp.stack([curved(x, ids, case) for case in TWICE])  # noqa: E731
                return jax.jacrev(values)(x), jax.hessian(values)(x)

            both = jax.jit(both)
        else:
            torch = pytest.importorskip("torch")

            def both(x):
                pairs = [(lambda x, case=case: curved(x, ids, case)) for case in TWICE]
                x = x.clone().requires_grad_()
                slopes = [torch.autograd.grad(f(x), x)[0] for f in pairs]
                return torch.stack(slopes), torch.stack([torch.autograd.functional.hessian(f, x) for f in pairs])

        curvature = framework.numpy(both(x)[1])
        for i in range(len(losses)):
            move = framework.array(1e-5 * np.eye(len(losses))[i], "float64")
            up, down = (framework.numpy(both(x + sign * move)[0]) for sign in (1.0, -1.0))
            for row, case in enumerate(TWICE):
                want = (up[row] - down[row]) / 2e-5
                np.testing.assert_allclose(curvature[row, i], want, rtol=1e-5, atol=1e-7, err_msg=case)
    assert (np.abs(curvature).max((1, 2)) > 0.01).all()
