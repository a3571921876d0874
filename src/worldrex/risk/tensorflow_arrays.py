"""The few operations that risks need, for TensorFlow, which is not imported here."""

import sys
from typing import Any

from worldrex.risk.numpy_arrays import LARGEST_ID, Array, NumpyLike


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
