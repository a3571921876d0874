"""The few operations that risks need, in each of the four array frameworks. None of them is imported here."""

import math
import sys
from collections.abc import Callable
from functools import cache
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


class Torch:
    """PyTorch."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.where, self.sqrt, self.abs, self.exp, self.log = torch.where, torch.sqrt, torch.abs, torch.exp, torch.log
        self.sign, self.minimum, self.erf = torch.sign, torch.minimum, torch.erf

    def sum(self, x: Array) -> Array:
        return x.sum(dim=-1, keepdim=True)

    def max(self, x: Array) -> Array:
        return self.torch.amax(x, dim=-1, keepdim=True)

    def finite(self, x: Array) -> Array:
        return self.torch.nan_to_num(x, 0.0, 0.0, 0.0)

    def rank(self, x: Array) -> Array:
        order = self.torch.argsort(x.detach(), dim=-1, stable=True)
        return self.torch.argsort(order, dim=-1).to(x.dtype)

    def constant(self, x: Array) -> Array:
        return x.detach()

    loop = NumpyLike.loop

    def sum_over_models(self, x: Array) -> Array:
        return x.reshape(-1, x.shape[-1]).sum(dim=0)

    def cast(self, x: Array, like: Array) -> Array:
        if isinstance(x, int | float):
            return self.torch.full((), x, dtype=like.dtype, device=like.device)
        return self.torch.as_tensor(_writable(x), dtype=like.dtype, device=like.device)

    def integers(self, x: Array, like: Array) -> Array:
        return self.torch.as_tensor(_writable(x), device=like.device).long()

    def is_float(self, x: Array) -> bool:
        return x.dtype.is_floating_point

    def floating(self, x: Array) -> Array:
        return x if self.is_float(x) else x.float()

    def host(self, x: Array) -> Any:
        if self.torch.compiler.is_compiling():
            return None
        try:
            return x.detach().cpu().numpy()
        except RuntimeError:  # under `torch.func.vmap`, or on the meta device
            return None

    def is_integer(self, x: Array) -> bool:
        dtype = x.dtype
        return not (dtype.is_floating_point or dtype.is_complex or dtype == self.torch.bool)

    def broadcast(self, x: Array, like: Array) -> Array:
        return self.torch.broadcast_to(x, like.shape)

    def rows(self, x: Array, chosen: Array) -> Array:
        return x[chosen]

    def bounds(self, x: Array, counted: Array | None) -> tuple[int | float, int | float] | None:
        if self.torch.compiler.is_compiling():
            return None
        try:
            if counted is not None:
                counted = self.torch.as_tensor(_writable(counted), device=x.device)
                x, counted = self.torch.broadcast_tensors(x, counted)
                x = x[counted]
            low, high = self.torch.aminmax(x) if x.numel() else (None, None)
            return None if low is None or high is None else (low.item(), high.item())
        except RuntimeError:  # under `torch.func.vmap`, or on the meta device
            return None

    def accumulator(self, x: Array) -> Array:
        return x.float() if x.element_size() < 4 else x

    # index_select is several times faster than gather, and is index_add's derivative; they know one axis only.
    def take(self, per_group: Array, slots: Array) -> Array:
        if slots.dim() == 1:
            return per_group.index_select(0, slots)
        return per_group.reshape(-1).index_select(0, self._flat(slots, per_group.shape[-1])).reshape(slots.shape)

    def group_sum(self, values: Array, slots: Array, num_slots: int) -> Array:
        if slots.dim() == 1:
            return values.new_zeros(num_slots).index_add(0, slots, values)
        shape = (*slots.shape[:-1], num_slots)
        zeros = values.new_zeros(math.prod(shape))
        return zeros.index_add(0, self._flat(slots, num_slots), values.reshape(-1)).reshape(shape)

    def _flat(self, slots: Array, num_slots: int) -> Array:
        rows = self.torch.arange(math.prod(slots.shape[:-1]), device=slots.device)
        return (slots + num_slots * rows.reshape(*slots.shape[:-1], 1)).reshape(-1)

    def all_sum(self, x: Array, axis_name: Any) -> Array:
        return _sum_over_processes(self.torch).apply(x, axis_name)


@cache
def _sum_over_processes(torch: Any) -> Any:
    # Made when it is first asked for: `torch.compile` cannot trace the making of a class.
    class SumOverProcesses(torch.autograd.Function):
        """Forward, the sum over the processes; backward, this process's own share of the gradient."""

        @staticmethod
        def forward(ctx: Any, x: Array, group: Any) -> Array:
            total = x.clone(memory_format=torch.contiguous_format)
            torch.distributed.all_reduce(total, group=group)
            return total

        @staticmethod
        def backward(ctx: Any, *gradients: Array) -> tuple[Array, None]:
            return gradients[0], None

    return SumOverProcesses


