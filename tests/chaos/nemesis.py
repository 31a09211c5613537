"""The nemesis: one fault after the other, drawn from the seed, each undone after a while."""

import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.plant import Plant

Mend = Callable[[], object]
Say = Callable[[str], object]

PAUSE_S: Final = (1.0, 5.0)
RESTART_S: Final = 1.0
TRIES: Final = 5
"""Faults that are drawn until one can be done."""


@dataclass
class Nemesis:
    """Strikes and mends from one thread. `say` is told of everything that it does."""

    plant: Plant
    rng: random.Random
    say: Say
    faults: "dict[str, tuple[int, Fault]]"
    """By name: how often, relative to the others, and what."""
    struck: Counter[str] = field(default_factory=Counter)
    exits: list[str] = field(default_factory=list)
    """Processes that ended although nobody killed them."""
    expected: set[str] = field(default_factory=set)
    """Parts that are down, or may go down by themselves, because of a fault."""
    _mends: list[tuple[float, int, str, Mend]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def torment(self, seconds: float) -> None:
        """Returns when the time is over; then much is still broken: see `heal`."""
        end = time.monotonic() + seconds
        due = time.monotonic() + self.rng.uniform(*PAUSE_S)
        while (now := time.monotonic()) < end:
            if now >= due:
                self._strike()
                due = time.monotonic() + self.rng.uniform(*PAUSE_S)
            self._mend_until(now)
            self._look_for_exits()
            time.sleep(0.05)

    def heal(self) -> None:
        """Everything is undone, and everything runs."""
        self._mend_until(float("inf"))
        self.expected.clear()
        self._look_for_exits()
        self._mend_until(float("inf"))
        self.say("healed: no fault is left")

    def later(self, seconds: float, what: str, mend: Mend) -> None:
        heapq.heappush(self._mends, (time.monotonic() + seconds, next(self._numbers), what, mend))

    def _strike(self) -> None:
        # What one fault draws depends on what runs just now; the next fault must not.
        own = random.Random(self.rng.random())
        names = list(self.faults)
        for _ in range(TRIES):
            (name,) = own.choices(names, [self.faults[each][0] for each in names])
            detail = self.faults[name][1](self, own)
            if detail is not None:
                self.struck[name] += 1
                self.say(f"{name}: {detail}")
                return

    def _mend_until(self, now: float) -> None:
        while self._mends and self._mends[0][0] <= now:
            _, _, what, mend = heapq.heappop(self._mends)
            mend()
            self.say(what)

    def _look_for_exits(self) -> None:
        for name, part in list(self.plant.parts.items()):
            if name in self.expected or self.plant.is_up(name):
                continue
            status = part.process.returncode if part.process else None
            self.exits.append(f"{name} ended by itself with status {status}")
            self.say(self.exits[-1])
            self.down(name, RESTART_S)

    def down(self, name: str, seconds: float) -> None:
        """The part is down: it is started again then, as its supervisor would."""
        self.expected.add(name)
        self.later(seconds, f"{name} is started again", lambda: self.up(name))

    def up(self, name: str) -> None:
        self.expected.discard(name)
        part = self.plant.parts.get(name)
        if part is not None and not self.plant.is_up(name):
            part.start()

    def kill(self, name: str) -> None:
        self.expected.add(name)
        with suppress(ProcessLookupError):
            self.plant.parts[name].kill()


Fault = Callable[[Nemesis, random.Random], str | None]
"""Does it and says to whom, or None where it cannot be done just now. Draws from its own dice."""
