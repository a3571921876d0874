import pytest

from worldrex.watch.sparkline import ASCII, BLOCKS, sparkline


def test_levels_from_low_to_high() -> None:
    assert sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8) == BLOCKS
    assert sparkline([8.0, 1.0], 8, ASCII) == ASCII[-1] + ASCII[0]
    assert ASCII.isascii()
    assert len(ASCII) == len(BLOCKS)


def test_a_curve_of_decades_is_logarithmic() -> None:
    assert sparkline([100.0, 10.0, 1.0], 3) == "█▅▁"
    assert sparkline([100.0, 10.0, -1.0], 3) == "█▁▁"


def test_noise_is_flat_and_what_is_not_known_is_a_gap() -> None:
    assert len(set(sparkline([1.0, 1.001, 0.999], 3))) == 1
    assert sparkline([0.0, None, 0.0], 3) == "▁ ▁"
    assert sparkline([None], 3) == " "
    assert sparkline([], 3) == ""


@pytest.mark.parametrize("count", [5, 6, 11, 1000])
def test_many_values_are_thinned_and_the_last_one_stays(count: int) -> None:
    line = sparkline([0.0] * (count - 1) + [1.0], 5)
    assert len(line) == 5
    assert line == "▁▁▁▁█"
