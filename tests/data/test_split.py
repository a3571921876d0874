import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.logs import make_log
from worldrex.data.split import holdout, leave_one_out
from worldrex.data.transitions import DataError, Transitions, concatenate


def log_of(episode_lengths: list[tuple[str, list[int]]]) -> Transitions:
    """Behaviors by name, each with episodes of these lengths."""
    parts = [
        make_log(behaviors=1, episodes=1, steps=steps, names=(name,))
        for name, lengths in episode_lengths
        for steps in lengths
    ]
    return concatenate(parts)


logs = st.lists(
    st.tuples(st.text(max_size=5), st.lists(st.integers(1, 6), min_size=1, max_size=8)),
    min_size=1,
    max_size=4,
    unique_by=lambda behavior: behavior[0],
)


@settings(max_examples=30, deadline=None)
@given(logs, st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_every_record_is_in_exactly_one_part_and_every_behavior_in_both(described, fraction, seed):
    data = log_of(described)
    train, held = holdout(data, fraction, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), np.arange(len(data)))
    for behavior, (_, lengths) in enumerate(described):
        in_train, in_held = (np.unique(data.episode[rows][data.behavior[rows] == behavior]) for rows in (train, held))
        if len(lengths) >= 2:
            assert len(in_train) >= 1
            assert len(in_held) >= 1
            assert not set(in_train) & set(in_held)
            assert abs(len(in_held) - fraction * len(lengths)) <= 1
        elif lengths[0] >= 2:
            own_train, own_held = (rows[data.behavior[rows] == behavior] for rows in (train, held))
            assert own_train.max() < own_held.min()


def test_another_behavior_and_another_order_do_not_change_the_split_of_one():
    one, two = (make_log(behaviors=1, episodes=20, steps=5, names=(name,)) for name in ("one", "two"))
    alone = holdout(one, 0.3, seed=4)[1]
    together = holdout(concatenate([two, one]), 0.3, seed=4)[1]
    np.testing.assert_array_equal(together[together >= len(two)] - len(two), alone)


def test_the_seed_and_the_name_decide():
    data = make_log(behaviors=2, episodes=40, steps=2)
    first, again, other = (holdout(data, 0.5, seed=seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    half = len(data) // 2
    assert not np.array_equal(first[first < half], first[first >= half] - half)


def test_a_behavior_without_records_is_no_obstacle():
    data = make_log(behaviors=1, episodes=4, names=("here", "gone"))
    train, held = holdout(data, seed=0)
    assert len(train) + len(held) == len(data)
    assert [behavior for behavior, _, _ in leave_one_out(data)] == [0]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_0_and_1_is_refused(fraction):
    with pytest.raises(DataError, match="number between 0 and 1"):
        holdout(make_log(), fraction, seed=0)


@pytest.mark.parametrize("behaviors", [(0,), (2,), (1, 2), (2, 0), (0, 1, 2)])
def test_whole_behaviors_are_held_out_whatever_the_fraction_and_the_seed(behaviors: tuple[int, ...]):
    data = make_log(behaviors=3)
    data = data.rows(np.random.default_rng(0).permutation(len(data)))
    for fraction, seed in ((0.1, 0), (0.9, 5)):
        train, held = holdout(data, fraction, seed=seed, behaviors=behaviors)
        np.testing.assert_array_equal(train, [row for row in range(len(data)) if data.behavior[row] not in behaviors])
        np.testing.assert_array_equal(held, [row for row in range(len(data)) if data.behavior[row] in behaviors])


def test_a_fraction_is_looked_at_even_where_whole_behaviors_are_held_out():
    with pytest.raises(DataError, match="number between 0 and 1"):
        holdout(make_log(), 1.5, seed=0, behaviors=(0,))


def test_leave_one_out_divides_all_records_by_behavior():
    data = make_log(behaviors=3)
    for behavior, others, own in leave_one_out(data):
        assert set(data.behavior[own]) == {behavior}
        assert behavior not in data.behavior[others]
        assert len(others) + len(own) == len(data)