def _writable(x: Array) -> Array:
    """A copy of a NumPy array that may not be written to, of which PyTorch would warn."""
    flags = getattr(x, "flags", None)
    return x.copy() if flags is not None and not flags.writeable else x


class TensorFlow:
    """TensorFlow."""

    def __init__(self, tf: Any) -> None:
        self.tf = tf
        self.where, self.sqrt, self.abs, self.exp, self.log = tf.where, tf.sqrt, tf.abs, tf.exp, tf.math.log
        self.sign, self.minimum, self.erf, self.constant = tf.sign, tf.minimum, tf.math.erf, tf.stop_gradient

    def sum(self, x: Array) -> Array:
        return self.tf.reduce_sum(x, axis=-1, keepdims=True)

    def max(self, x: Array) -> Array:
        return self.tf.reduce_max(x, axis=-1, keepdims=True)

    def finite(self, x: Array) -> Array:
        return self.tf.where(self.tf.math.is_finite(x), x, self.tf.zeros_like(x))

    def rank(self, x: Array) -> Array:
        order = self.tf.argsort(x, axis=-1, stable=True)
        return self.tf.cast(self.tf.argsort(order, axis=-1), x.dtype)

    def sum_over_models(self, x: Array) -> Array:
        return self.tf.reduce_sum(self.tf.reshape(x, (-1, x.shape[-1])), axis=0)

    def cast(self, x: Array, like: Array) -> Array:
        # `tf.cast` would take a Python number through float32.
        return self.tf.cast(x, like.dtype) if hasattr(x, "dtype") else self.tf.constant(x, like.dtype)

    def integers(self, x: Array, like: Array) -> Array:
        del like
        x = self.tf.convert_to_tensor(x)
        if x.dtype.size == 8:
            x = self.tf.where((x < 0) | (x > LARGEST_ID), self.tf.cast(-1, x.dtype), x)
        return self.tf.cast(x, self.tf.int32)

    def is_float(self, x: Array) -> bool:
        return self.tf.as_dtype(x.dtype).is_floating

    def floating(self, x: Array) -> Array:
        return x if self.is_float(x) else self.tf.cast(x, self.tf.float32)

    def host(self, x: Array) -> Any:
        try:
            return x.numpy()
        except (AttributeError, NotImplementedError):  # inside `tf.function`: a symbolic tensor, a variable
            return None

    def is_integer(self, x: Array) -> bool:
        return self.tf.as_dtype(x.dtype).is_integer

    def broadcast(self, x: Array, like: Array) -> Array:
        return self.tf.broadcast_to(x, self.tf.shape(like))

    def rows(self, x: Array, chosen: Array) -> Array:
        return self.tf.boolean_mask(x, chosen)

    def bounds(self, x: Array, counted: Array | None) -> tuple[int | float, int | float] | None:
        try:
            numpy = NumpyLike(sys.modules["numpy"])
            return numpy.bounds(x.numpy(), None if counted is None else numpy.xp.asarray(counted))
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

    all_sum, loop = NumpyLike.all_sum, NumpyLike.loop
