"""A past of a million jobs, in a database of its own.

It is put in as it was before the listings counted by batches; their migration does the rest.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from orchestrator.store import migrations
from orchestrator.store.transaction import connect
from tests.bench.ground import Ground

BEFORE = "0003"
PROJECTS = [UUID(int=n) for n in range(4)]
USERS = [UUID(int=n) for n in range(6)]
DAYS = 60


@dataclass(frozen=True, slots=True)
class Shape:
    """A fifth of the batches is open for three hours; the last of a hundred still wait."""

    batches: int
    jobs_each: int

    @property
    def title(self) -> str:
        return f"{self.batches * self.jobs_each:,} jobs in {self.batches:,} batches"


_OWNERS: LiteralString = """
    INSERT INTO project (id, name)
        SELECT lpad(to_hex(n), 32, '0')::uuid, 'p' || n FROM generate_series(0, 3) AS n;
    INSERT INTO "user" (id, username, password_hash)
        SELECT lpad(to_hex(n), 32, '0')::uuid, 'u' || n, '' FROM generate_series(0, 5) AS n;
    INSERT INTO device_type (name, executor) VALUES ('EMU_FREE', ''), ('FRESNEL', '');
    SELECT setseed(0.5)
"""
# 85 % of it is one project's. Half of the batches have the same `runs` for all their jobs.
_PLAN: LiteralString = """
    CREATE TEMP TABLE plan AS
    SELECT n, gen_random_uuid() AS id,
        lpad(CASE WHEN random() < 0.85 THEN '0' ELSE to_hex(1 + mod(n, 3)) END, 32, '0')::uuid
            AS project_id,
        lpad(to_hex(mod(n, 6)), 32, '0')::uuid AS user_id, random() < 0.5 AS same_runs,
        timestamptz '2026-01-01' + n * interval '60 days' / %(batches)s AS created_at,
        CASE WHEN random() < 0.2 THEN interval '3 hours' ELSE interval '0' END AS span,
        n > 0.99 * %(batches)s AS waits
    FROM generate_series(1, %(batches)s) AS n
"""
_BATCHES: LiteralString = """
    INSERT INTO batch (id, project_id, user_id, device_type, open, preemptible, idle_timeout_s,
        tags, created_at, updated_at, shared)
    SELECT id, project_id, user_id, CASE WHEN mod(n, 3) = 0 THEN 'FRESNEL' ELSE 'EMU_FREE' END,
        false, true, 300, CASE WHEN mod(n, 50) = 0 THEN '{rare}' ELSE ARRAY['t' || mod(n, 7)] END,
        created_at, created_at, json_build_object('sequence', (
            SELECT string_agg(md5(n || ' ' || part), '') FROM generate_series(1, 40) AS part
        ))
    FROM plan ORDER BY n
"""
_JOBS: LiteralString = """
    INSERT INTO job (id, batch_id, project_id, ordinal, status, payload, runs, created_at,
        started_at, ended_at)
    SELECT gen_random_uuid(), id, project_id, ordinal, status, json_build_object('runs', runs,
            'variables', json_build_object('omega', random(), 'ts', ARRAY[random(), random()])),
        runs, at, CASE WHEN status <> 'PENDING' THEN at END,
        CASE WHEN status <> 'PENDING' THEN at END
    FROM (
        SELECT plan.*, ordinal, created_at + span * ordinal / %(jobs)s AS at,
            CASE WHEN same_runs THEN 100 * (1 + mod(n, 10))
                ELSE 1 + (random() * 1999)::int END AS runs,
            CASE WHEN waits THEN 'PENDING' WHEN chance < 0.01 THEN 'ERROR'
                WHEN chance < 0.015 THEN 'CANCELED' ELSE 'DONE' END AS status
        FROM plan, LATERAL (
            SELECT ordinal, random() AS chance FROM generate_series(1, %(jobs)s) AS ordinal
            WHERE plan.n > 0
        ) AS each_job
    ) AS made ORDER BY n, ordinal
"""
_COUNTS: LiteralString = """
    UPDATE batch SET jobs_total = %(jobs)s, jobs_left = counted.waiting, jobs_done = counted.done,
        jobs_failed = counted.failed, jobs_canceled = counted.canceled,
        status = CASE WHEN counted.waiting = 0 THEN 'DONE' ELSE 'PENDING' END,
        ended_at = CASE WHEN counted.waiting = 0 THEN created_at END
    FROM (
        SELECT batch_id, count(*) FILTER (WHERE status = 'PENDING') AS waiting,
            count(*) FILTER (WHERE status = 'DONE') AS done,
            count(*) FILTER (WHERE status = 'ERROR') AS failed,
            count(*) FILTER (WHERE status = 'CANCELED') AS canceled
        FROM job GROUP BY batch_id
    ) AS counted WHERE batch.id = counted.batch_id
"""


@contextmanager
def filled(ground: Ground, shape: Shape) -> Generator[Engine]:
    name = f"past_{shape.batches}"
    bare = ground.database_url.rpartition("/")[0] + f"/{name}"
    url = bare.replace("postgresql://", "postgresql+psycopg://")
    ground.database.execute(f'CREATE DATABASE "{name}"')
    migrations.upgrade(url, BEFORE)
    with psycopg.connect(bare, autocommit=True) as connection:
        given = {"batches": shape.batches, "jobs": shape.jobs_each}
        connection.execute(_OWNERS)
        for statement in (_PLAN, _BATCHES, _JOBS, _COUNTS):
            connection.execute(statement, given)
        migrations.upgrade(url)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    engine = connect(url)
    try:
        yield engine
    finally:
        engine.dispose()
        ground.database.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
