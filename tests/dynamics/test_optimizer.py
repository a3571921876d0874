from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.dynamics.conftest import same_bits
from worldrex.dynamics.optimizer import adam_step, init_adam

SHAPES = {"weight": (4, 3), "bias": (3,), "bound": ()}
DECAY = {"weight": 0.3, "bias": 0.0, "bound": 0.02}
STEP = jax.jit(partial(adam_step, decay=DECAY))


def drawn(rng: np.random.Generator, scale: float = 1.0) -> dict[str, np.ndarray]:
    return {name: np.asarray(scale * rng.normal(size=shape), np.float32) for name, shape in SHAPES.items()}


def near(got: Any, want: Any, atol: float = 0.0) -> None:
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=atol)


@pytest.mark.parametrize("seed", range(3))
def test_twenty_steps_are_those_of_optax_with_decoupled_decay(seed: int):
    rng = np.random.default_rng(seed)
    ours = theirs = drawn(rng)
    adam = optax.scale_by_adam()
    state, reference = init_adam(ours), adam.init(theirs)
    assert same_bits(state, reference)
    for number in range(20):
        rate, gradient = 0.1 / (1 + number), drawn(rng, 10.0 ** rng.integers(-4, 5))
        ours, state = STEP(ours, state, gradient, rate=jnp.float32(rate), do=jnp.bool_(True))
        with jax.numpy_dtype_promotion("standard"):
            update, reference = adam.update(gradient, reference)
        theirs = {name: p - np.float32(rate) * (update[name] + DECAY[name] * p) for name, p in theirs.items()}
        near(ours, theirs, 1e-7)  # a parameter may pass zero
        near(state.mu, reference.mu)
        near(state.nu, reference.nu)
        assert state.count == reference.count == number + 1


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, 0.5])
def test_a_step_that_is_not_to_be_done_changes_nothing(value: float):
    rng = np.random.default_rng(0)
    parameters, state = drawn(rng), init_adam(drawn(rng))
    rate = jnp.float32(0.1)
    parameters, state = STEP(parameters, state, drawn(rng), rate=rate, do=jnp.bool_(True))
    gradient = jax.tree.map(lambda x: np.full_like(x, value), drawn(rng))
    after = STEP(parameters, state, gradient, rate=rate, do=jnp.bool_(False))
    assert same_bits(after, (parameters, state))
    assert not same_bits(STEP(parameters, state, gradient, rate=rate, do=jnp.bool_(True)), after)
