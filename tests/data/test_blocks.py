"""What is found out block by block is what NumPy says of the whole, wherever the blocks end."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data import blocks as in_blocks
from worldrex.data.blocks import Places, blocks
from worldrex.data.describe import describe
from worldrex.data.transitions import COLUMNS, Transitions
from worldrex.data.validate import require_valid, validate


@pytest.fixture(params=[1, 7, 20, 64])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_blocks, "FEWEST_ROWS", request.param)
    monkeypatch.setattr(in_blocks, "BLOCK_VALUES", 1)


def shaken(seed: int = 0) -> Transitions:
    """A log with something of everything that warnings are about."""
    data = make_log(behaviors=3, episodes=4, steps=50, seed=seed)
    data.truncated[99] = False
    data.terminated[[7, 130]] = True
    data.reward[33] = 1e6
    data.action[data.behavior == 1] = 0.25
    data.action[:60, 1] = 4
    data.obs[:, 0] = data.next_obs[:, 0] = 5 * (data.episode % 4)
    for values in (data.obs, data.action, data.reward, data.next_obs):
        values[500:550] = values[150:200]
    return data


def wrong() -> Transitions:
    data = shaken()
    data.obs[3, 1] = np.nan
    data.obs[300:302, 1] = np.inf
    data.next_obs[[49, 70, 71, 399], 2] += 9
    return data


@pytest.mark.parametrize("make", [shaken, wrong])
@pytest.mark.usefixtures("small_blocks")
def test_findings_and_numbers_do_not_depend_on_the_blocks(make, monkeypatch):
    data = make()
    cut = describe(data)
    monkeypatch.setattr(in_blocks, "FEWEST_ROWS", 10_000)
    whole = describe(data)
    assert cut.findings == whole.findings
    assert len(whole.findings) >= (2 if make is wrong else 6)
    for one, other in zip(cut.columns + cut.behaviors, whole.columns + whole.behaviors, strict=True):
        numbers = [[v for v in dataclasses.astuple(x) if not isinstance(v, str)] for x in (one, other)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.usefixtures("small_blocks")
def test_numbers_are_those_of_numpy():
    data = make_log(behaviors=3, episodes=4, steps=50)
    data.obs[:, 1] += 1e6  # float32 sums would lose its spread
    summary = describe(dataclasses.replace(data))
    for column in summary.columns:
        name, _, place = column.name.partition("[:, ")
        values = getattr(data, name)[:, int(place[:-1])] if place else getattr(data, name)
        values = values.astype(np.float64)
        assert (column.min, column.max) == (values.min(), values.max())
        assert column.mean == pytest.approx(values.mean(), rel=1e-12, abs=1e-12)
        assert column.std == pytest.approx(values.std(), rel=1e-9)
    for number, behavior in enumerate(summary.behaviors):
        own = data.rows(data.behavior == number)
        returns = own.reward.astype(np.float64).reshape(4, 50).sum(1)
        assert (behavior.records, behavior.episodes) == (200, 4)
        assert behavior.mean_return == pytest.approx(returns.mean(), rel=1e-9)
        assert behavior.std_return == pytest.approx(returns.std(ddof=1), rel=1e-9)
        assert behavior.mean_action == pytest.approx(np.abs(own.action.astype(np.float64)).mean(), rel=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38])
@pytest.mark.parametrize("everywhere", [False, True])
def test_no_value_makes_numpy_complain(value, everywhere):
    for column in ("obs", "action", "reward", "next_obs"):
        data = make_log(behaviors=3)
        getattr(data, column)[slice(None) if everywhere else slice(20, 50, 7)] = value
        assert describe(data).findings or (np.isfinite(value) and column in ("action", "reward"))
        if everywhere:
            data.next_obs[:] = -data.next_obs
            describe(data)


def test_blocks_are_all_rows_in_order():
    data = make_log(behaviors=3, steps=1000, obs=40)
    found = list(blocks(data))
    assert len(found) > 1
    np.testing.assert_array_equal(np.concatenate([block.rows.obs for block in found]), data.obs)
    assert [block.start for block in found] == list(np.cumsum([0, *(len(block) for block in found)])[:-1])
    assert sum(len(block.goes_on) for block in found) == len(data) - 1


def test_places_count_and_keep_the_first():
    places = Places()
    for start, concerned in ((0, [0, 0]), (2, [0, 1]), (4, [1, 1])):
        places.add(np.array(concerned, bool), start)
    assert (places.count, places.first) == (3, 3)


def test_a_log_in_a_read_only_file_is_described_and_not_written(tmp_path):
    data = shaken()
    mapped = {}
    for column in COLUMNS:
        np.save(tmp_path / f"{column}.npy", getattr(data, column))
        mapped[column] = np.load(tmp_path / f"{column}.npy", mmap_mode="r")
    there = Transitions(**mapped, behavior_names=data.behavior_names)
    assert describe(there) == describe(data)


@pytest.mark.parametrize("rounded", [False, True])
def test_memory_does_not_grow_with_the_log(rounded):
    peaks = []
    for steps in (20_000, 80_000):
        data = make_log(behaviors=4, episodes=2, steps=steps, obs=16)
        if rounded:
            data.next_obs[~data.truncated] += np.float32(1e-5)
        tracemalloc.start()
        validate(data)
        require_valid(data)
        describe(data)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0], "nothing is as long as the log"
    assert peaks[1] < 32e6
