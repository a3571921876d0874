import io
from pathlib import Path

import numpy as np
import pytest

from tests.data.readers.formats import npy, small_log
from worldrex.data import DataError, LoadOptions, load
from worldrex.data.transitions import COLUMNS

WIDTHS = LoadOptions(obs_dims=3, action_dims=2)


def matrix(folder: Path) -> Path:
    return npy({name: getattr(small_log(), name) for name in COLUMNS}, folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LoadOptions(), "11 columns, and there came no widths.* = 11: obs_dims 3 with action_dims 2, obs_dims 2 with"),
        (LoadOptions(obs_dims=2, action_dims=2), "came obs_dims 2 and action_dims 2.*: obs_dims 3 with action_dims 2"),
        (LoadOptions(obs_dims=2), "obs_dims 2 with action_dims 4 would fit"),
        (LoadOptions(obs_dims=4, action_dims=0), "obs_dims 3 with action_dims 2, obs_dims 2 with action_dims 4, obs_d"),
    ],
)
def test_widths_must_add_up_and_the_error_says_which_would(options: LoadOptions, message: str, tmp_path: Path):
    with pytest.raises(DataError, match=message):
        load(matrix(tmp_path), options=options)


def test_too_narrow_for_any_widths(tmp_path: Path):
    np.save(tmp_path / "log.npy", np.ones((4, 5)))
    with pytest.raises(DataError, match="nothing, for it is too narrow would fit"):
        load(tmp_path / "log.npy", options=WIDTHS)


def test_widths_that_no_log_needs_are_refused_and_those_that_one_needs_are_not(tmp_path: Path):
    small_log().save(tmp_path / "table.parquet")
    with pytest.raises(DataError, match=r"there came obs_dims \(3\) and action_dims \(2\), .* no log given is one"):
        load(tmp_path / "table.parquet", options=WIDTHS)
    with pytest.raises(DataError, match="there came obs_dims"):
        load({"obs": np.ones((4, 3))}, options=LoadOptions(obs_dims=3))
    assert len(load(tmp_path / "table.parquet", matrix(tmp_path), options=WIDTHS)) == 2 * len(small_log())


def test_an_episode_ends_where_the_observation_does_not_go_on(tmp_path: Path):
    data = load(matrix(tmp_path), options=WIDTHS)
    np.testing.assert_array_equal(data.truncated, small_log().truncated)
    np.testing.assert_array_equal(data.episode, small_log().episode)


@pytest.mark.parametrize("array", [np.ones(12), np.ones((2, 3, 4)), np.array([["a", "b"]]), np.ones((2, 11), complex)])
def test_what_is_no_matrix_of_numbers(array: np.ndarray, tmp_path: Path):
    np.save(tmp_path / "log.npy", array)
    with pytest.raises(DataError, match=r"needs a matrix of numbers.*NPZ"):
        load(tmp_path / "log.npy", options=WIDTHS)


def test_objects_are_refused_and_declarations_are_checked_first(tmp_path: Path):
    np.save(tmp_path / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled Python objects"):
        load(tmp_path / "objects.npy", options=WIDTHS)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 11)})
    (tmp_path / "huge.npy").write_bytes(header.getvalue() + bytes(64))
    with pytest.raises(DataError, match=r"truncated or damaged: it declares 48,378,511,622,144 bytes"):
        load(tmp_path / "huge.npy", options=WIDTHS)
