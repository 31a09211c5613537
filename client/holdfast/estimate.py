"""When a batch is expected to begin and to end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from holdfast.reading import read
from holdfast.records import Value


@dataclass(frozen=True, kw_only=True)
class Span(Value):
    """With a chance of one half no later than `p50`, with nine in ten no later than `p90`."""

    p50: datetime
    p90: datetime


@dataclass(frozen=True, kw_only=True)
class Estimate(Value):
    """`start` and `end` are None where nothing can be said; of what has begun or is over they
    are the real times. `samples`: on how many durations they rest. `hit_rate`: which share of the
    last `of` batches of this device type began by their `p50`, and `p90`. `why` is a sentence,
    `reasons` the same for programs: each has a `code`, and facts beside it."""

    batch_id: str
    status: str
    at: datetime
    samples: int
    start: Span | None
    end: Span | None
    hit_rate: dict[str, float] | None
    why: str
    reasons: list[dict[str, Any]]
    _answer: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Of what the server says."""
        start, end = (answer.get(name) and read(Span, answer[name]) for name in ("start", "end"))
        why = answer["why"]
        known = {"start": start, "end": end, "why": why["sentence"], "reasons": why["reasons"]}
        return read(cls, {**answer, **known}, _answer=answer)

    def to_dict(self) -> dict[str, Any]:
        """As the server said it."""
        return dict(self._answer)
