"""Numbers as the page writes them."""

import math


def number(value: float | int | None, *, digits: int = 3) -> str:
    """`value` to `digits` significant digits with a true minus sign; whole numbers in full; an en dash for None."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if value == 0:
        return "0"
    # The order of magnitude after rounding: 0.9996 is 1.00, not 1.000.
    order = int(f"{value:.{digits - 1}e}".split("e")[1])
    decimals = max(digits - 1 - order, 0)
    text = f"{value:,.{decimals}f}" if -4 <= order < 6 else f"{value:.{digits - 1}e}"
    return text.replace("-", "−")


def rounded(value: float | int) -> float:
    """`value` to four significant digits: all that a chart shows of it."""
    return float(f"{value:.4g}")


def weight(value: float | int | None) -> str:
    """A penalty's weight, without idle zeros."""
    return "–" if value is None else f"{value:g}".replace("-", "−")


def times(ratio: float | int | None) -> str:
    """A ratio: 2.9×, 1.05×."""
    if ratio is None or not math.isfinite(ratio):
        return "–"
    return f"{number(ratio)}×"


def duration(seconds: float | int | None) -> str:
    """Seconds as a person says them: 3.1 s, 2 min 05 s, 1 h 02 min."""
    if seconds is None:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def ratio(value: float | int | None, reference: float | int | None) -> float | None:
    """value / reference, None where either is missing or the reference is zero."""
    return None if value is None or not reference else value / reference
