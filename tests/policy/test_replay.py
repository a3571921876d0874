import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from worldrex.policy import replay
from worldrex.policy.replay import Batch, Replay

WRITE = st.lists(st.booleans(), min_size=6, max_size=6)


def numbered(start: int, count: int) -> Batch:
    """Records that all carry their number."""
    number = jnp.arange(start, start + count, dtype=jnp.float32)
    return Batch(jnp.stack([number, number], -1), number[:, None], number, jnp.stack([number, -number], -1), number)


def numbers(buffer: Replay) -> np.ndarray:
    """The number in each slot; that all columns carry the same is checked."""
    records = buffer.records
    for column in (
        records.obs[:, 0],
        records.obs[:, 1],
        records.action[:, 0],
        records.next_obs[:, 0],
        records.terminated,
    ):
        np.testing.assert_array_equal(column, records.reward)
    return np.asarray(records.reward)


@settings(deadline=None, max_examples=30)
@given(capacity=st.sampled_from((1, 4, 6, 13)), writes=st.lists(WRITE, min_size=1, max_size=8))
def test_every_slot_holds_what_was_last_written(capacity: int, writes: list[list[bool]]):
    """A buffer that keeps its head and overwrites its tail, or leaves a gap where a record is not valid, fails here."""
    buffer, expected, cursor, start, written = replay.init(capacity, 2, 1), np.zeros(capacity), 0, 1, 0
    for valid in writes:
        buffer = replay.add(buffer, numbered(start, len(valid)), jnp.array(valid))
        for number in np.flatnonzero(valid) + start:
            expected[cursor] = number
            cursor, written = (cursor + 1) % capacity, written + 1
        start += len(valid)
    np.testing.assert_array_equal(numbers(buffer), expected)
    assert (int(buffer.cursor), int(buffer.size)) == (cursor, min(written, capacity))


def test_draws_are_uniform_over_what_was_written_and_over_the_log_and_nothing_else():
    buffer = replay.add(replay.init(10, 2, 1), numbered(1, 4), jnp.ones(4, bool))
    drawn = replay.draw(buffer, numbered(5, 3), 7000, 3000, key=jax.random.key(0))
    number = np.asarray(drawn.reward, int)
    np.testing.assert_array_equal(np.unique(number[:3000]), [5, 6, 7])
    np.testing.assert_array_equal(np.unique(number[3000:]), [1, 2, 3, 4])
    assert (abs(np.bincount(number)[1:] - 1000) < 150).all()
    np.testing.assert_array_equal(drawn.obs[:, 0], drawn.reward)


def test_nothing_of_the_log_or_nothing_else():
    buffer = replay.add(replay.init(10, 2, 1), numbered(1, 4), jnp.ones(4, bool))
    for logged, expected in ((0, [1, 2, 3, 4]), (200, [5, 6, 7])):
        drawn = replay.draw(buffer, numbered(5, 3), 200, logged, key=jax.random.key(0))
        np.testing.assert_array_equal(np.unique(drawn.reward), expected)


def test_an_empty_buffer_draws_its_first_slot():
    drawn = replay.draw(replay.init(3, 2, 1), numbered(5, 3), 5, 0, key=jax.random.key(0))
    np.testing.assert_array_equal(drawn.reward, np.zeros(5))
