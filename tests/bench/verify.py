"""What it takes to check everything that ever happened: a million jobs with their events and
results, and the witness logs of the eight devices that ran them."""

import os
import subprocess
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from orchestrator.store import migrations
from schemas.witness import Began, Entry, Finished, Opened, first_head, line_of, segment_key
from tests.bench.contender import Unmeasured
from tests.bench.ground import Ground
from tests.bench.plan import Plan, Step
from tests.bench.reading import Reading, at_most
from tests.e2e.stack import HOLDFAST

JOBS_EACH: Final = 100
SEGMENT_BYTES: Final = 2**20
_SETUP: LiteralString = """
    INSERT INTO project (id, name) VALUES ('00000000-0000-0000-0000-000000000001', 'p');
    INSERT INTO device_type (name, executor) VALUES ('EMU_FREE', '');
    INSERT INTO device (name, type, online, session, journal, heard_at)
        SELECT 'd' || n, 'EMU_FREE', true, 's', 'j', now() FROM generate_series(0, 7) AS n;
    SELECT setseed(0.5)
"""
_PLAN: LiteralString = """
    CREATE UNLOGGED TABLE plan AS
    SELECT n, gen_random_uuid() AS id, 1 + mod(n, 8) AS device, 1 + n / 8 AS fence,
        timestamptz '2026-01-01' + (n / 8) * interval '100 s' AS at
    FROM generate_series(0, %(batches)s - 1) AS n
"""
_BATCHES: LiteralString = """
    INSERT INTO batch (id, project_id, device_type, open, preemptible, idle_timeout_s, status,
        shared, jobs_total, jobs_done, created_at, updated_at, started_at, ended_at)
    SELECT id, '00000000-0000-0000-0000-000000000001', 'EMU_FREE', false, true, 300, 'DONE',
        '{}', %(jobs)s, %(jobs)s, at, at + interval '90 s', at, at + interval '90 s'
    FROM plan ORDER BY n
"""
# Ids grow with time, as the engine's own do.
_JOBS: LiteralString = """
    INSERT INTO job (id, batch_id, project_id, ordinal, status, payload, run, device_id,
        created_at, started_at, ended_at)
    SELECT CAST(lpad(to_hex(1767225600000 + (n / 8) * 100000 + mod(n, 8)), 12, '0') || '70008'
            || lpad(to_hex(ordinal), 3, '0') || right(md5(n || ' ' || ordinal), 12) AS uuid), id,
        '00000000-0000-0000-0000-000000000001', ordinal, 'DONE', '{}', 1, device, at,
        at + ordinal * interval '500 ms', at + ordinal * interval '500 ms' + interval '400 ms'
    FROM plan, generate_series(1, %(jobs)s) AS ordinal ORDER BY n, ordinal
"""
_RESULTS: LiteralString = """
    INSERT INTO result (job_id, run, value, size, sha256, created_at)
    SELECT id, 1, CAST(text AS json), length(text), encode(sha256(convert_to(text, 'UTF8')), 'hex'),
        ended_at
    FROM (SELECT id, ended_at, '{"of":' || ordinal || ',"counts":{"0":' || ordinal || '}}' AS text
        FROM job) AS made
"""
_EVENTS: LiteralString = """
    INSERT INTO event (project_id, batch_id, job_id, device_id, kind, status, at, detail)
    SELECT '00000000-0000-0000-0000-000000000001', id, job, device, kind, status, told, detail
    FROM (
        SELECT n, 0 AS ordinal, phase, plan.id, NULL::uuid AS job, device, kind, status, at AS told,
            CASE WHEN phase = 1 THEN json_build_object('fence', fence) END AS detail
        FROM plan, (VALUES (0, 'created', 'PENDING'), (1, 'admitted', 'ADMITTED'),
            (2, 'started', 'RUNNING'), (9, 'drained', 'DONE')) AS step (phase, kind, status)
        UNION ALL
        SELECT n, ordinal, phase, batch_id, job.id, device, kind, step.status, ended_at, NULL
        FROM job JOIN plan ON plan.id = batch_id,
            (VALUES (3, 'started', 'RUNNING'), (4, 'done', 'DONE')) AS step (phase, kind, status)
    ) AS made ORDER BY n, phase = 9, ordinal, phase
"""
_FENCES: LiteralString = """
    UPDATE device SET fence = (SELECT max(fence) FROM plan WHERE plan.device = device.id)
"""
_RUNS: LiteralString = """
    SELECT 'd' || (device - 1), fence::int, batch_id::text, job.id::text, n::int,
        EXTRACT(epoch FROM started_at)::float8, EXTRACT(epoch FROM ended_at)::float8,
        result.sha256
    FROM job JOIN plan ON plan.id = batch_id JOIN result ON result.job_id = job.id
    ORDER BY device, n, ordinal
"""


