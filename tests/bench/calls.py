"""Calls over HTTP: a thousand jobs accepted, and one job that is to begin at once."""

import json
import os
import time
from typing import Any
from uuid import UUID

import psycopg
import redis
from pydantic_core import from_json, to_json

from tests.bench.ground import NOOP, TYPE, Ground, await_true
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most

THOUSAND = 1000
HOLD_S = 0.5
"""The first job of a submitted batch: it keeps the device from starting the rest meanwhile."""

FLOOR_TABLES = """
    CREATE SCHEMA floor;
    CREATE TABLE floor.batch (id uuid PRIMARY KEY, device text NOT NULL, status text NOT NULL,
        jobs int NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE floor.job (id uuid PRIMARY KEY, batch_id uuid NOT NULL REFERENCES floor.batch,
        ordinal int NOT NULL, status text NOT NULL DEFAULT 'PENDING', payload jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(), UNIQUE (batch_id, ordinal));
    CREATE INDEX ON floor.job (batch_id, ordinal) WHERE status = 'PENDING';
"""


def submit(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    ground.database.execute(FLOOR_TABLES)
    broker = redis.Redis.from_url(ground.stack.servers.broker)
    raw = _body()
    ours, floor = [], []
    for measured in range(plan.submit_rounds + 1):
        a, b = _our_submit(ground, raw), _floor(ground.database, broker, raw)
        if measured:
            ours.append(a * 1e3)
            floor.append(b * 1e3)
        step()
    broker.close()
    return [
        Reading(
            metric="1,000 jobs over HTTP, until the answer",
            unit="ms",
            ours=ours,
            peer=floor,
            against="parse, COPY, commit, one publish",
            aim=at_most(2.0),
            paired=True,
        )
    ]


def _body() -> bytes:
    """About 280 bytes a job: the input of a small molecule."""
    oxygen, hydrogens = [0.0, 0.0, 0.1173], [[0.0, 0.7572, -0.4692], [0.0, -0.7572, -0.4692]]
    atoms = {"symbols": ["O", "H", "H"], "positions": [oxygen, *hydrogens]}
    method = {"method": "GFN2-xTB", "basis": None}
    jobs: list[dict[str, Any]] = [
        {"payload": {"do": "noop", "atoms": atoms, "charge": n, "level_of_theory": method}}
        for n in range(THOUSAND)
    ]
    jobs[0]["payload"] |= {"do": "sleep", "s": HOLD_S}
    return json.dumps({"device_type": TYPE, "jobs": jobs}).encode()


def _our_submit(ground: Ground, raw: bytes) -> float:
    """To a free device, so that staging and publishing are part of the call."""
    since = time.perf_counter()
    answer = ground.http.post("/v1/batches", content=raw)
    took = time.perf_counter() - since
    answer.raise_for_status()
    batch = answer.json()["id"]
    ground.post(f"/v1/batches/{batch}/cancel", {"interrupt": False})
    ground.until_over(batch)
    return took


def _floor(database: "psycopg.Connection[Any]", broker: redis.Redis, raw: bytes) -> float:
    since = time.perf_counter()
    jobs = from_json(raw)["jobs"]
    batch, *ids = _ids(len(jobs) + 1)
    with database.transaction(), database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO floor.batch (id, device, status, jobs) VALUES (%s, %s, 'PENDING', %s)",
            (batch, TYPE, len(jobs)),
        )
        copying = "COPY floor.job (id, batch_id, ordinal, payload) FROM STDIN"
        with cursor.copy(copying) as copy:
            for ordinal, (id_, job) in enumerate(zip(ids, jobs, strict=True), 1):
                copy.write_row((id_, batch, ordinal, to_json(job["payload"]).decode()))
    broker.lpush("floor", str(batch))
    to_json({"id": batch, "jobs": ids})
    return time.perf_counter() - since


def _ids(count: int) -> list[UUID]:
    """From one call for random bytes: the floor has nothing in it that could be left out."""
    random = os.urandom(16 * count)
    return [UUID(bytes=random[at : at + 16]) for at in range(0, len(random), 16)]


def dispatch(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    ours, idle = [], []
    batch = ground.submit([NOOP], open=True, idle_timeout_s=600)
    with ground.celery() as celery:
        for _ in range(plan.dispatch_rounds):
            ours += [_our_dispatch(ground, batch) * 1e3 for _ in range(plan.dispatches)]
            idle += [celery.dispatch() * 1e3 for _ in range(plan.dispatches)]
            step()
    ground.post(f"/v1/batches/{batch}/close", {})
    ground.until_over(batch)
    return [
        Reading(
            metric="add a job to an open batch, call to begin, p50",
            unit="ms",
            ours=ours,
            peer=idle,
            against="idle dispatch of a Celery task",
            aim=at_most(3.0),
        )
    ]


def _our_dispatch(ground: Ground, batch: str) -> float:
    """The worker's clock is this machine's."""
    _until_idle(ground, batch)
    since = time.time()
    job = ground.post(f"/v1/batches/{batch}/jobs", {"jobs": [NOOP]})["jobs"][0]["id"]
    _until_idle(ground, batch)
    row = ground.database.execute(
        "SELECT EXTRACT(epoch FROM started_at)::float8 FROM job WHERE id = %s", (job,)
    ).fetchone()
    assert row is not None
    return float(row[0]) - since


def _until_idle(ground: Ground, batch: str) -> None:
    def idle() -> bool:
        row = ground.database.execute(
            "SELECT jobs_left = 0 FROM batch WHERE id = %s", (batch,)
        ).fetchone()
        return row is not None and bool(row[0])

    await_true(idle, "an open batch to run out of jobs", 20)
