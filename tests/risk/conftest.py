"""One contract for every array framework, with NumPy in float64 as the referee."""

import importlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from worldrex import risk
from worldrex.risk.arrays import framework_of
from worldrex.risk.moments import GroupMoments, Moments

CASES: dict[str, dict[str, Any]] = {
    "none": {"penalty": "none"},
    "variance": {"penalty": "variance"},
    "plain variance": {"penalty": "variance", "debiased": False},
    "std": {"penalty": "std"},
    "plain std": {"penalty": "std", "debiased": False},
    "mad": {"penalty": "mad"},
    "worst": {"penalty": "worst"},
    "irm": {"penalty": "irm"},
    "plain irm": {"penalty": "irm", "debiased": False},
    "group_dro": {"penalty": "group_dro"},
    "cvar": {"penalty": "cvar"},
    "cvar of a third": {"penalty": "cvar", "alpha": 0.3},
    "quantile": {"penalty": "quantile"},
    "low quantile": {"penalty": "quantile", "alpha": 0.1},
    "gaussian quantile": {"penalty": "quantile", "alpha": 0.9, "density": "gaussian"},
}
"""Each penalty, debiased and plain, with each of its options; `objective`'s arguments."""
LOG_Q = (-1.0, -0.2, -3.0, -1.5, -0.7, -2.0)
"""GroupDRO's state in the tests, where another is not asked for; it need not be normalized."""
SPREADS = tuple(case for case in CASES if case not in ("none", "irm", "plain irm", "low quantile"))
"""The cases whose plain form is 0 if the risks are equal and positive where they are not enough alike."""

MARKS = {"torch": [pytest.mark.torch], "tensorflow": [pytest.mark.tensorflow]}
RTOL = {"float32": 1e-5, "float64": 1e-12}
Function = Callable[..., Any]


@dataclass(frozen=True)
class Framework:
    """How tests make an array, read it, differentiate and compile.

    A mode makes of `f(x, *others) -> [..., ]` a function that gives its values and the gradient of their sum in x.
    """

    name: str
    array: Callable[..., Any]
    numpy: Callable[[Any], np.ndarray]
    stack: Callable[[Any], Any]
    kind: type
    modes: dict[str, Callable[[Function], Function]]
    quick: str = "eager"
    """The mode for tests that are not about modes."""
    compiled: Callable[[Function], Function] = field(default=lambda f: f)
    precise: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Inside it, arrays may be float64."""

    def moments(self, losses: Any, groups: Any, num_groups: int, mask: Any = None, weights: Any = None) -> Moments:
        """`group_moments` of what NumPy can read, float32 where it does not say."""
        arrays = self.arrays(losses, groups, mask, weights)
        jitted = JITTED_MOMENTS if self.name == "jax" else risk.group_moments
        return jitted(arrays[0], arrays[1], num_groups, arrays[2], weights=arrays[3])

    def arrays(self, losses: Any, groups: Any, mask: Any = None, weights: Any = None, dtype: str = "float32") -> Any:
        return (
            self.array(losses, dtype),
            self.array(groups, "int32"),
            None if mask is None else self.array(mask, "bool"),
            None if weights is None else self.array(weights, dtype),
        )

    def gradient(self, f: Function, x: Any, *others: Any) -> np.ndarray:
        return self.numpy(self.modes[self.quick](f)(x, *others)[1])

    def values(self, f: Function) -> Function:
        """`f`, compiled where that is quicker than operation by operation."""
        return self.compiled(f) if self.name == "jax" else f

    def dtype_of(self, x: Any) -> str:
        return str(x.dtype).split("'")[1] if self.name == "tensorflow" else str(x.dtype).removeprefix("torch.")


JITTED_MOMENTS = jax.jit(risk.group_moments, static_argnums=2)


def differences(f: Function, x: np.ndarray, *others: Any, step: float = 1e-5) -> np.ndarray:
    """Gradient of `f(x [..., n], *others) -> [...]` in float64, by central differences, all at once."""
    moves = step * np.eye(x.shape[-1])
    shape = (*x.shape, x.shape[-1])
    others = tuple(None if y is None else np.broadcast_to(np.asarray(y)[..., None, :], shape) for y in others)
    up, down = (f(np.asarray(x, float)[..., None, :] + sign * moves, *others) for sign in (1, -1))
    return (up - down) / (2 * step)


def use_numpy() -> Framework:
    def values_and_gradient(f: Function) -> Function:
        return lambda x, *others: (f(x, *others), differences(f, x, *others))

    return Framework(
        "numpy",
        lambda x, dtype="float32": np.asarray(x, dtype),
        np.asarray,
        np.stack,
        np.ndarray,
        {"eager": values_and_gradient},
    )


def use_jax() -> Framework:
    def values_and_gradient(f: Function) -> Function:
        return lambda x, *others: (f(x, *others), jax.grad(lambda x: jnp.sum(f(x, *others)))(x))

    return Framework(
        "jax",
        lambda x, dtype="float32": jnp.asarray(x, dtype),
        np.asarray,
        jnp.stack,
        jax.Array,
        {
            "eager": values_and_gradient,
            "jit": lambda f: jax.jit(values_and_gradient(f)),
            "vmap": lambda f: jax.jit(jax.vmap(values_and_gradient(f), in_axes=1, out_axes=1)),
        },
        "jit",  # operation by operation, each new shape would take seconds to compile
        jax.jit,
        lambda: jax.enable_x64(True),
    )


def use_torch(torch: ModuleType) -> Framework:
    def array(x: Any, dtype: str = "float32") -> Any:
        values = np.asarray(x)
        return torch.tensor(values.astype(np.float64) if values.dtype == ml_dtypes.bfloat16 else values).to(
            getattr(torch, dtype)
        )

    def values_and_gradient(f: Function) -> Function:
        def both(x: Any, *others: Any) -> Any:
            x = x.detach().clone().requires_grad_()
            values = f(x, *others)
            return values.detach(), torch.autograd.grad(values.sum(), x)[0]

        return both

    def one_row(f: Function) -> Function:
        return lambda x, *others: (f(x, *others), torch.func.grad(lambda x: f(x, *others).sum())(x))

    def compiled(backend: str) -> Callable[[Function], Function]:
        return lambda f: values_and_gradient(torch.compile(f, fullgraph=True, backend=backend))

    return Framework(
        "torch",
        array,
        lambda x: x.detach().numpy(),
        torch.stack,
        torch.Tensor,
        {
            "eager": values_and_gradient,
            "compile": compiled("eager"),
            "aot": compiled("aot_eager"),
            "vmap": lambda f: torch.func.vmap(one_row(f), in_dims=1, out_dims=1),
        },
    )


def use_tensorflow(tf: ModuleType) -> Framework:
    def values_and_gradient(f: Function) -> Function:
        def both(x: Any, *others: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                values = f(x, *others)
            return values, tape.gradient(values, x, unconnected_gradients="zero")

        return both

    return Framework(
        "tensorflow",
        lambda x, dtype="float32": tf.constant(np.asarray(x).astype(tf.as_dtype(dtype).as_numpy_dtype)),
        lambda x: x.numpy(),
        tf.stack,
        tf.Tensor,
        {"eager": values_and_gradient, "function": lambda f: tf.function(values_and_gradient(f))},
        compiled=tf.function,
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


def options_of(m: Moments, case: str) -> dict[str, Any]:
    """The arguments of a case, with GroupDRO's state in the framework and shape of the moments."""
    options = dict(CASES[case])
    if options["penalty"] == "group_dro":
        xp = framework_of(m.mean)
        log_q = xp.cast(LOG_Q[: m.mean.shape[-1]], m.mean)
        options["state"] = risk.group_dro.State(xp.broadcast(log_q, m.mean))
    return options


