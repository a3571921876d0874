"""Columns that float32 would round flat."""

import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data import DataError, load
from worldrex.data.transitions import COLUMNS, Transitions


def columns(**changed: np.ndarray) -> dict[str, np.ndarray]:
    data: Transitions = make_log(behaviors=3, episodes=4, steps=25)
    return {name: getattr(data, name) for name in COLUMNS} | changed


def test_a_small_spread_far_from_zero_is_an_error():
    log = columns()
    far = {name: log[name].astype(np.float64) * 0.1 + 4.5e6 for name in ("obs", "next_obs")}
    with pytest.raises(
        DataError, match=r"obs\[:, 0\] varies by 0\.\d+ at values of up to 4500000.*has steps of 0\.5\. Sub"
    ):
        load(log | far)
    offset = {name: x - 4.5e6 for name, x in far.items()}
    np.testing.assert_allclose(load(log | offset).obs, 0.1 * log["obs"], atol=1e-6)


def test_steps_that_would_be_lost_in_a_wide_range_are_an_error():
    log = columns()
    place = (
        3e5
        + 0.004 * np.arange(len(log["obs"]))[:, None] * np.ones(log["obs"].shape[1])
        + 50.0 * log["behavior"][:, None]
    )
    with pytest.raises(DataError, match=r"varies from step to step by 0.004"):
        load(log | {"obs": place, "next_obs": place + 0.004})


def test_whole_numbers_are_looked_at_too():
    reward = 1_700_000_000 + np.arange(300)
    with pytest.raises(DataError, match=r"reward\[:, 0\] varies by 87 .*has steps of 1\.3e\+02"):
        load(columns(reward=reward))


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int16, np.float32])
def test_what_float32_holds_is_no_error(dtype: type):
    log = columns(reward=np.arange(300).astype(dtype))
    assert len(load(log)) == 300


def test_constants_and_what_is_but_rounding_are_no_error():
    log = columns(reward=np.full(300, 4.5e6 + 0.1))
    assert len(load(log)) == 300
    log["reward"] = 4.5e6 * (1 + 4 * np.finfo(np.float64).eps * np.arange(300) % 7)
    assert len(load(log)) == 300
