"""The devices themselves: what really began and ended on them, whatever anybody says."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


class Violation(BaseException):
    """An invariant is broken; the text says which, and by what. Nobody on the way may catch it."""


class Began(NamedTuple):
    """One run on one device, under the seat's fence."""

    at: float
    device: str
    batch: str
    job: str
    run: int
    fence: int


@dataclass
class Floor:
    """Every device; `running` maps it to the run that is on it and to when that one has ended at
    the latest: by itself, or because the leash of its worker has run out."""

    history: list[Began] = field(default_factory=list)
    running: dict[str, tuple[Began, float, Callable[[], float]]] = field(default_factory=dict)
    ends: dict[tuple[str, int], str] = field(default_factory=dict)
    began: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    forbidden: set[str] = field(default_factory=set)
    """Jobs whose cancel was acknowledged as certain."""

    def begin(self, began: Began, until: float, leash: Callable[[], float]) -> None:
        other = self.running.get(began.device)
        if other is not None and min(other[1], other[2]()) > began.at:
            raise Violation(f"two jobs at once on {began.device}: {other[0]} and {began}")
        if began.job in self.forbidden:
            raise Violation(f"job {began.job} began after its cancel was acknowledged")
        self.began[began.job, began.run] += 1
        if self.began[began.job, began.run] > 1:
            raise Violation(f"run {began.run} of job {began.job} began twice")
        self.history.append(began)
        self.running[began.device] = (began, until, leash)

    def end(self, device: str, job: str, run: int, how: str) -> None:
        running = self.running.get(device)
        if running is not None and (running[0].job, running[0].run) == (job, run):
            del self.running[device]
        self.ends[job, run] = how

    def power_off(self, device: str, runs: set[tuple[str, int]]) -> None:
        """The processes that ran these are dead."""
        running = self.running.get(device)
        if running is not None and (running[0].job, running[0].run) in runs:
            del self.running[device]
