"""More behaviors than records in a batch: draw behaviors first, then records of each: `python examples/behaviors_first.py`."""

import jax
import jax.numpy as jnp

from worldrex import risk


# --8<-- [start:draw]
def draw(
    first: jax.Array, size: jax.Array, m: int, k: int, *, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """m behaviors, all different, k rows of each (with replacement), and the rows' numbers 0..m-1 among the drawn.

    `first` row and `size` of each behavior, whose rows lie side by side. The same on every device that has the key.
    """
    of_behavior, of_row = jax.random.split(key)
    part = first.shape[0] // m  # one behavior out of each part; of the few beyond m * part, none
    behavior = part * jnp.arange(m) + jax.random.randint(of_behavior, (m,), 0, part)
    place = jax.random.bits(of_row, (m, k), jnp.uint32) % size[behavior].astype(jnp.uint32)[:, None]
    rows = first[behavior][:, None] + place.astype(first.dtype)
    return rows.reshape(-1), behavior, jnp.repeat(jnp.arange(m), k)


def objective(losses: jax.Array, number: jax.Array, m: int, weight: float) -> jax.Array:
    """On several devices, each with its part of the records: risk.all_reduce(moments, "record") goes in between."""
    moments = risk.group_moments(losses, number, m)  # 3 numbers of each drawn behavior, not of each behavior
    return risk.objective(moments, penalty="variance", weight=weight)


# --8<-- [end:draw]


def main() -> None:
    """The same objective over the drawn behaviors and over all of them."""
    behaviors, m, k = 1_000_000, 1024, 8
    first, size = 10 * jnp.arange(behaviors), jnp.full(behaviors, 10)
    rows, behavior, number = draw(first, size, m, k, key=jax.random.key(0))
    losses = jnp.square(jnp.sin(rows.astype(jnp.float32)))
    of_all = risk.objective(risk.group_moments(losses, behavior[number], behaviors), penalty="variance", weight=10.0)
    print(f"over the {m:,} drawn: {objective(losses, number, m, 10.0):.6f}")
    print(f"over all {behaviors:,}: {of_all:.6f}")


if __name__ == "__main__":
    main()
