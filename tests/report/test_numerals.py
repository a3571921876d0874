import pytest

from worldrex.report import numerals


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.0, "0"),
        (40960, "40,960"),
        (2.949, "2.95"),
        (0.9996, "1.00"),
        (-0.0743, "−0.0743"),
        (12345.6, "12,346"),
        (1.2345e-7, "1.23e−07"),
        (-3, "−3"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert numerals.number(value) == text


def test_a_true_minus_sign_also_in_the_exponent() -> None:
    assert "-" not in numerals.number(-1e-9)


def test_times_and_ratio() -> None:
    assert numerals.times(numerals.ratio(2.95, 1.0)) == "2.95×"
    assert numerals.times(numerals.ratio(2.95, None)) == "–"
    assert numerals.ratio(1.0, 0.0) is None
    assert numerals.times(float("inf")) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (3.14, "3.1 s"), (125, "2 min 05 s"), (3719.6, "1 h 02 min"), (59.97, "1 min 00 s")],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert numerals.duration(seconds) == text


def test_weight_has_no_idle_zeros() -> None:
    assert [numerals.weight(weight) for weight in (0.0, 0.5, 100.0, None)] == ["0", "0.5", "100", "–"]
