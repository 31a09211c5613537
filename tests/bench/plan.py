"""How much of everything is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Step = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`step` is called once for each round, warm-ups included, of every section."""

    link_rounds: int
    throughput_rounds: int
    submit_rounds: int
    dispatches: int
    dispatch_rounds: int
    handovers: int
    many_waiting: int
    long_jobs: int
    long_rounds: int
    idle_s: float
    client_jobs: int
    client_rounds: int
    listed_jobs: int
    pages: int
    live_batches: int


FULL: Final = Plan(
    link_rounds=9,
    throughput_rounds=3,
    submit_rounds=9,
    dispatches=20,
    dispatch_rounds=5,
    handovers=60,
    many_waiting=1_000_000,
    long_jobs=30,
    long_rounds=3,
    idle_s=20,
    client_jobs=100,
    client_rounds=5,
    listed_jobs=1_000_000,
    pages=7,
    live_batches=60,
)
QUICK: Final = Plan(
    link_rounds=3,
    throughput_rounds=2,
    submit_rounds=3,
    dispatches=10,
    dispatch_rounds=2,
    handovers=20,
    many_waiting=100_000,
    long_jobs=20,
    long_rounds=1,
    idle_s=8,
    client_jobs=40,
    client_rounds=2,
    listed_jobs=100_000,
    pages=3,
    live_batches=20,
)
