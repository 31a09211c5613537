"""What a job costs. Whole micro-credits; a rate is micro-credits for one core and one second.

What is held for a job before it runs is never less than what is taken for it afterwards, and a
part of a micro-credit is rounded up once, at the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

CREDIT: Final = 1_000_000
"""Micro-credits in one credit."""
HOUR_S: Final = 3600
"""How long a job is taken to run before anybody knows: what is held for it is for that long."""
RATES: Final = {"xtb": 1000}
"""Of device types that nobody gave a rate, by executor; all others are free."""
MOST_RATE: Final = 10**9
MOST_CORES: Final = 1024
_MS: Final = timedelta(milliseconds=1)


def hold_for(rate: int, cores: int, hours: int = 1) -> int:
    """What is held for one job that may run for so many hours."""
    return rate * cores * hours * HOUR_S


def core_ms(cores: int, took: timedelta) -> int:
    """Core-milliseconds, one that was begun counting as a whole; none for a span below zero,
    which is two clocks that differ."""
    return cores * max(0, -(-took // _MS))


def cost(rate: int, cores: int, took: timedelta) -> int:
    return -(-rate * core_ms(cores, took) // 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """Micro-credits: what would be held for so many jobs, and what there is."""

    required: int
    available: int
    billable_jobs: int

    @property
    def shortfall(self) -> int:
        return max(0, self.required - self.available)


def quote(prices: Iterable[tuple[int, int]], available: int) -> Quote:
    """`prices` are rate and cores, for each job; what is free is no billable job."""
    holds = [hold_for(rate, cores) for rate, cores in prices if rate > 0]
    return Quote(required=sum(holds), available=available, billable_jobs=len(holds))
