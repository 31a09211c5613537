"""Moves of jobs that have a twin: its end becomes theirs."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.domain.transitions import JOB_MOVES, JobEvent
from orchestrator.store.transaction import Transaction

_LOCK_BATCHES: Final = text(
    """
    SELECT id FROM batch WHERE id = ANY(ARRAY(
        SELECT batch_id FROM job WHERE id = ANY(CAST(:jobs AS uuid[]))
    )) ORDER BY id FOR NO KEY UPDATE
    """
)
# Whatever their leader's end was, but for a result, they have failed: it is not for their sake
# that it was canceled.
_ANSWER: Final = text(
    """
    WITH given AS (
        SELECT * FROM unnest(CAST(:jobs AS uuid[]), CAST(:leaders AS uuid[])) AS given (job, leader)
    ), old AS (
        SELECT job.id, job.batch_id, job.project_id, job.ordinal, given.leader, leader.reason,
            leader.status = 'DONE' AS good,
            CASE WHEN leader.status = 'DONE' THEN :done ELSE :failed END AS target
        FROM given JOIN job ON job.id = given.job JOIN job AS leader ON leader.id = given.leader
        WHERE job.status = ANY(:sources) AND leader.ended_at IS NOT NULL
        FOR UPDATE OF job
    ), moved AS (
        UPDATE job SET status = old.target, ended_at = :at,
            reason = CASE WHEN NOT good THEN COALESCE(old.reason, 'its twin was canceled') END
        FROM old WHERE job.id = old.id
    ), kept AS (
        INSERT INTO result (job_id, run, value, ref, size, sha256, created_at)
        SELECT old.id, job.run, value, ref, size, sha256, :at
        FROM old JOIN result ON result.job_id = old.leader JOIN job ON job.id = old.id
        WHERE good
    ), logged AS (
        INSERT INTO event (project_id, batch_id, job_id, kind, status, at, detail)
        SELECT project_id, batch_id, id, CASE WHEN good THEN :answered ELSE :twin_failed END,
            target, :at, json_build_object('twin', leader)
        FROM old ORDER BY ordinal
    ), told AS (
        UPDATE entry SET follows = false, cached_from = CASE WHEN good THEN leader END
        FROM old WHERE entry.job_id = old.id
    ), counted AS (
        UPDATE batch SET updated_at = :at, jobs_left = jobs_left - ended.n,
            jobs_done = jobs_done + ended.done, jobs_failed = jobs_failed + ended.n - ended.done
        FROM (
            SELECT batch_id, count(*) AS n, count(*) FILTER (WHERE good) AS done
            FROM old GROUP BY batch_id
        ) AS ended
        WHERE batch.id = ended.batch_id
        RETURNING batch.id, batch.jobs_left
    )
    SELECT id FROM counted WHERE jobs_left = 0 ORDER BY id
    """
)


def answer_jobs(tx: Transaction, jobs: Sequence[UUID], leaders: Sequence[UUID]) -> list[UUID]:
    """Jobs that wait for a twin which has ended, in pairs. Returns the batches that have no job
    left."""
    tx.connection.execute(_LOCK_BATCHES, {"jobs": list(jobs)})
    answered, twin_failed = JOB_MOVES[JobEvent.ANSWERED], JOB_MOVES[JobEvent.TWIN_FAILED]
    given = {
        "jobs": list(jobs),
        "leaders": list(leaders),
        "sources": [source.value for source in answered.sources | twin_failed.sources],
        "done": answered.target.value,
        "failed": twin_failed.target.value,
        "answered": JobEvent.ANSWERED.value,
        "twin_failed": JobEvent.TWIN_FAILED.value,
        "at": tx.at,
    }
    return list(tx.connection.execute(_ANSWER, given).scalars())


class Hit(NamedTuple):
    """A job that has the result of another one from the beginning."""

    job: UUID
    leader: UUID
    name: str | None
    target: str


_ADD: Final = text(
    """
    WITH given AS (
        SELECT * FROM unnest(CAST(:jobs AS uuid[]), CAST(:leaders AS uuid[]),
            CAST(:names AS text[]), CAST(:targets AS text[])
        ) WITH ORDINALITY AS given (job, leader, name, target, ordinal)
    ), led AS MATERIALIZED (
        SELECT given.*, job.payload, result.value, result.ref, result.size, result.sha256,
            entry.job_type, entry.cores, entry.memory_mb, entry.computation_id
        FROM given JOIN job ON job.id = given.leader JOIN result ON result.job_id = given.leader
            JOIN entry ON entry.job_id = given.leader
    ), added AS (
        INSERT INTO job (id, batch_id, project_id, ordinal, status, payload, created_at, ended_at)
        SELECT job, :batch, :project, ordinal, :status, payload, :at, :at FROM led
    ), kept AS (
        INSERT INTO result (job_id, run, value, ref, size, sha256, created_at)
        SELECT job, 0, value, ref, size, sha256, :at FROM led
    ), told AS (
        INSERT INTO entry (job_id, project_id, name, job_type, target, cores, memory_mb,
            computation_id, cached_from)
        SELECT job, :project, name, job_type, target, cores, memory_mb, computation_id, leader
        FROM led
    ), logged AS (
        INSERT INTO event (project_id, batch_id, job_id, kind, status, at, detail)
        SELECT :project, :batch, job, :kind, :status, :at, json_build_object('twin', leader)
        FROM led ORDER BY ordinal
    )
    UPDATE batch SET jobs_left = jobs_left - n, jobs_done = jobs_done + n, jobs_first_at = :at,
        jobs_last_at = :at
    FROM (SELECT count(*) AS n FROM led) AS counted WHERE id = :batch
    """
)


def add_hits(tx: Transaction, batch: UUID, project: UUID, hits: Sequence[Hit]) -> None:
    """All jobs of a new batch, each DONE with a copy of its leader's result."""
    jobs, leaders, names, targets = (list(each) for each in zip(*hits, strict=True))
    given = {"jobs": jobs, "leaders": leaders, "names": names, "targets": targets}
    move = {"status": JOB_MOVES[JobEvent.ANSWERED].target.value, "kind": JobEvent.ANSWERED.value}
    tx.connection.execute(_ADD, {**given, **move, "batch": batch, "project": project, "at": tx.at})
