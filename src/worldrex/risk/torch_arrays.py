"""The few operations that risks need, for PyTorch, which is not imported here."""

import math
from functools import cache
from typing import Any

from worldrex.risk.numpy_arrays import Array, NumpyLike


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
