import numpy as np
import pytest

from worldrex.data.episode_ends import complete_next_obs
from worldrex.data.transitions import DataError

N = 8


def frames(**changes: np.ndarray) -> dict[str, np.ndarray]:
    return {"obs": np.arange(N * 2.0).reshape(N, 2), "action": np.arange(N), "reward": np.arange(N)} | changes


def at(*rows: int) -> np.ndarray:
    return np.isin(np.arange(N), rows)


def test_next_obs_that_is_there_stays():
    columns = frames(next_obs=np.zeros((N, 2)))
    assert complete_next_obs(columns, source="x").columns is columns
    assert complete_next_obs({"obs": np.ones(3)}, source="x").dropped == 0


@pytest.mark.parametrize(
    ("columns", "last", "terminal"),
    [
        ({"terminated": at(2), "truncated": at(5)}, (2, 5, 7), 1),
        ({"done": at(2, 5), "truncated": at(5)}, (2, 5, 7), 1),
        ({"episode": np.array([4, 4, 4, 9, 9, 9, 1, 1])}, (2, 5, 7), 0),
        ({"episode": np.array(["b", "b", "b", "a", "a", "a", "c", "c"]), "terminated": at(7)}, (2, 5, 7), 1),
        ({"episode": np.zeros(N), "truncated": at(2)}, (2, 7), 0),
    ],
)
def test_the_last_record_of_each_episode_is_dropped(columns: dict, last: tuple[int, ...], terminal: int):
    done = complete_next_obs(frames(**columns), source="x")
    kept = [row for row in range(N) if row not in last]
    assert (done.dropped, done.terminal) == (len(last), terminal)
    np.testing.assert_array_equal(done.columns["action"], kept)
    np.testing.assert_array_equal(done.columns["next_obs"][:, 0], 2.0 * np.array(kept) + 2)
    np.testing.assert_array_equal(done.columns["truncated"], [row + 1 in last for row in kept])
    assert not done.columns["terminated"].any()
    assert "done" not in done.columns
    if "episode" in columns:
        np.testing.assert_array_equal(done.columns["episode"], columns["episode"][kept])
    else:
        np.testing.assert_array_equal(done.columns["episode"], [0, 0, 1, 1, 2])


def test_files_end_episodes_and_are_counted_anew():
    done = complete_next_obs(frames(episode=np.zeros(N)), source="x", parts=[("a", 3), ("b", 0), ("c", 5)])
    assert done.parts == [("a", 2), ("b", 0), ("c", 4)]
    np.testing.assert_array_equal(done.columns["action"], [0, 1, 3, 4, 5, 6])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "x has no next_obs, and no column that says where an episode ends.*add next_obs, or episode"),
        ({"truncated": np.ones(N)}, "all its 8 records are the last of their episode"),
        ({"truncated": np.ones(N - 1)}, "unequal length"),
        ({"truncated": np.full(N, 7)}, "other than 0 and 1"),
    ],
)
def test_columns_that_cannot_be_completed(columns: dict, message: str):
    with pytest.raises(DataError, match=message):
        complete_next_obs(frames(**columns), source="x")
