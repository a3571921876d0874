"""The seam to the array frameworks: whose array is this?

An array can only come from a framework that its caller has imported, so `sys.modules` has it.
"""

import sys

from worldrex.risk.numpy_arrays import Array, Jax, NumpyLike, RiskError
from worldrex.risk.tensorflow_arrays import TensorFlow
from worldrex.risk.torch_arrays import Torch

__all__ = ["Array", "Framework", "RiskError", "bounds_of", "framework_of"]

Framework = NumpyLike | Jax | Torch | TensorFlow

_FOUND: dict[str, Framework] = {}
_OF_TYPE: dict[type, Framework] = {}


def bounds_of(x: Array, counted: Array | None) -> tuple[int | float, int | float] | None:
    """The smallest and largest of the values that count; None where there are none, or they cannot be looked at now."""
    mine = framework_of(x)
    if counted is None or framework_of(counted) is mine:
        return mine.bounds(x, counted)
    values, where = mine.host(x), framework_of(counted).host(counted)
    return None if values is None or where is None else framework_of(values).bounds(values, where)


def framework_of(x: Array, name: str = "") -> Framework:
    """The operations for the framework that `x` comes from.

    **Raises:** `RiskError`, with the argument's `name`, if `x` is not an array of NumPy, JAX, PyTorch or TensorFlow.
    """
    known = _OF_TYPE.get(type(x))
    if known is not None:
        return known
    for framework, is_ours, make in (
        ("numpy", lambda m: isinstance(x, (m.ndarray, m.generic)), NumpyLike),
        ("jax", lambda m: isinstance(x, m.Array), Jax),
        ("torch", lambda m: isinstance(x, m.Tensor), Torch),
        ("tensorflow", lambda m: isinstance(x, (m.Tensor, m.Variable)), TensorFlow),
    ):
        module = sys.modules.get(framework)
        if module is not None and is_ours(module):
            if framework not in _FOUND:
                _FOUND[framework] = make(module)
            _OF_TYPE[type(x)] = _FOUND[framework]
            return _FOUND[framework]
    raise RiskError(
        f"{name + ': ' if name else ''}expected an array of NumPy, JAX, PyTorch or TensorFlow, got "
        f"{type(x).__module__}.{type(x).__qualname__}; convert it first"
    )
