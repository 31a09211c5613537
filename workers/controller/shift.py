"""What the threads of a controller tell each other: to leave, to hurry, how long they may."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

_MARGIN_S: Final = 5.0
_HURRIED_S: Final = 0.5


class Term:
    """For how long this controller may hold what it has, by what it was told and by its own clock.

    Counted from before the question, so that the server's own count ends later, whatever the
    answer's way took. `leashes` are told too: they kill where this process stands still.
    """

    def __init__(self, leashes: Sequence[Callable[[float], None]] = ()) -> None:
        self._leashes = leashes
        self._until = -math.inf

    def renewed(self, asked_at: float, lease_s: float) -> None:
        self._until = asked_at + lease_s - min(_MARGIN_S, lease_s / 5)
        for tell in self._leashes:
            tell(self._until)

    def left(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def is_over(self) -> bool:
        return time.monotonic() >= self._until


@dataclass
class Shift:
    leaving: threading.Event = field(default_factory=threading.Event)
    """Begin nothing more."""
    now: threading.Event = field(default_factory=threading.Event)
    """End what runs, too."""
    taken: threading.Event = field(default_factory=threading.Event)
    """Another process has our name: end what runs, and say nothing."""
    silent_from: float = math.inf
    """From then on, of time.monotonic(), nothing more is sent: the journal keeps it."""

    def is_silent(self) -> bool:
        return self.taken.is_set() or time.monotonic() >= self.silent_from

    def pause(self, seconds: float) -> None:
        """Shorter once there is a hurry."""
        if not self.now.wait(seconds):
            return
        time.sleep(max(0.0, min(seconds, _HURRIED_S, self.silent_from - time.monotonic())))
