"""The seam to the array frameworks: whose array is this?

An array can only come from a framework that its caller has imported, so `sys.modules` has it.
"""

import sys

from worldrex.risk.frameworks import Array, Jax, NumpyLike, RiskError, TensorFlow, Torch

__all__ = ["Array", "Framework", "RiskError", "framework_of"]

Framework = NumpyLike | Jax | Torch | TensorFlow

_FOUND: dict[str, Framework] = {}
_OF_TYPE: dict[type, Framework] = {}


def framework_of(x: Array) -> Framework:
    """The operations for the framework that `x` comes from.

    **Raises:** `RiskError` if `x` is not an array of NumPy, JAX, PyTorch or TensorFlow.
    """
    known = _OF_TYPE.get(type(x))
    if known is not None:
        return known
    for name, is_ours, make in (
        ("numpy", lambda m: isinstance(x, (m.ndarray, m.generic)), NumpyLike),
        ("jax", lambda m: isinstance(x, m.Array), Jax),
        ("torch", lambda m: isinstance(x, m.Tensor), Torch),
        ("tensorflow", lambda m: isinstance(x, (m.Tensor, m.Variable)), TensorFlow),
    ):
        module = sys.modules.get(name)
        if module is not None and is_ours(module):
            if name not in _FOUND:
                _FOUND[name] = make(module)
            _OF_TYPE[type(x)] = _FOUND[name]
            return _FOUND[name]
    raise RiskError(
        f"expected an array of NumPy, JAX, PyTorch or TensorFlow, got {type(x).__module__}.{type(x).__qualname__}"
    )
