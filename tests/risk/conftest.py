"""One contract for every array framework, with NumPy in float64 as the referee."""

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from worldrex.risk import PENALTIES, GroupMoments, group_moments, objective

MARKS = {"torch": [pytest.mark.torch], "tensorflow": [pytest.mark.tensorflow]}
CASES = tuple(product(PENALTIES, (True, False)))
"""Each penalty, debiased and plain."""
JITTED_MOMENTS = jax.jit(group_moments, static_argnums=2)
RTOL = {"float32": 1e-5, "float64": 1e-12}


@dataclass(frozen=True)
class Framework:
    """How tests make an array, read it, differentiate, and compile, always or where that is quicker."""

    name: str
    array: Callable[..., Any]
    numpy: Callable[[Any], np.ndarray]
    grad: Callable[[Callable[[Any], Any], Any], np.ndarray]
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]]
    kind: type
    quick: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda f: f
    dtypes: tuple[str, ...] = ("float32", "float64")

    def moments(self, losses: Any, groups: Any, num_groups: int, mask: Any = None) -> GroupMoments:
        return (JITTED_MOMENTS if self.name == "jax" else group_moments)(losses, groups, num_groups, mask)

    def dtype_of(self, x: Any) -> str:
        return str(x.dtype).split("'")[1] if self.name == "tensorflow" else str(x.dtype).removeprefix("torch.")


def differences(f: Callable[[np.ndarray], Any], x: np.ndarray) -> np.ndarray:
    """Gradient of a function of float64 by central differences."""
    gradient, step = np.zeros_like(x), 1e-6
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += step
        down[at] -= step
        gradient[at] = (f(up) - f(down)) / (2 * step)
    return gradient


def use_numpy() -> Framework:
    def array(x: Any, dtype: str = "float64") -> np.ndarray:
        return np.asarray(x, dtype)

    return Framework("numpy", array, np.asarray, differences, lambda f: f, np.ndarray)


def use_jax() -> Framework:
    return Framework(
        "jax",
        lambda x, dtype="float32": jnp.asarray(x, dtype),
        np.asarray,
        lambda f, x: np.asarray(jax.jit(jax.grad(f))(x)),
        jax.jit,
        jax.Array,
        jax.jit,  # operation by operation, each new shape would take seconds to compile
        ("float32",),  # x64 stays off, as in training
    )


def use_torch(torch: ModuleType) -> Framework:
    def array(x: Any, dtype: str = "float32") -> Any:
        values = np.asarray(x)
        return torch.tensor(values.astype(np.float64) if values.dtype == ml_dtypes.bfloat16 else values).to(
            getattr(torch, dtype)
        )

    def grad(f: Callable[[Any], Any], x: Any) -> np.ndarray:
        x = x.detach().clone().requires_grad_()
        return torch.autograd.grad(f(x), x)[0].numpy()

    return Framework("torch", array, lambda x: x.detach().numpy(), grad, lambda f: f, torch.Tensor)


def use_tensorflow(tf: ModuleType) -> Framework:
    def grad(f: Callable[[Any], Any], x: Any) -> np.ndarray:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = f(x)
        return tape.gradient(value, x).numpy()

    return Framework(
        "tensorflow",
        lambda x, dtype="float32": tf.constant(np.asarray(x).astype(tf.as_dtype(dtype).as_numpy_dtype)),
        lambda x: x.numpy(),
        grad,
        tf.function,
        tf.Tensor,
    )


def use(name: str) -> Framework:
    if name in ("numpy", "jax"):
        return {"numpy": use_numpy, "jax": use_jax}[name]()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a framework warns of while it is imported is not ours
            module = importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed: `make test FRAMEWORKS={name}` installs it and tests with its arrays")
    return {"torch": use_torch, "tensorflow": use_tensorflow}[name](module)


def params(*names: str) -> list[Any]:
    return [pytest.param(name, marks=MARKS.get(name, [])) for name in names]


@pytest.fixture(params=params("numpy", "jax", "torch", "tensorflow"), scope="session")
def framework(request: pytest.FixtureRequest) -> Framework:
    """Each framework in turn; one that is not installed is skipped."""
    return use(request.param)


@pytest.fixture(params=params("jax", "torch", "tensorflow"), scope="session")
def differentiable(request: pytest.FixtureRequest) -> Framework:
    """Each framework with gradients in turn; `differences` referees."""
    return use(request.param)


@pytest.fixture(params=params("jax", "tensorflow"), scope="session")
def compiling(request: pytest.FixtureRequest) -> Framework:
    """Each framework that traces functions without seeing their values."""
    return use(request.param)


def loop_moments(
    losses: Any, groups: Any, num_groups: int, mask: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, mean and m2 by a loop over rows and groups in extended precision."""
    losses = np.asarray(losses, np.longdouble)
    groups = np.broadcast_to(groups, losses.shape)
    counted = np.broadcast_to(True if mask is None else mask, losses.shape)
    moments = np.zeros((3, *losses.shape[:-1], num_groups))
    for row in np.ndindex(losses.shape[:-1]):
        for group in range(num_groups):
            own = losses[row][counted[row] & (groups[row] == group)]
            if own.size:
                moments[(slice(None), *row, group)] = own.size, own.mean(), ((own - own.mean()) ** 2).sum()
    return tuple(moments)


def assert_moments(m: Any, expected: Any, *, rtol: float, framework: Framework | None = None) -> None:
    """Count exactly; mean and m2 to `rtol`, of the largest where a value is near 0."""
    for got, want in zip(m, expected, strict=True):
        got = got if framework is None else framework.numpy(got)
        want = np.asarray(want)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max(initial=0.0))
    np.testing.assert_array_equal(m[0] if framework is None else framework.numpy(m[0]), expected[0])


def objective_of_each(m: GroupMoments, weight: float = 3.0) -> list[Any]:
    """The objective of row k with penalty k of `CASES`, so that one gradient shows those of all."""
    return [
        objective(GroupMoments(*(x[row] for x in m)), penalty=penalty, debiased=debiased, weight=weight)
        for row, (penalty, debiased) in enumerate(CASES)
    ]
