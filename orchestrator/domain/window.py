"""How many jobs one message hands over."""

from typing import Final

MAX_WINDOW: Final = 64
MAX_IN_FLIGHT: Final = 2
"""Windows of one device at a time: one runs, one waits behind it, so that the device never does."""

_TARGET_S: Final = 0.5
_GROWTH: Final = 8


def next_size(size: int, jobs: int, took_s: float) -> int:
    """The size after a window of `jobs` took `took_s` seconds on the device.

    One while jobs are long; growing while whole windows end within the target.
    """
    if jobs < 1 or took_s <= 0:
        return size
    fitting = int(_TARGET_S * jobs / took_s)
    return max(1, min(fitting, max(size, jobs) * _GROWTH, MAX_WINDOW))
