"""The few operations that risks need, for NumPy and JAX. Neither is imported here."""

import sys
from collections.abc import Callable
from typing import Any

Array = Any
"""A NumPy, JAX, PyTorch or TensorFlow array."""


class RiskError(ValueError):
    """Arrays or names that `risk` cannot work with; the message says what came and what was expected."""


LARGEST_ID = 2**31 - 1


class NumpyLike:
    """NumPy, and JAX through `jax.numpy`, which has the same names."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.where, self.sqrt, self.abs, self.exp, self.log = xp.where, xp.sqrt, xp.abs, xp.exp, xp.log
        self.sign, self.minimum = xp.sign, xp.minimum

    def sum(self, x: Array) -> Array:
        return self.xp.sum(x, axis=-1, keepdims=True)

    def max(self, x: Array) -> Array:
        return self.xp.max(x, axis=-1, keepdims=True)

    def finite(self, x: Array) -> Array:
        return self.xp.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)

    def rank(self, x: Array) -> Array:
        order = self.xp.argsort(x, axis=-1)
        return self.xp.argsort(order, axis=-1).astype(x.dtype)

    def erf(self, x: Array) -> Array:
        from scipy.special import erf  # for NumPy alone, and only where a quantile is asked for

        return self.xp.asarray(erf(x), x.dtype)

    def constant(self, x: Array) -> Array:
        return x

    def loop(self, times: int, body: Callable[[Any], Any], state: Any) -> Any:
        for _ in range(times):
            state = body(state)
        return state

    def sum_over_models(self, x: Array) -> Array:
        return self.xp.sum(self.xp.reshape(x, (-1, x.shape[-1])), axis=0)

    def cast(self, x: Array, like: Array) -> Array:
        return self.xp.asarray(x, like.dtype)

    def integers(self, x: Array, like: Array) -> Array:
        del like
        x = self.xp.asarray(x)
        if x.dtype.itemsize == 8:
            # What 32 bits cannot hold must not come out as another group's id.
            x = self.xp.where((x < 0) | (x > LARGEST_ID), -1, x)
        return self.xp.asarray(x, self.xp.int32)

    def is_float(self, x: Array) -> bool:
        return bool(self.xp.issubdtype(x.dtype, self.xp.floating)) or str(x.dtype) == "bfloat16"

    def floating(self, x: Array) -> Array:
        return x if self.is_float(x) else self.xp.asarray(x, self.xp.float32)

    def host(self, x: Array) -> Any:
        return x

    def is_integer(self, x: Array) -> bool:
        return bool(self.xp.issubdtype(x.dtype, self.xp.integer))

    def broadcast(self, x: Array, like: Array) -> Array:
        return self.xp.broadcast_to(x, like.shape)

    def rows(self, x: Array, chosen: Array) -> Array:
        return x[chosen]

    def bounds(self, x: Array, counted: Array | None) -> tuple[int | float, int | float] | None:
        if counted is not None:
            x, counted = self.xp.broadcast_arrays(x, counted)
            x = x[counted]
        return (x.min().item(), x.max().item()) if x.size else None

    def accumulator(self, x: Array) -> Array:
        return self.xp.asarray(x, self.xp.float32) if x.dtype.itemsize < 4 else x

    def take(self, per_group: Array, slots: Array) -> Array:
        return self.xp.take_along_axis(per_group, slots, axis=-1)

    def group_sum(self, values: Array, slots: Array, num_slots: int) -> Array:
        rows = 1
        for length in values.shape[:-1]:
            rows *= length
        flat = slots.reshape(rows, slots.shape[-1]) + self.xp.arange(rows, dtype=slots.dtype)[:, None] * num_slots
        sums = self._scatter_add(values.reshape(-1), flat.reshape(-1), rows * num_slots)
        return sums.reshape(*values.shape[:-1], num_slots)

    def _scatter_add(self, values: Array, slots: Array, num_slots: int) -> Array:
        return self.xp.bincount(slots, weights=values, minlength=num_slots).astype(values.dtype)

    def all_sum(self, x: Array, axis_name: Any) -> Array:
        del axis_name
        raise RiskError(
            f"all_reduce has no collective for {type(x).__module__.split('.')[0]}; it adds up JAX arrays inside shard_map "
            "and PyTorch tensors over torch.distributed. Gather the moments yourself and use `merge`."
        )


class Jax(NumpyLike):
    """JAX."""

    def __init__(self, jax: Any) -> None:
        super().__init__(jax.numpy)
        self.jax = jax
        self.erf, self.constant = jax.lax.erf, jax.lax.stop_gradient

    def loop(self, times: int, body: Callable[[Any], Any], state: Any) -> Any:
        return self.jax.lax.fori_loop(0, times, lambda _, state: body(state), state)

    def rows(self, x: Array, chosen: Array) -> Array:
        if isinstance(chosen, self.jax.core.Tracer):
            raise RiskError(
                "the number of a group's rows is not known under jit, vmap or grad of the groups; choose the rows outside, "
                "or keep all and give `mask`."
            )
        return x[chosen]

    def host(self, x: Array) -> Any:
        return None if isinstance(x, self.jax.core.Tracer) else sys.modules["numpy"].asarray(x)

    def bounds(self, x: Array, counted: Array | None) -> tuple[int | float, int | float] | None:
        if isinstance(x, self.jax.core.Tracer) or isinstance(counted, self.jax.core.Tracer):
            return None
        # In NumPy, which JAX has imported: eagerly, JAX would compile anew for each shape.
        numpy = NumpyLike(sys.modules["numpy"])
        return numpy.bounds(numpy.xp.asarray(x), None if counted is None else numpy.xp.asarray(counted))

    def take(self, per_group: Array, slots: Array) -> Array:
        # Without the fill for what is out of range, which costs a pass of its own forth and back.
        return self.xp.take_along_axis(per_group, slots, axis=-1, mode="promise_in_bounds")

    def _scatter_add(self, values: Array, slots: Array, num_slots: int) -> Array:
        return self.xp.zeros(num_slots, values.dtype).at[slots].add(values, mode="promise_in_bounds")

    def all_sum(self, x: Array, axis_name: Any) -> Array:
        return self.jax.lax.psum(x, axis_name)
