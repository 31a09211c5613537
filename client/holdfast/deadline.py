"""How long to go on, and how long to pause between attempts."""

import random
import time

from holdfast.errors import WaitTimeout


class Deadline:
    """The end of a wait, in seconds from now; None never comes."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._at = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def passed(self) -> bool:
        return self.left() == 0.0

    def cap(self, seconds: float, floor: float = 0.0) -> float:
        """`seconds`, or what is left where that is less, but at least `floor`."""
        left = self.left()
        return seconds if left is None else max(floor, min(seconds, left))

    def check(self, what: str) -> None:
        """Raise WaitTimeout when the time is up."""
        if self.passed():
            raise WaitTimeout(f"{what} is not over after {self.timeout:g} s")


NEVER = Deadline(None)


class Backoff:
    """Pauses that grow from `first` to `most` seconds; each is shortened at random by up to
    half, so that many clients do not come back at once."""

    def __init__(self, first: float, most: float, factor: float = 2.0) -> None:
        self._first = first
        self._most = most
        self._factor = factor
        self._next = first

    def pause(self) -> float:
        pause = self._next * random.uniform(0.5, 1.0)
        self._next = min(self._most, self._next * self._factor)
        return pause

    def reset(self) -> None:
        self._next = self._first
