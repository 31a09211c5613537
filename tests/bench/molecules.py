"""The submit-batch door: a thousand molecules in one call, and the same call again."""

import json
import time
from typing import Any
from uuid import UUID

from sqlalchemy import create_engine

from orchestrator.store import ledger
from orchestrator.store.transaction import transaction
from tests.bench.ground import Ground, await_true
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most
from tests.submit.molecules import clusters

CLUSTERS, WARM_UP = 1000, 2
DEVICES = ("chem-a", "chem-b")
CREDITS = 10**15


def molecules(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    """The devices are scripted ones: what is measured is the call. Every job of it is billed."""
    workers = [ground.stack.worker(name, device_type="managed") for name in DEVICES]
    try:
        for name in DEVICES:
            ground.stack.online(name)
        _price(ground)
        first, again, native = _rounds(ground, plan, step)
    finally:
        for worker in workers:
            worker.stop()
    against = "the native call with the same jobs"
    return [
        Reading(
            metric="1,000 water clusters to submit-batch, until the answer",
            unit="ms",
            ours=first,
            aim=at_most(150),
        ),
        Reading(
            metric="the same call again: 1,000 cache hits",
            unit="ms",
            ours=again,
            aim=at_most(100),
        ),
        Reading(
            metric="1,000 water clusters to submit-batch",
            unit="ms",
            ours=first,
            peer=native,
            against=against,
            aim=at_most(3.0),
            paired=True,
        ),
    ]


def _price(ground: Ground) -> None:
    ground.database.execute("UPDATE device_type SET rate = 1000 WHERE name = 'managed'")
    engine = create_engine(ground.stack.servers.database)
    with transaction(engine) as tx:
        ledger.grant(tx, UUID(ground.stack.project_id), CREDITS, "bench")
    engine.dispose()


def _rounds(ground: Ground, plan: Plan, step: Step) -> tuple[list[float], list[float], list[float]]:
    first, again, native = [], [], []
    for measured in range(-WARM_UP, plan.submit_rounds):
        jobs = [each.model_dump() for each in clusters(CLUSTERS, seed=WARM_UP + measured)]
        raw = json.dumps({"jobs": [{"job": job} for job in jobs]}).encode()
        figures = (_call(ground, raw, "submitted"), _call(ground, raw, "cache_hits"))
        own = _native(ground, jobs)
        if measured >= 0:
            first.append(figures[0])
            again.append(figures[1])
            native.append(own)
            step()
    return first, again, native


def _call(ground: Ground, raw: bytes, verdict: str) -> float:
    """Milliseconds. Everything is computed before the next call."""
    since = time.perf_counter()
    answer = ground.post("/api/v1/jobs/submit-batch", raw)
    took = time.perf_counter() - since
    assert answer[verdict] == CLUSTERS, answer["jobs"][0]
    await_true(lambda: _left(ground) == 0, "the molecules", 120)
    return 1e3 * took


def _native(ground: Ground, jobs: list[dict[str, Any]]) -> float:
    body = {"device_type": "managed", "jobs": [{"payload": job} for job in jobs], "lanes": 2}
    raw = json.dumps(body).encode()
    since = time.perf_counter()
    ground.post("/v1/batches", raw)
    took = time.perf_counter() - since
    await_true(lambda: _left(ground) == 0, "the molecules", 120)
    return 1e3 * took


def _left(ground: Ground) -> int:
    row = ground.database.execute(
        "SELECT COALESCE(sum(jobs_left), 0) FROM batch WHERE device_type = 'managed'"
    ).fetchone()
    return 0 if row is None else int(row[0])
