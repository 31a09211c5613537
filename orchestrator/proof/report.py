"""What a check found: a line for each thing that was looked at, and the rows that offend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

PROMISES: Final = {
    0: "the witness is whole",
    1: "one batch at a time",
    2: "nobody in between",
    3: "in order",
    4: "one end for each job",
    5: "one run, one result",
    6: "canceled is canceled",
    7: "idle time",
    8: "nothing is forgotten",
    9: "calls are kept",
    10: "the ledger",
}

Tell = Callable[[int, int, str], None]
"""How many steps are done, of how many, and what is being done now."""


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    BAD = "violated"
    NONE = "no such thing yet"


class Violation(NamedTuple):
    """`invariant` as numbered in the guarantees; 0 is the witness itself."""

    invariant: int
    what: str
    row: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """`looked_at` of `of` (jobs, events, ...), `found` of which offend."""

    invariant: int
    what: str
    looked_at: int
    of: str
    found: int
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """`violations` and `warnings` name the first offenders of each line; `found` counts all.

    `at` is the moment that was looked at, by the database's clock.
    """

    at: datetime
    took_s: float
    counts: Mapping[str, int]
    lines: list[Line] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    warnings: list[Violation] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.violations
