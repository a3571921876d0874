from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldrex.report.scales import Extent, extent, spread


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.2))
def test_spread_labels_do_not_overlap_and_keep_their_order(positions: list[float], gap: float) -> None:
    moved = spread(positions, gap, low=0.0, high=1.0)
    gap = min(gap, 1 / max(len(positions) - 1, 1))
    in_order = sorted(range(len(positions)), key=positions.__getitem__)
    placed = [moved[index] for index in in_order]
    assert all(second - first >= gap - 1e-9 for first, second in pairwise(placed))
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9


def test_spread_leaves_labels_alone_that_have_room() -> None:
    assert spread([0.9, 0.1, 0.5], 0.1, low=0.0, high=1.0) == [0.9, 0.1, 0.5]


def test_spread_moves_labels_that_touch_apart_around_where_they_stood() -> None:
    assert spread([0.5, 0.5, 0.5], 0.1, low=0.0, high=1.0) == pytest.approx([0.4, 0.5, 0.6])


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_of_a_linear_axis_are_few_and_inside(low: float, width: float) -> None:
    axis = Extent(low, low + width)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 7
    assert all(axis.low - 1e-6 * width <= tick <= axis.high + 1e-6 * width for tick in ticks)


@given(st.floats(1e-6, 1e3), st.floats(8, 1e9))
def test_ticks_of_a_logarithmic_axis_are_few_and_inside(low: float, factor: float) -> None:
    axis = Extent(low, low * factor, log=True)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 7
    assert all(axis.low <= tick <= axis.high for tick in ticks)


@given(st.floats(0, 1), st.booleans())
def test_fraction_and_value_are_inverse(fraction: float, log: bool) -> None:
    axis = Extent(0.2, 30.0, log=log)
    assert axis.fraction(axis.value(fraction)) == pytest.approx(fraction, abs=1e-9)


def test_an_axis_starts_at_zero_unless_a_value_is_negative_or_the_ratio_large() -> None:
    assert extent([0.3, 1.6]).low == 0
    assert extent([-0.2, 1.0]).low < -0.2
    assert extent([0.25, 2.95], log_above=8).log
    assert not extent([0.0, 2.95], log_above=8).log
    assert not extent([0.5, 2.95], log_above=8).log


def test_an_axis_of_nothing_and_of_zeros() -> None:
    assert extent([None]).ticks()
    assert extent([0.0]).high > 0
