"""A curve in one line of text."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-~=+*#"
# A curve that moves by less than this share of its height is drawn flat, so that noise does not look like news.
_FLAT = 0.05
# Above this ratio of the largest to the smallest the levels are logarithmic, as the axes of the report are.
_LOG_ABOVE = 8


def sparkline(values: Sequence[float | int | None], width: int, levels: str = BLOCKS) -> str:
    """The values from left to right in at most `width` characters, the last one always among them.

    Args:
        values: a gap where None.
        width: in characters, one or more.
        levels: the characters from low to high.

    Returns:
        The line; values beyond the width are thinned.
    """
    count = len(values)
    kept = list(values) if count <= width else [values[((place + 1) * count) // width - 1] for place in range(width)]
    known = [value for value in kept if value is not None]
    if not known:
        return " " * len(kept)
    log = min(known) > 0 and max(known) / min(known) > _LOG_ABOVE
    heights = [None if value is None else math.log(value) if log else value for value in kept]
    low = min(height for height in heights if height is not None)
    high = max(height for height in heights if height is not None)
    reach = max(high - low, _FLAT * max(abs(high), abs(low))) or 1.0
    return "".join(
        " " if height is None else levels[min(int((height - low) / reach * len(levels)), len(levels) - 1)]
        for height in heights
    )
