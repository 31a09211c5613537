"""What the stack has acknowledged, and so must keep."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Promise:
    """A batch that was acknowledged: its key, its body, its id."""

    project: str
    key: str
    body: dict[str, Any]
    batch: str


@dataclass
class Ledger:
    """Everything that the stack said yes to. Shared by all customers."""

    batches: list[Promise] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)
    """Each acknowledged job with its batch."""
    appended: dict[str, list[str]] = field(default_factory=dict)
    """By key: the jobs that one call added."""
    canceled_batches: set[str] = field(default_factory=set)
    canceled_jobs: dict[str, float] = field(default_factory=dict)
    """Jobs that were said never to begin, and when that was said, by the monotonic clock."""
    asked_twice: int = 0
    broken: list[str] = field(default_factory=list)
    """Promises that were broken before anybody had to look."""
