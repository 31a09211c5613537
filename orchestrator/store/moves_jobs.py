"""Moves of jobs: their guards, their events, and what is settled with their end."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CursorResult, text

from orchestrator.domain.transitions import BATCH_MOVES, JOB_MOVES, BatchEvent, JobEvent
from orchestrator.store import ledger, webhook_news
from orchestrator.store.endings import Ending
from orchestrator.store.transaction import Transaction


def words_of(event: BatchEvent | JobEvent) -> dict[str, Any]:
    """The three words that guard and name a move, as its statement wants them."""
    move = BATCH_MOVES[event] if isinstance(event, BatchEvent) else JOB_MOVES[event]
    return {
        "kind": event.value,
        "target": move.target.value,
        "sources": [source.value for source in move.sources],
    }


# A job may end before anybody said that it began: then both moves are made, and logged, at once.
_RUN_SOURCES: Final = [
    s.value for s in JOB_MOVES[JobEvent.STARTED].sources | JOB_MOVES[JobEvent.DONE].sources
]

_COUNTED: Final = """
    counted AS (
        UPDATE batch SET updated_at = :at,
            jobs_left = jobs_left - ended.n,
            jobs_done = jobs_done + ended.done,
            jobs_failed = jobs_failed + ended.failed,
            jobs_canceled = jobs_canceled + ended.canceled
        FROM (
            SELECT batch_id, count(*) AS n,
                count(*) FILTER (WHERE target = 'DONE') AS done,
                count(*) FILTER (WHERE target = 'ERROR') AS failed,
                count(*) FILTER (WHERE target = 'CANCELED') AS canceled
            FROM old GROUP BY batch_id
        ) AS ended
        WHERE batch.id = ended.batch_id
        RETURNING batch.id, batch.jobs_left, batch.billed
    )"""

_FINISH: Final = text(
    f"""
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST(:endings AS json)) AS given (
            job uuid, run int, kind text, target text, began_at float8, ended_at float8,
            reason text, value text, ref text, size bigint, sha256 text
        )
    ), old AS (
        SELECT job.id, job.status, job.batch_id, job.project_id, job.ordinal, job.window_id,
            given.*,
            CASE WHEN target = 'CANCELED' THEN job.reason END AS canceled_for
        FROM job JOIN given ON job.id = given.job AND job.run = given.run
        WHERE job.status = ANY(:sources) FOR UPDATE OF job
    ), moved AS (
        UPDATE job SET status = old.target,
            reason = COALESCE(old.reason, old.canceled_for), window_id = NULL, device_id = :device,
            started_at = COALESCE(started_at, to_timestamp(old.began_at)),
            ended_at = to_timestamp(old.ended_at)
        FROM old WHERE job.id = old.id
    ), kept AS (
        INSERT INTO result (job_id, run, value, ref, size, sha256, created_at)
        SELECT id, run, CAST(value AS json), ref, size, sha256, :at
        FROM old WHERE target = 'DONE'
    ), logged AS (
        INSERT INTO event (project_id, batch_id, job_id, device_id, kind, status, at, detail)
        SELECT project_id, batch_id, id, :device, step.kind, step.status, step.at, step.detail
        FROM old CROSS JOIN LATERAL (
            VALUES (0, 'started', 'RUNNING', to_timestamp(began_at),
                    json_build_object('run', run, 'window', window_id)),
                (1, old.kind, target, to_timestamp(ended_at),
                    CASE WHEN COALESCE(reason, canceled_for) IS NOT NULL
                        THEN json_build_object('reason', COALESCE(reason, canceled_for)) END)
        ) AS step (phase, kind, status, at, detail)
        WHERE step.phase = 1 OR old.status = 'PENDING'
        ORDER BY ordinal, phase
    ), {_COUNTED}
    SELECT id, jobs_left, billed FROM counted
    """
)


def finish_jobs(tx: Transaction, device: int, endings: Sequence[Ending]) -> dict[UUID, int]:
    """Record the endings whose run is the current one; the rest came late.

    Returns how many jobs are left, by batch.
    """
    rows = tx.connection.execute(
        _FINISH,
        {
            "endings": json.dumps([_given(ending) for ending in endings]),
            "sources": _RUN_SOURCES,
            "device": device,
            "at": tx.at,
        },
    )
    ran = [(ending.job, ending.run) for ending in endings if not ending.lost]
    return _over(tx, rows, [ending.job for ending in endings], ran)


def _over(
    tx: Transaction, rows: CursorResult[Any], jobs: Sequence[str], ran: Sequence[tuple[str, int]]
) -> dict[UUID, int]:
    """Where credits are held, the end of a job is also the end of that."""
    left = {row.id: (row.jobs_left, row.billed) for row in rows}
    if any(billed for _, billed in left.values()):
        ledger.close(tx, jobs, ran)
    return {batch: jobs_left for batch, (jobs_left, _) in left.items()}


def _given(ending: Ending) -> dict[str, Any]:
    target = JOB_MOVES[ending.event].target
    return {**asdict(ending), "kind": ending.event.value, "target": target.value}


_START: Final = text(
    """
    WITH moved AS (
        UPDATE job SET status = :target, started_at = to_timestamp(:began), device_id = :device
        WHERE id = :job AND run = :run AND window_id IS NOT NULL AND status = ANY(:sources)
        RETURNING id, batch_id, project_id, window_id
    )
    INSERT INTO event (project_id, batch_id, job_id, device_id, kind, status, at, detail)
    SELECT project_id, batch_id, id, :device, :kind, :target, to_timestamp(:began),
        json_build_object('run', CAST(:run AS int), 'window', window_id)
    FROM moved RETURNING job_id
    """
)


def start_job(tx: Transaction, device: int, job: str, run: int, began_at: float) -> bool:
    """Not for a run that was given up: it is in no window, and nobody will tell how it ends."""
    row = tx.connection.execute(
        _START,
        {
            "job": job,
            "run": run,
            "began": began_at,
            "device": device,
            **words_of(JobEvent.STARTED),
        },
    ).one_or_none()
    return row is not None


_CANCEL: Final = text(
    f"""
    WITH old AS (
        SELECT id, batch_id, project_id, device_id, ordinal, :target AS target FROM job
        WHERE id = ANY(CAST(:jobs AS uuid[])) AND status = ANY(:sources) FOR UPDATE
    ), moved AS (
        UPDATE job SET status = :target, window_id = NULL, reason = COALESCE(:reason, reason),
            ended_at = :at
        FROM old WHERE job.id = old.id
    ), logged AS (
        INSERT INTO event (project_id, batch_id, job_id, device_id, kind, status, at)
        SELECT project_id, batch_id, id, device_id, :kind, :target, :at FROM old ORDER BY ordinal
    ), {_COUNTED}
    SELECT id, jobs_left, billed FROM counted
    """
)


def cancel_jobs(
    tx: Transaction, jobs: Sequence[str], *, reason: str | None = None
) -> dict[UUID, int]:
    """For jobs that no device can begin any more. Returns how many jobs are left, by batch."""
    rows = tx.connection.execute(
        _CANCEL,
        {
            "jobs": list(jobs),
            "reason": reason,
            "at": tx.at,
            **words_of(JobEvent.CANCELED),
        },
    )
    return _over(tx, rows, jobs, ())


_BACK: Final = text(
    """
    WITH old AS (
        SELECT id, batch_id, project_id, device_id, ordinal, status FROM job
        WHERE id = ANY(CAST(:jobs AS uuid[])) AND status = ANY(:sources) FOR UPDATE
    ), moved AS (
        UPDATE job SET status = :target, window_id = NULL, started_at = NULL
        FROM old WHERE job.id = old.id
    )
    INSERT INTO event (project_id, batch_id, job_id, device_id, kind, status, at, detail)
    SELECT project_id, batch_id, id, device_id, :kind, :target, :at, CAST(:detail AS json)
    FROM old ORDER BY ordinal
    RETURNING job_id
    """
)


def return_jobs(tx: Transaction, jobs: Sequence[str], event: JobEvent, *, reason: str) -> set[str]:
    """RUNNING back to PENDING (lost, preempted): the run does not count as a failure."""
    rows = tx.connection.execute(
        _BACK,
        {
            "jobs": list(jobs),
            "at": tx.at,
            **words_of(event),
            "detail": json.dumps({"reason": reason}),
        },
    )
    return {str(row.job_id) for row in rows}


_REVIVE: Final = text(
    """
    WITH old AS (
        SELECT id, batch_id, project_id, ordinal, status FROM job
        WHERE batch_id = :batch AND status = ANY(:sources) FOR UPDATE
    ), moved AS (
        UPDATE job SET status = :target, reason = NULL, started_at = NULL, ended_at = NULL,
            cancel_requested = false
        FROM old WHERE job.id = old.id
    ), counted AS (
        UPDATE batch SET jobs_left = jobs_left + was.n, jobs_failed = jobs_failed - was.failed,
            jobs_canceled = jobs_canceled - was.canceled
        FROM (
            SELECT count(*) AS n, count(*) FILTER (WHERE status = 'ERROR') AS failed,
                count(*) FILTER (WHERE status = 'CANCELED') AS canceled FROM old
        ) AS was
        WHERE batch.id = :batch
    )
    INSERT INTO event (project_id, batch_id, job_id, kind, status, at)
    SELECT project_id, batch_id, id, :kind, :target, :at FROM old ORDER BY ordinal
    RETURNING job_id
    """
)


def revive_jobs(tx: Transaction, batch: UUID) -> list[UUID]:
    """Every job of the batch that ended without a result is PENDING again; which. Its webhook
    hears of the batch again."""
    given = {"batch": batch, "at": tx.at, **words_of(JobEvent.REVIVED)}
    revived = list(tx.connection.execute(_REVIVE, given).scalars())
    webhook_news.follow_again(tx, batch)
    return revived
