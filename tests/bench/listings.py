"""Pages of a million jobs with their exact totals: every combination of filters, however deep."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from statistics import median
from typing import Any
from uuid import UUID

from orchestrator.store.listings_pasqal_batches import BatchesWanted, find_batches
from orchestrator.store.listings_pasqal_jobs import JobsWanted, find_jobs
from orchestrator.store.listings_reading import Reader, reading
from schemas.words import JobStatus
from tests.bench.ground import Ground
from tests.bench.million import PROJECTS, USERS, Shape, filled
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most

AIM = at_most(50.0)
PAGE = 100
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SEEN = [PROJECTS[:1], PROJECTS]
S = JobStatus

Choice = dict[str, Any]
OWNERS: list[Choice] = [{}, {"user_ids": USERS[:2]}]
STATUSES: list[Choice] = [
    {},
    {"statuses": [S.DONE]},
    {"statuses": [S.PENDING, S.DONE]},
    {"statuses": [S.CANCELED]},
    {"errors": True},
    {"errors": False},
]
RUNS: list[Choice] = [{}, {"min_runs": 300, "max_runs": 1500}, {"min_runs": 777, "max_runs": 778}]
DATES: list[Choice] = [
    {},
    {"start_date": BEGIN + timedelta(days=10.3), "end_date": BEGIN + timedelta(days=50.7)},
    {"start_date": BEGIN + timedelta(days=30.1), "end_date": BEGIN + timedelta(days=30.6)},
]


BATCHES: list[list[Choice]] = [
    OWNERS,
    [{}, {"statuses": ["DONE"]}, {"statuses": ["PENDING"]}],
    [{}, {"tag": "rare"}],
    [{}, {"device_types": ["FRESNEL"], "min_jobs": 1}],
    DATES,
]
Ask = Callable[[int], int]
"""One page from an offset; returns the total."""


def listings(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    readings: list[Reading] = []
    for batches in (plan.listed_jobs // 100, plan.listed_jobs // 1000):
        shape = Shape(batches, plan.listed_jobs // batches)
        with filled(ground, shape) as engine, reading(engine) as connection:
            step()
            readings += _readings("jobs", shape, plan, list(_asks_for_jobs(connection)))
            readings += _readings("batches", shape, plan, list(_asks_for_batches(connection)))
            step()
    return readings


def _readings(what: str, shape: Shape, plan: Plan, asks: Sequence[Ask]) -> list[Reading]:
    """Each figure is the median of one filter; the slowest filter is held against the aim."""
    first, deep = [], []
    for ask in asks:
        total = ask(0)
        first.append(_p50(ask, 0, plan))
        deep.append(max(_p50(ask, total * part // 10, plan) for part in (5, 9)))
    among = f"of {what}, slowest of {len(asks)} filters, {shape.title}, p50"
    return [
        Reading(metric=f"{where} and total {among}", unit="ms", ours=[max(p50s)], aim=AIM)
        for where, p50s in (("first page", first), ("deep page", deep))
    ]


def _p50(ask: Ask, offset: int, plan: Plan) -> float:
    took = []
    for _ in range(plan.pages):
        since = time.perf_counter()
        ask(offset)
        took.append((time.perf_counter() - since) * 1e3)
    return median(took)


def _asks_for_jobs(connection: Reader) -> Iterator[Ask]:
    for projects, chosen in product(SEEN, _combined(OWNERS, STATUSES, RUNS, DATES)):
        yield partial(_jobs, connection, projects, JobsWanted(**chosen))


def _jobs(connection: Reader, projects: Sequence[UUID], wanted: JobsWanted, offset: int) -> int:
    return find_jobs(connection, projects, wanted, offset=offset, limit=PAGE).total


def _asks_for_batches(connection: Reader) -> Iterator[Ask]:
    for projects, chosen in product(SEEN, _combined(*BATCHES)):
        yield partial(_batches, connection, projects, BatchesWanted(**chosen))


def _batches(
    connection: Reader, projects: Sequence[UUID], wanted: BatchesWanted, offset: int
) -> int:
    return find_batches(connection, projects, wanted, offset=offset, limit=PAGE).total


def _combined(*choices: Sequence[Choice]) -> list[Choice]:
    return [
        {name: value for part in parts for name, value in part.items()}
        for parts in product(*choices)
    ]
