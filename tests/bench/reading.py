"""What a section brings home: figures of both sides, and the aim that they are held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True)
class Aim:
    way: Literal["at most", "at least"]
    bound: float

    def holds(self, value: float) -> bool:
        return value <= self.bound if self.way == "at most" else value >= self.bound


def at_most(bound: float) -> Aim:
    return Aim("at most", bound)


def at_least(bound: float) -> Aim:
    return Aim("at least", bound)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One line. Without a peer, ours itself is held against the aim."""

    metric: str
    unit: str
    ours: Sequence[float]
    aim: Aim
    peer: Sequence[float] = ()
    against: str = ""
    paired: bool = False
    """Figures of the same round stand at the same place, so ratios are taken within rounds."""

    @property
    def ratio(self) -> float | None:
        if not self.peer:
            return None
        if self.paired:
            return median(a / b for a, b in zip(self.ours, self.peer, strict=True))
        return median(self.ours) / median(self.peer)

    @property
    def met(self) -> bool:
        ratio = self.ratio
        return self.aim.holds(median(self.ours) if ratio is None else ratio)
