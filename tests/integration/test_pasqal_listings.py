"""Totals and numbered pages, against a model that looks at every row."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest

from orchestrator.services.append import append
from orchestrator.services.core import Core
from orchestrator.store.listings_numbered import Found, Order
from orchestrator.store.listings_pasqal_batches import BatchesWanted, FoundBatch, find_batches
from orchestrator.store.listings_pasqal_jobs import FoundJob, JobsWanted, find_jobs
from orchestrator.store.listings_reading import reading
from schemas.job import JobIn
from schemas.words import BatchStatus, JobStatus
from tests.integration.past import THIRD_PROJECT, UNSERVED, USERS, Past
from tests.integration.puppet import (
    OTHER_PROJECT,
    PROJECT,
    TYPE,
    Puppet,
    add_jobs,
    call,
    job_bodies,
    new_batch,
)

MINE = [PROJECT, THIRD_PROJECT]
DIALECT = ["PENDING", "RUNNING", "DONE", "CANCELED", "TIMED_OUT", "ERROR"]
MEANT = {"PAUSED": "PENDING", "PREEMPTED": "PENDING", "ADMITTED": "RUNNING"}
SIGNS = {-5: "LOW", 0: "MEDIUM", 7: "HIGH"}
Row = dict[str, Any]
Wanted = TypeVar("Wanted", JobsWanted, BatchesWanted)
TESTS = 150


def jobs(core: Core, wanted: JobsWanted, offset: int, limit: int, order: Order) -> Found[FoundJob]:
    with reading(core.engine) as connection:
        return find_jobs(connection, MINE, wanted, offset=offset, limit=limit, order=order)


def batches(
    core: Core, wanted: BatchesWanted, offset: int, limit: int, order: Order
) -> Found[FoundBatch]:
    with reading(core.engine) as connection:
        return find_batches(connection, MINE, wanted, offset=offset, limit=limit, order=order)


def some_of(lot: random.Random, values: Sequence[Any]) -> list[Any]:
    return lot.sample(values, lot.randint(0 if lot.random() < 0.05 else 1, min(3, len(values))))


def drawn(lot: random.Random, kind: type[Wanted], fields_: dict[str, Any]) -> Wanted:
    """Each field with a value or without; every combination comes up sooner or later."""
    share = lot.choice([0.15, 0.3, 0.6])
    return kind(**{name: draw() for name, draw in fields_.items() if lot.random() < share})


def any_jobs(lot: random.Random, rows: Sequence[Row]) -> JobsWanted:
    def moment() -> Any:
        return lot.choice(rows)["created_at"] + timedelta(microseconds=lot.choice([-1, 0, 1]))

    def one_of_many(name: str, also: Any) -> Any:
        return lambda: some_of(lot, [*{row[name] for row in rows}, also])

    return drawn(
        lot,
        JobsWanted,
        {
            "ids": lambda: [lot.choice(rows)["id"] for _ in range(20)] * lot.choice([1, 2]),
            "project_ids": lambda: some_of(lot, [*MINE, OTHER_PROJECT]),
            "user_ids": lambda: some_of(lot, [*USERS, uuid4()]),
            "batch_ids": one_of_many("batch_id", uuid4()),
            "statuses": lambda: some_of(lot, list(JobStatus)),
            "min_runs": lambda: lot.choice([-3, 0, 1, 10, 20, 50, 100, 101, 2**31 - 1]),
            "max_runs": lambda: lot.choice([-1, 9, 30, 50, 100, 299, 2**31 - 1]),
            "errors": lambda: lot.choice([True, False]),
            "start_date": moment,
            "end_date": moment,
        },
    )


def is_wanted_job(row: Row, wanted: JobsWanted) -> bool:
    checks = {
        "ids": lambda ids: row["id"] in ids,
        "project_ids": lambda ids: row["project_id"] in ids,
        "user_ids": lambda ids: row["user_id"] in ids,
        "batch_ids": lambda ids: row["batch_id"] in ids,
        "statuses": lambda statuses: row["status"] in statuses,
        "min_runs": lambda least: row["runs"] is not None and row["runs"] >= least,
        "max_runs": lambda most: row["runs"] is not None and row["runs"] <= most,
        "errors": lambda errors: (row["status"] == "ERROR") == errors,
        "start_date": lambda start: row["created_at"] >= start,
        "end_date": lambda end: row["created_at"] <= end,
    }
    return row["project_id"] in MINE and passes(checks, wanted)


def passes(checks: dict[str, Any], wanted: JobsWanted | BatchesWanted) -> bool:
    given = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
    return all(checks[name](value) for name, value in given.items() if value is not None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_filter_over_jobs_finds_what_a_look_at_every_job_finds(core: Core, seed: int) -> None:
    rows = Past(core, seed).lived(120).jobs()
    lot = random.Random(seed)
    for _ in range(TESTS):
        wanted = any_jobs(lot, rows)
        matching = [row["id"] for row in rows if is_wanted_job(row, wanted)]
        assert_pages(core, jobs, wanted, matching, lot)


def assert_pages(core: Core, find: Any, wanted: Any, matching: list[UUID], lot: Any) -> None:
    for order in ("ASC", "DESC"):
        offset = lot.choice([0, 0, 1, lot.randint(0, len(matching) + 2), len(matching), 10**9])
        limit = lot.choice([1, 3, 10, 100])
        found = find(core, wanted, offset, limit, order)
        expected = matching if order == "ASC" else matching[::-1]
        assert found.total == len(matching), wanted
        assert [row.id for row in found.rows] == expected[offset : offset + limit], wanted


def test_a_past_has_every_kind_of_job(core: Core) -> None:
    """Else the model above is compared with little."""
    rows = Past(core, 1).lived(120).jobs()
    assert {row["status"] for row in rows} == set(JobStatus)
    assert {row["project_id"] for row in rows} == {*MINE, OTHER_PROJECT}
    assert {None, 100} <= {row["runs"] for row in rows}
    assert any(row["parent_id"] for row in rows)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_page_after_page_every_job_comes_once_in_the_order_of_creation(
    core: Core, order: Order
) -> None:
    rows = [row for row in Past(core, 4).lived(80).jobs() if row["project_id"] in MINE]
    pages = [jobs(core, JobsWanted(), offset, 7, order) for offset in range(0, len(rows), 7)]
    seen = [job.id for page in pages for job in page.rows]
    expected = [row["id"] for row in rows]
    assert seen == (expected if order == "ASC" else expected[::-1])
    assert {page.total for page in pages} == {len(rows)}


def test_jobs_of_one_call_stand_in_the_order_given(core: Core) -> None:
    for batch in Past(core, 5).lived(60).batches():
        found = jobs(core, JobsWanted(batch_ids=[batch["id"]]), 0, 100, "ASC")
        assert [job.ordinal for job in found.rows] == list(range(1, len(found.rows) + 1))


def test_a_found_job_is_told_whole(core: Core) -> None:
    for row in Past(core, 6).lived(60).jobs():
        for job in jobs(core, JobsWanted(ids=[row["id"]]), 0, 1, "DESC").rows:
            assert all(getattr(job, name) == row[name] for name in told(FoundJob, row))
            assert job.variables == row["payload"].get("variables")


def told(kind: type, row: Row) -> set[str]:
    return {field.name for field in fields(kind)} & row.keys()


def any_batches(lot: random.Random, rows: Sequence[Row]) -> BatchesWanted:
    def moment() -> Any:
        return lot.choice(rows)["created_at"] + timedelta(microseconds=lot.choice([-1, 0, 1]))

    return drawn(
        lot,
        BatchesWanted,
        {
            "ids": lambda: [lot.choice(rows)["id"] for _ in range(20)],
            "id_starts_with": lambda: str(lot.choice(rows)["id"])[: lot.choice([0, 1, 13, 36])],
            "project_ids": lambda: some_of(lot, [*MINE, OTHER_PROJECT]),
            "user_ids": lambda: some_of(lot, [*USERS, uuid4()]),
            "device_types": lambda: some_of(lot, [TYPE, UNSERVED, "UNKNOWN"]),
            "statuses": lambda: some_of(lot, DIALECT),
            "open": lambda: lot.choice([True, False]),
            "queue_priorities": lambda: some_of(lot, list(SIGNS.values())),
            "tag": lambda: lot.choice(["red", "blue", "green", "other"]),
            "min_jobs": lambda: lot.choice([0, 1, 3, 9]),
            "max_jobs": lambda: lot.choice([0, 1, 4, 100]),
            "start_date": moment,
            "end_date": moment,
        },
    )


def is_wanted_batch(row: Row, wanted: BatchesWanted) -> bool:
    checks = {
        "ids": lambda ids: row["id"] in ids,
        "id_starts_with": lambda prefix: str(row["id"]).startswith(prefix),
        "project_ids": lambda ids: row["project_id"] in ids,
        "user_ids": lambda ids: row["user_id"] in ids,
        "device_types": lambda types: row["device_type"] in types,
        "statuses": lambda words: MEANT.get(row["status"], row["status"]) in words,
        "open": lambda is_open: (row["open"] and row["ended_at"] is None) == is_open,
        "queue_priorities": lambda words: SIGNS[row["priority"]] in words,
        "tag": lambda tag: tag in row["tags"],
        "min_jobs": lambda least: row["jobs_total"] >= least,
        "max_jobs": lambda most: row["jobs_total"] <= most,
        "start_date": lambda start: row["created_at"] >= start,
        "end_date": lambda end: row["created_at"] <= end,
    }
    return row["project_id"] in MINE and passes(checks, wanted)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_filter_over_batches_finds_what_a_look_at_every_batch_finds(
    core: Core, seed: int
) -> None:
    rows = Past(core, seed).lived(120).batches()
    lot = random.Random(seed)
    for _ in range(TESTS):
        wanted = any_batches(lot, rows)
        matching = [row["id"] for row in rows if is_wanted_batch(row, wanted)]
        assert_pages(core, batches, wanted, matching, lot)


def test_a_found_batch_is_told_whole(core: Core) -> None:
    past = Past(core, 7).lived(60)
    mine = [row for row in past.batches() if row["project_id"] in MINE]
    every_job = past.jobs()
    for row, found in zip(mine, batches(core, BatchesWanted(), 0, 1000, "ASC").rows, strict=True):
        assert all(getattr(found, name) == row[name] for name in told(FoundBatch, row))
        own = [job["status"] for job in every_job if job["batch_id"] == row["id"]]
        assert found.jobs_running == own.count("RUNNING")
        assert bool(found.devices) == (row["status"] in (BatchStatus.ADMITTED, BatchStatus.RUNNING))


def test_what_a_batch_remembers_of_its_jobs_is_what_its_jobs_are(core: Core) -> None:
    """It is what totals are made of; here it is looked at itself."""
    past = Past(core, 8).lived(150)
    every_job = past.jobs()
    for batch in past.batches():
        own = [job for job in every_job if job["batch_id"] == batch["id"]]
        runs = sorted(job["runs"] for job in own if job["runs"] is not None)
        moments = [job["created_at"] for job in own]
        assert batch["runs"] == sorted(set(runs))
        assert batch["runs_upto"] == [sum(r <= value for r in runs) for value in batch["runs"]]
        assert batch["jobs_first_at"] == min(moments, default=None)
        assert batch["jobs_last_at"] == max(moments, default=None)


def test_calls_at_the_same_time_lose_none_of_each_others_jobs(core: Core) -> None:
    past = Past(core, 9)
    batch = new_batch(core, 1, open=True)
    bodies = [[JobIn(runs=runs, payload={})] * 2 for runs in (5, 3, 5, 9, 3, 5)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda new: call(core, append, PROJECT, batch, new), bodies))
    (row,) = past.batches()
    assert (row["runs"], row["runs_upto"]) == ([3, 5, 9], [4, 10, 12])
    assert jobs(core, JobsWanted(max_runs=5), 0, 1, "ASC").total == 10


def test_a_job_that_is_added_later_is_never_older(
    core: Core, sql: psycopg.Connection[tuple[object, ...]]
) -> None:
    Puppet.online(core, "dev-1")
    batch = new_batch(core, 1, open=True)
    with core.transaction() as slow:
        early = slow.at
        add_jobs(core, batch, 1)
        append(core, slow, PROJECT, batch, job_bodies(1))
    created = sql.execute(
        "SELECT created_at FROM job WHERE batch_id = %s ORDER BY ordinal", [batch]
    ).fetchall()
    assert created == sorted(created)
    assert created[-1] != (early,)
