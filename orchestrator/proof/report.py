"""What a check found: a line for each thing that was looked at, and the rows that offend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

Tell = Callable[[int, int, str], None]
"""How many steps are done, of how many, and what is being done now."""


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    BAD = "violated"


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

    `at` is the moment that was looked at, by the database's clock; `since` and `until` are the
    range that was asked for, None where it is open.
    """

    at: datetime
    took_s: float
    counts: Mapping[str, int]
    since: datetime | None = None
    until: datetime | None = None
    lines: list[Line] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    warnings: list[Violation] = field(default_factory=list)

    @property
    def warned(self) -> int:
        """How many warnings there are, named or not."""
        return sum(line.found for line in self.lines if line.verdict is Verdict.WARN)

    @property
    def clean(self) -> bool:
        return not self.violations
