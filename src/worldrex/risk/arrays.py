"""The seam to the array frameworks: the few operations that risks need, in the framework of the caller's arrays.

No framework is imported here. An array can only come from a framework that its caller has imported, so
`sys.modules` has it.
"""

import sys
from typing import Any

import numpy as np

Array = Any
"""A NumPy, JAX, PyTorch or TensorFlow array."""


class RiskError(ValueError):
    """Arrays or names that `risk` cannot work with; the message says what came and what was expected."""


class _NumpyLike:
    """NumPy, and JAX through `jax.numpy`, which has the same names."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.where, self.sqrt, self.abs = xp.where, xp.sqrt, xp.abs

    def sum(self, x: Array) -> Array:
        return self.xp.sum(x, axis=-1, keepdims=True)

    def max(self, x: Array) -> Array:
        return self.xp.max(x, axis=-1, keepdims=True)

    def sum_over_models(self, x: Array) -> Array:
        return self.xp.sum(self.xp.reshape(x, (-1, x.shape[-1])), axis=0)

    def cast(self, x: Array, like: Array) -> Array:
        return self.xp.asarray(x, like.dtype)

    def integers(self, x: Array, like: Array) -> Array:
        del like
        return self.xp.asarray(x, self.xp.int32)

    def is_integer(self, x: Array) -> bool:
        return bool(self.xp.issubdtype(self.xp.asarray(x).dtype, self.xp.integer))

    def broadcast(self, x: Array, like: Array) -> Array:
        return self.xp.broadcast_to(x, like.shape)

    def concrete(self, x: Array) -> np.ndarray | None:
        return np.asarray(x)

    def accumulator(self, x: Array) -> Array:
        return self.xp.asarray(x, self.xp.float32) if x.dtype.itemsize < 4 else x

    def take(self, per_group: Array, slots: Array) -> Array:
        return self.xp.take_along_axis(per_group, slots, axis=-1)

    def group_sum(self, values: Array, slots: Array, num_slots: int) -> Array:
        rows = np.prod(values.shape[:-1], dtype=int)
        flat = slots.reshape(rows, slots.shape[-1]) + self.xp.arange(rows, dtype=slots.dtype)[:, None] * num_slots
        sums = self._scatter_add(values.reshape(-1), flat.reshape(-1), int(rows) * num_slots)
        return sums.reshape(*values.shape[:-1], num_slots)

    def _scatter_add(self, values: Array, slots: Array, num_slots: int) -> Array:
        return np.bincount(slots, weights=values, minlength=num_slots).astype(values.dtype)


class _Jax(_NumpyLike):
    def __init__(self, jax: Any) -> None:
        super().__init__(jax.numpy)
        self.tracer = jax.core.Tracer

    def concrete(self, x: Array) -> np.ndarray | None:
        return None if isinstance(x, self.tracer) else np.asarray(x)

    def _scatter_add(self, values: Array, slots: Array, num_slots: int) -> Array:
        return self.xp.zeros(num_slots, values.dtype).at[slots].add(values, mode="promise_in_bounds")


class _Torch:
    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.where, self.sqrt, self.abs = torch.where, torch.sqrt, torch.abs

    def sum(self, x: Array) -> Array:
        return x.sum(dim=-1, keepdim=True)

    def max(self, x: Array) -> Array:
        return self.torch.amax(x, dim=-1, keepdim=True)

    def sum_over_models(self, x: Array) -> Array:
        return x.reshape(-1, x.shape[-1]).sum(dim=0)

    def cast(self, x: Array, like: Array) -> Array:
        return self.torch.as_tensor(_writable(x), dtype=like.dtype, device=like.device)

    def integers(self, x: Array, like: Array) -> Array:
        return self.torch.as_tensor(_writable(x), device=like.device).long()

    def is_integer(self, x: Array) -> bool:
        dtype = x.dtype
        return not (dtype.is_floating_point or dtype.is_complex or dtype == self.torch.bool)

    def broadcast(self, x: Array, like: Array) -> Array:
        return self.torch.broadcast_to(x, like.shape)

    def concrete(self, x: Array) -> np.ndarray | None:
        try:
            return x.detach().cpu().numpy()
        except RuntimeError:  # under `torch.func.vmap`, or on the meta device
            return None

    def accumulator(self, x: Array) -> Array:
        return x.float() if x.element_size() < 4 else x

    def take(self, per_group: Array, slots: Array) -> Array:
        return self.torch.gather(per_group, -1, slots)

    def group_sum(self, values: Array, slots: Array, num_slots: int) -> Array:
        zeros = values.new_zeros((*values.shape[:-1], num_slots))
        return zeros.scatter_add(-1, slots, values)


def _writable(x: Array) -> Array:
    """A copy of a NumPy array that may not be written to, of which PyTorch would warn."""
    return x.copy() if isinstance(x, np.ndarray) and not x.flags.writeable else x


class _TensorFlow:
    def __init__(self, tf: Any) -> None:
        self.tf = tf
        self.where, self.sqrt, self.abs = tf.where, tf.sqrt, tf.abs

    def sum(self, x: Array) -> Array:
        return self.tf.reduce_sum(x, axis=-1, keepdims=True)

    def max(self, x: Array) -> Array:
        return self.tf.reduce_max(x, axis=-1, keepdims=True)

    def sum_over_models(self, x: Array) -> Array:
        return self.tf.reduce_sum(self.tf.reshape(x, (-1, x.shape[-1])), axis=0)

    def cast(self, x: Array, like: Array) -> Array:
        # `tf.cast` would take a Python number through float32.
        return self.tf.cast(x, like.dtype) if hasattr(x, "dtype") else self.tf.constant(x, like.dtype)

    def integers(self, x: Array, like: Array) -> Array:
        del like
        return self.tf.cast(x, self.tf.int32)

    def is_integer(self, x: Array) -> bool:
        return self.tf.convert_to_tensor(x).dtype.is_integer

    def broadcast(self, x: Array, like: Array) -> Array:
        return self.tf.broadcast_to(x, self.tf.shape(like))

    def concrete(self, x: Array) -> np.ndarray | None:
        try:
            return x.numpy()
        except (AttributeError, NotImplementedError):  # inside `tf.function`: a symbolic tensor, a variable
            return None

    def accumulator(self, x: Array) -> Array:
        return self.tf.cast(x, self.tf.float32) if x.dtype.size < 4 else x

    def take(self, per_group: Array, slots: Array) -> Array:
        return self.tf.gather(per_group, slots, batch_dims=len(slots.shape) - 1, axis=-1)

    def group_sum(self, values: Array, slots: Array, num_slots: int) -> Array:
        lead = self.tf.shape(values)[:-1]
        count = self.tf.reduce_prod(lead)
        rows = self.tf.reshape(slots, (count, self.tf.shape(slots)[-1]))
        flat = rows + self.tf.range(count)[:, None] * num_slots
        sums = self.tf.math.unsorted_segment_sum(
            self.tf.reshape(values, (-1,)), self.tf.reshape(flat, (-1,)), count * num_slots
        )
        return self.tf.reshape(sums, self.tf.concat([lead, [num_slots]], axis=0))


Framework = _NumpyLike | _Jax | _Torch | _TensorFlow

_FOUND: dict[str, Framework] = {}


def framework_of(x: Array) -> Framework:
    """The operations for the framework that `x` comes from.

    **Raises:** `RiskError` if `x` is not an array of NumPy, JAX, PyTorch or TensorFlow.
    """
    for name, is_ours, make in (
        ("numpy", lambda m: isinstance(x, m.ndarray | m.generic), _NumpyLike),
        ("jax", lambda m: isinstance(x, m.Array), _Jax),
        ("torch", lambda m: isinstance(x, m.Tensor), _Torch),
        ("tensorflow", lambda m: isinstance(x, m.Tensor | m.Variable), _TensorFlow),
    ):
        module = sys.modules.get(name)
        if module is not None and is_ours(module):
            if name not in _FOUND:
                _FOUND[name] = make(module)
            return _FOUND[name]
    raise RiskError(
        f"expected an array of NumPy, JAX, PyTorch or TensorFlow, got {type(x).__module__}.{type(x).__qualname__}"
    )


def concrete(x: Array) -> np.ndarray | None:
    """The values of `x`, or None where they cannot be looked at now: under `jit` or `vmap`, inside `tf.function`."""
    return framework_of(x).concrete(x)
