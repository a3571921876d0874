import numpy as np
import pytest

from worldrex.data.columns import from_columns
from worldrex.data.transitions import DataError

N = 12


def raw(**changes) -> dict[str, np.ndarray]:
    columns = {
        "obs": np.arange(N * 3).reshape(N, 3),
        "action": np.linspace(-1, 1, N),
        "reward": np.ones((N, 1)),
        "next_obs": np.arange(N * 3, dtype=">f8").reshape(N, 3),
        "truncated": np.arange(N) % 4 == 3,
    }
    columns |= changes
    return {name: values for name, values in columns.items() if values is not None}


def test_any_numeric_type_and_column_vectors_become_float32():
    data = from_columns(raw())
    assert data.obs.dtype == data.action.dtype == data.reward.dtype == data.next_obs.dtype == np.float32
    assert data.next_obs.dtype.isnative
    np.testing.assert_array_equal(data.next_obs, np.arange(N * 3).reshape(N, 3))
    assert data.action.shape == (N, 1)
    assert data.reward.shape == (N,)
    assert list(data.episode) == [0] * 4 + [1] * 4 + [2] * 4
    assert data.behavior_names == ("behavior 0",)
    data.obs[0, 0] = 1  # writable


def test_done_is_termination_unless_truncated_says_otherwise():
    done = np.isin(np.arange(N), [1, 3]).astype(np.float64)
    data = from_columns(raw(done=done))
    assert list(np.flatnonzero(data.terminated)) == [1]
    assert list(np.flatnonzero(data.truncated)) == [3, 7, 11]
    assert list(data.episode[:5]) == [0, 0, 1, 1, 2]
    only_done = from_columns(raw(done=done, truncated=None))
    assert list(np.flatnonzero(only_done.terminated)) == [1, 3]
    both = from_columns(raw(done=done, truncated=None, terminated=np.arange(N) == 1))
    assert list(np.flatnonzero(both.terminated)) == [1]
    assert list(np.flatnonzero(both.truncated)) == [3]


def test_episode_numbers_are_kept_and_names_are_numbered():
    kept = from_columns(raw(episode=np.repeat([7.0, -2.0], 6)))
    assert list(kept.episode) == [7] * 6 + [-2] * 6
    assert list(from_columns(raw(episode=np.repeat([2**40, 5], 6))).episode) == [1] * 6 + [0] * 6
    assert list(from_columns(raw(episode=np.repeat(["b", "a"], 6))).episode) == [1] * 6 + [0] * 6


def test_behaviors_from_names_from_sparse_numbers_and_from_a_cycle():
    named = from_columns(raw(behavior=np.repeat(["slow", "fast"], 6)))
    assert named.behavior_names == ("fast", "slow")
    assert list(named.behavior) == [1] * 6 + [0] * 6
    sparse = from_columns(raw(behavior=np.repeat([10**9, 3], 6)))
    assert sparse.behavior_names == ("behavior 3", "behavior 1000000000")
    cycle = from_columns(raw(), behavior_cycle=2)
    assert cycle.behavior_names == ("behavior 0", "behavior 1")
    assert list(cycle.behavior) == [0] * 4 + [1] * 4 + [0] * 4
    numbered = from_columns(raw(behavior=np.repeat([1, 0], 6), behavior_names=np.array([b"x", b"y\xff"])))
    assert numbered.behavior_names == ("x", "y\udcff")
    assert list(numbered.behavior) == [1] * 6 + [0] * 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obs": None}, r"missing is obs; there came 'action', 'reward', .*rename or add"),
        ({"obs": None, "reward": None}, "missing are obs, reward"),
        ({"obs": None, "next_obs": None}, "missing is obs; there came"),  # next_obs would come from it
        ({"obs": None, "next_obs": None, "truncated": None}, "missing are obs, next_obs"),
        ({"reward": np.ones(N - 1)}, "unequal length: obs 12, action 12, reward 11, next_obs 12, truncated 12"),
        ({"next_obs": np.ones((N, 2))}, "obs has width 3 and next_obs has width 2"),
        ({"action": np.ones((N, 0))}, r"action has no components \(width 0\)"),
        (
            {"obs": np.ones((N, 0)), "next_obs": np.ones((N, 0))},
            r"(?s)obs has no components.*next_obs has no components",
        ),
        ({"obs": np.ones((N, 2, 2))}, r"obs has shape \(12, 2, 2\).*needs \[record, component\]"),
        ({"reward": np.ones((N, 2))}, r"reward has shape \(12, 2\).*needs \[record\]"),
        ({"reward": np.array(1.0)}, "reward has shape"),
        ({"action": np.array(["a"] * N)}, "action has values of type <U1.*needs numbers"),
        ({"obs": np.ones((N, 3), complex)}, "obs has values of type complex128"),
        ({"reward": np.arange(N) * 1e300}, r"reward has 11 values beyond ±3.4e38 \(first at row 1\).*rescale"),
        ({"truncated": np.arange(N) / 4}, r"truncated has 10 values other than 0 and 1 \(first at row 1: 0.25\)"),
        ({"done": np.full(N, np.nan)}, "done has 12 values other than 0 and 1"),
        ({"behavior": np.arange(N) - 1}, r"behavior has 1 id below 0 \(first at row 0: -1\)"),
        ({"behavior": np.arange(N) / 2}, r"behavior has 6 ids that are not whole numbers \(first at row 1: 0.5\)"),
        ({"behavior": np.full(N, np.inf)}, "behavior has 12 ids that are not whole numbers"),
        (
            {"behavior": np.arange(N), "behavior_names": np.array(["a", "b"])},
            r"behavior has 10 ids above 1, the last of 2 behavior names \(first at row 2: 2\)",
        ),
        ({"behavior": np.zeros(N), "behavior_names": np.array(["a", "a"])}, "behavior_names has 'a' more than once"),
        ({"behavior": np.zeros(N), "behavior_names": np.array([1, 2])}, "behavior_names has values of type int64"),
    ],
)
def test_each_wrong_column_is_named_with_what_to_do(changes, message):
    with pytest.raises(DataError, match=message) as caught:
        from_columns(raw(**changes), source="'log.npz'")
    assert str(caught.value).startswith("'log.npz' cannot be used")


def test_no_records_and_no_columns():
    with pytest.raises(DataError, match="there are no records"):
        from_columns({name: values[:0] for name, values in raw().items()})
    with pytest.raises(DataError, match="there came no columns"):
        from_columns({})


def test_a_cycle_is_refused_beside_a_column_and_below_one():
    with pytest.raises(DataError, match="one or the other"):
        from_columns(raw(behavior=np.zeros(N)), behavior_cycle=2)
    with pytest.raises(DataError, match="1 or more"):
        from_columns(raw(), behavior_cycle=0)
