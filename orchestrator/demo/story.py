"""What happened, as plain values: the report and the picture are made from these alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from orchestrator.demo.loop import Trial


@dataclass(frozen=True, kw_only=True)
class Span:
    """One job on the device."""

    began: datetime
    ended: datetime


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One batch and its jobs that ran, in the order in which they began."""

    name: str
    status: str
    created: datetime
    spans: Sequence[Span]

    @property
    def began(self) -> datetime:
        return self.spans[0].began

    @property
    def ended(self) -> datetime:
        return max(span.ended for span in self.spans)


@dataclass(frozen=True, kw_only=True)
class Story:
    """`first` is the open batch of the loop, `second` the one that had to wait for it.

    `confirmed` are fresh counts of the best trial: the lowest of many noisy energies is too
    low on average, so it is not what is reported.
    """

    exact: float
    trials: Sequence[Trial]
    confirmed: Mapping[str, int]
    first: Lane
    second: Lane

    def handover_s(self) -> float:
        """From the last job of the first batch to the first of the second; negative if the
        device was shared, which must never be."""
        return (self.second.began - self.first.ended).total_seconds()

    def overlaps(self) -> int:
        """How many jobs began before the one before them, of either batch, had ended."""
        spans = sorted([*self.first.spans, *self.second.spans], key=lambda span: span.began)
        return sum(b.began < a.ended for a, b in pairwise(spans))

    def was_exclusive(self) -> bool:
        return self.handover_s() >= 0 and not self.overlaps()