def objective_of(m: Moments, case: str, **more: Any) -> Any:
    """The objective of a case; irm takes the losses for derivatives too."""
    options = options_of(m, case) | more
    return risk.objective(m, **options, **({"scales": m} if options["penalty"] == "irm" else {}))


def penalty_of(m: Moments, case: str, **more: Any) -> Any:
    return risk.penalty_value(m, **options_of(m, case) | more)


def objective_of_each(m: Moments, weight: float = 3.0, **more: Any) -> list[Any]:
    """The objective of row k with penalty k of `CASES`, so that one gradient shows those of all."""
    return [objective_of(type(m)(*(x[row] for x in m)), case, weight=weight, **more) for row, case in enumerate(CASES)]


def for_each_case(x: Any) -> np.ndarray:
    """The same array once for each case, on an axis of its own in front."""
    return np.tile(x, (len(CASES), *[1] * np.ndim(x)))


def loop_moments(
    losses: Any, groups: Any, num_groups: int, mask: Any = None, weights: Any = None
) -> tuple[np.ndarray, ...]:
    """Count, mean and m2, with weights the sum of their squares too, by a loop in extended precision."""
    losses = np.asarray(losses, np.longdouble)
    groups = np.broadcast_to(groups, losses.shape)
    counted = np.broadcast_to(True if mask is None else mask, losses.shape)
    shares = np.broadcast_to(np.longdouble(1) if weights is None else np.asarray(weights, np.longdouble), losses.shape)
    moments = np.zeros((4, *losses.shape[:-1], num_groups))
    for row in np.ndindex(losses.shape[:-1]):
        for group in range(num_groups):
            own = counted[row] & (groups[row] == group) & (shares[row] > 0)
            if own.any():
                x, w = losses[row][own], shares[row][own]
                mean = (w * x).sum() / w.sum()
                moments[(slice(None), *row, group)] = w.sum(), mean, (w * (x - mean) ** 2).sum(), (w * w).sum()
    return tuple(moments[:3] if weights is None else moments)


def assert_moments(m: Any, expected: Any, *, rtol: float, framework: Framework | None = None) -> None:
    """Mean and m2 to `rtol`, of the largest where a value is near 0; the count exactly, where records have no weights."""
    for got, want in zip(m, expected, strict=True):
        got = got if framework is None else framework.numpy(got)
        want = np.asarray(want)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max(initial=0.0))
    if len(m) == len(GroupMoments._fields):
        np.testing.assert_array_equal(m[0] if framework is None else framework.numpy(m[0]), expected[0])


def assert_mean(values: Any, expected: float, errors: float = 3.0) -> None:
    """The mean is the expected one within 3 standard errors."""
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - expected) < errors * error, (np.mean(values), expected, error)


def assert_runs_alone(program: str) -> None:
    """In a process of its own: `torch.compile` cannot trace the type checks of the tests, and nothing has run before it there."""
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert (answer.returncode, answer.stderr[-3000:]) == (0, "")