def verify(ground: Ground, plan: Plan, step: Step) -> list[Reading]:
    """The command itself, as an operator runs it: how long, and its largest resident memory."""
    batches = plan.listed_jobs // JOBS_EACH
    bare = ground.database_url.rpartition("/")[0] + "/proven"
    objects = ground.folder / "proven"
    ground.database.execute('CREATE DATABASE "proven"')
    try:
        entries = filled(bare, objects, batches)
        step()
        took_s, memory_mb = _measured(bare, objects)
    finally:
        ground.database.execute('DROP DATABASE "proven" WITH (FORCE)')
    step()
    title = f"verify, {batches * JOBS_EACH:,} jobs, {entries:,} entries"
    return [
        Reading(metric=title, unit="s", ours=[took_s], aim=at_most(60)),
        Reading(metric=f"{title}, resident", unit="MB", ours=[memory_mb], aim=at_most(500)),
    ]


def filled(url: str, objects: Path, batches: int) -> int:
    """A healthy past of that many batches; how many entries its witnesses made."""
    migrations.upgrade(url.replace("postgresql://", "postgresql+psycopg://"))
    given = {"batches": batches, "jobs": JOBS_EACH}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_SETUP)
        for statement in (_PLAN, _BATCHES, _JOBS, _RESULTS, _EVENTS, _FENCES):
            connection.execute(statement, given if "%(" in statement else None)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    with psycopg.connect(url) as connection, connection.cursor("runs") as cursor:
        cursor.itersize = 10_000
        cursor.execute(_RUNS)
        logs = groupby(cursor, key=lambda row: row[0])
        return sum(_ship(objects, device, _entries(device, rows)) for device, rows in logs)


def _entries(device: str, rows: Iterator[tuple[Any, ...]]) -> Iterator[Entry]:
    yield Opened(1, device, f"journal-{device}", f"boot-{device}", 0.0, 0.0)
    seq = 1
    for _, fence, batch, job, window, began, ended, sha256 in rows:
        run = (device, fence, batch, job, 1, window)
        yield Began(seq + 1, *run, began, began)
        yield Finished(seq + 2, *run, ended, ended, "done", sha256)
        seq += 2


def _ship(objects: Path, device: str, entries: Iterator[Entry]) -> int:
    journal = f"journal-{device}"
    head, segment, first, seq = first_head(journal), bytearray(), 1, 0
    for entry in entries:
        head, line = line_of(entry, head)
        segment += line + b"\n"
        seq = entry.seq
        if len(segment) >= SEGMENT_BYTES:
            _put(objects / segment_key(device, journal, first), segment)
            first, segment = seq + 1, bytearray()
    _put(objects / segment_key(device, journal, first), segment)
    return seq


def _put(path: Path, segment: bytearray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(segment)


def _measured(database_url: str, objects: Path) -> tuple[float, float]:
    env = {
        **os.environ,
        "HOLDFAST_DATABASE_URL": database_url,
        "HOLDFAST_BROKER_URL": "redis://none",
        "HOLDFAST_STORE_URL": objects.as_uri(),
    }
    since = time.monotonic()
    with subprocess.Popen([HOLDFAST, "verify"], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took_s = time.monotonic() - since
    if process.returncode:
        raise Unmeasured(f"holdfast verify: {process.returncode}\n{said.decode()[-2000:]}")
    return took_s, usage.ru_maxrss / 1024
