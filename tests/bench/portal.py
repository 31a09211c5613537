"""The portal's list of batches over a million of them, as a browser gets it."""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import combinations
from statistics import median, quantiles
from typing import LiteralString

import httpx
import psycopg

from orchestrator.config import Settings
from orchestrator.services.core import Core
from orchestrator.store import migrations
from tests.bench.ground import Ground
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most
from tests.integration.api_stack import new_key, serving
from tests.integration.guest import guest
from tests.integration.puppet import PROJECT

AIM = at_most(200.0)
COMMON = f"{1:032x}"
RARE = f"{9:032x}"
# Each way to narrow the list: what most batches have, what few have, what none has.
CHOICES: dict[str, list[str]] = {
    "status": ["status=DONE", "status=PENDING", "status=ERROR&status=CANCELED", "status=PAUSED"],
    "device type": ["device_type=FRESNEL", "device_type=RARE"],
    "user": [f"user={COMMON}", f"user={RARE}"],
    "tag": ["tag=t1", "tag=rare", "tag=none"],
    "time": ["since=2026-02-28", "until=2026-01-11", "since=2026-01-31&until=2026-01-31"],
    "name": ["name=sweep+7"],
    "open": ["open=yes"],
}
_OWNERS: LiteralString = """
    INSERT INTO project (id, name) VALUES (lpad('1', 32, '0')::uuid, 'p');
    INSERT INTO "user" (id, username, password_hash)
        SELECT lpad(to_hex(n), 32, '0')::uuid, 'u' || n, '' FROM generate_series(0, 9) AS n;
    INSERT INTO membership (user_id, project_id, role)
        SELECT id, lpad('1', 32, '0')::uuid, 'member' FROM "user";
    INSERT INTO device_type (name, executor) VALUES ('EMU_FREE', ''), ('FRESNEL', ''), ('RARE', '')
"""
# The last of a hundred wait; one in fifty went wrong.
_BATCHES: LiteralString = """
    INSERT INTO batch (id, project_id, user_id, device_type, open, preemptible, idle_timeout_s,
        name, tags, created_at, updated_at, shared, status, admitted_at, started_at, ended_at,
        jobs_total, jobs_left, jobs_done, jobs_failed)
    SELECT gen_random_uuid(), %(project)s,
        lpad(CASE WHEN mod(n, 20000) = 7 THEN '9' ELSE to_hex(mod(n, 8)) END, 32, '0')::uuid,
        CASE WHEN mod(n, 50000) = 11 THEN 'RARE' WHEN mod(n, 3) = 0 THEN 'FRESNEL'
            ELSE 'EMU_FREE' END,
        n > %(batches)s - 3, true, 300, 'sweep ' || mod(n, 1000),
        CASE WHEN mod(n, 5000) = 0 THEN '{rare}' ELSE ARRAY['t' || mod(n, 7)] END, at, at,
        json_build_object('sequence', repeat(md5(n::text), 4)), status,
        over, over, over, 10, CASE WHEN over IS NULL THEN 10 ELSE 0 END,
        CASE WHEN status = 'DONE' THEN 10 ELSE 0 END,
        CASE WHEN status IN ('ERROR', 'CANCELED') THEN 10 ELSE 0 END
    FROM (
        SELECT n, at, status, CASE WHEN status <> 'PENDING' THEN at END AS over
        FROM (
            SELECT n, timestamptz '2026-01-01' + n * interval '60 days' / %(batches)s AS at,
                CASE WHEN n > 0.99 * %(batches)s THEN 'PENDING' WHEN mod(n, 100) = 1 THEN 'ERROR'
                    WHEN mod(n, 100) = 2 THEN 'CANCELED' ELSE 'DONE' END AS status
            FROM generate_series(1, %(batches)s) AS n
        ) AS made
    ) AS ended ORDER BY n
"""


def portal(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    with listing(ground, plan.listed_jobs) as http:
        step()
        took = {query: _opened(http, query, plan.pages) for query in _queries()}
        step()
    every = [ms for each in took.values() for ms in each]
    of = f"page of 50 of {plan.listed_jobs:,} batches"
    slowest = [max(median(each) for each in took.values())]
    worst = [quantiles(every, n=100)[98]]
    return [
        Reading(metric=f"{of}, no filter, p50", unit="ms", ours=took[""], aim=AIM),
        Reading(
            metric=f"{of}, slowest of {len(took)} filters, p50", unit="ms", ours=slowest, aim=AIM
        ),
        Reading(metric=f"{of}, all filters, p99", unit="ms", ours=worst, aim=AIM),
    ]


def _queries() -> Iterator[str]:
    """None, each alone, every two of different kinds."""
    yield ""
    yield from (each for choices in CHOICES.values() for each in choices)
    for one, other in combinations(CHOICES.values(), 2):
        yield from (f"{this}&{that}" for this in one for that in other)


def _opened(http: httpx.Client, query: str, times: int) -> list[float]:
    """Milliseconds, once each after a first time."""
    took = []
    for _ in range(times + 1):
        since = time.perf_counter()
        answer = http.get(f"/batches?{query}")
        took.append((time.perf_counter() - since) * 1e3)
        assert answer.status_code == 200, answer.text[:300]
    return took[1:]


@contextmanager
def listing(ground: Ground, batches: int) -> Generator[httpx.Client]:
    """A browser, signed in to a server over a database of its own."""
    bare = ground.database_url.rpartition("/")[0] + "/listing"
    url = bare.replace("postgresql://", "postgresql+psycopg://")
    ground.database.execute("CREATE DATABASE listing")
    try:
        migrations.upgrade(url)
        with psycopg.connect(bare, autocommit=True) as connection:
            connection.execute(_OWNERS)
            connection.execute(_BATCHES, {"batches": batches, "project": PROJECT})
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
        core = Core.start(
            Settings.from_env(
                {
                    "HOLDFAST_DATABASE_URL": url,
                    "HOLDFAST_BROKER_URL": ground.stack.servers.broker,
                    "HOLDFAST_STORE_URL": ground.folder.as_uri(),
                }
            )
        )
        with serving(core) as api, guest(api, new_key(core)) as visitor:
            yield visitor.http
        core.close()
    finally:
        ground.database.execute("DROP DATABASE listing WITH (FORCE)")
