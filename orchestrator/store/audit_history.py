"""What the database must not hold about the past: invariants 1, 4, 5, 7 and 9."""

from typing import Final

from orchestrator.store.audit import IN_RANGE, Question

# Events of one row are written under that row's lock, so that their ids are in its own order.
# Their transactions need not be: one that waited for the lock may have the smaller number.
_JOB_MOVES: Final = f"""
    WITH steps AS (
        SELECT job_id, id, kind, status, lag(status, 1, 'PENDING') OVER mine AS before,
            lead(id) OVER mine IS NULL AS is_last
        FROM event WHERE job_id IS NOT NULL AND batch_id IN {IN_RANGE}
        WINDOW mine AS (PARTITION BY job_id ORDER BY id)
    ), legal AS (
        SELECT * FROM unnest(
            CAST(:job_kinds AS text[]), CAST(:job_sources AS text[]), CAST(:job_targets AS text[])
        ) AS legal (kind, source, target)
    ), known AS (
        SELECT id, status FROM job WHERE batch_id IN {IN_RANGE}
    ), judged AS (
        SELECT COALESCE(known.id, steps.job_id) AS job, steps.id AS event, steps.kind,
            steps.before, steps.status, known.status AS row_status,
            CASE WHEN known.id IS NULL THEN 'there is no such job'
                WHEN steps.id IS NULL AND known.status <> 'PENDING' THEN 'no event tells of it'
                WHEN legal.kind IS NULL AND steps.id IS NOT NULL THEN 'no legal move'
                WHEN steps.is_last AND known.status <> steps.status
                    THEN 'the row says something else' END AS why
        FROM known FULL JOIN steps ON steps.job_id = known.id
        LEFT JOIN legal ON legal.kind = steps.kind AND legal.source = steps.before
            AND legal.target = steps.status
    )
    SELECT * FROM judged WHERE why IS NOT NULL
"""
_BATCH_MOVES: Final = f"""
    WITH legal AS (
        SELECT * FROM unnest(
            CAST(:batch_kinds AS text[]), CAST(:batch_sources AS text[]),
            CAST(:batch_targets AS text[])
        ) AS legal (kind, source, target)
    ), steps AS (
        SELECT batch_id, id, kind, status, lag(status, 1, 'PENDING') OVER mine AS before,
            lead(id) OVER mine IS NULL AS is_last
        FROM event WHERE job_id IS NULL AND kind IN (SELECT kind FROM legal)
            AND batch_id IN {IN_RANGE}
        WINDOW mine AS (PARTITION BY batch_id ORDER BY id)
    ), judged AS (
        SELECT known.id AS batch, steps.id AS event, steps.kind, steps.before, steps.status,
            known.status AS row_status,
            CASE WHEN steps.id IS NULL AND known.status <> 'PENDING' THEN 'no event tells of it'
                WHEN legal.kind IS NULL AND steps.id IS NOT NULL THEN 'no legal move'
                WHEN steps.is_last AND known.status <> steps.status
                    THEN 'the row says something else' END AS why
        FROM (SELECT id, status FROM batch WHERE id IN {IN_RANGE}) AS known
        LEFT JOIN steps ON steps.batch_id = known.id
        LEFT JOIN legal ON legal.kind = steps.kind AND legal.source = steps.before
            AND legal.target = steps.status
    )
    SELECT * FROM judged WHERE why IS NOT NULL
"""
_COUNTS: Final = f"""
    SELECT batch.id AS batch, batch.status, batch.jobs_total, batch.jobs_left, batch.jobs_done,
        batch.jobs_failed, batch.jobs_canceled, n, waiting, done, failed, canceled, last_ordinal
    FROM batch LEFT JOIN (
        SELECT batch_id, count(*) AS n, max(ordinal) AS last_ordinal,
            count(*) FILTER (WHERE status IN ('PENDING', 'RUNNING')) AS waiting,
            count(*) FILTER (WHERE status = 'DONE') AS done,
            count(*) FILTER (WHERE status = 'ERROR') AS failed,
            count(*) FILTER (WHERE status = 'CANCELED') AS canceled
        FROM job GROUP BY batch_id
    ) AS counted ON counted.batch_id = batch.id
    WHERE batch.id IN {IN_RANGE} AND (
        (jobs_total, jobs_left, jobs_done, jobs_failed, jobs_canceled, jobs_total)
        IS DISTINCT FROM (COALESCE(n, 0), COALESCE(waiting, 0), COALESCE(done, 0),
            COALESCE(failed, 0), COALESCE(canceled, 0), COALESCE(last_ordinal, 0))
        OR (batch.status = 'DONE' AND COALESCE(waiting, 0) > 0)
    )
"""
_LEFT_BEHIND: Final = f"""
    SELECT job.id AS job, job.status, batch.id AS batch, batch.status AS batch_status
    FROM job JOIN batch ON batch.id = job.batch_id
    WHERE job.status IN ('PENDING', 'RUNNING') AND job.window_id IS NULL
        AND batch.ended_at IS NOT NULL AND batch.id IN {IN_RANGE}
"""
_RESULTS: Final = f"""
    SELECT COALESCE(j.id, result.job_id) AS job, j.status, j.run, result.run AS result_run,
        CASE WHEN result.job_id IS NULL THEN 'DONE without a result'
            WHEN j.status <> 'DONE' THEN 'a result, but not DONE'
            ELSE 'the result is of another run' END AS why
    FROM (SELECT id, status, run FROM job WHERE batch_id IN {IN_RANGE}) AS j
    LEFT JOIN result ON result.job_id = j.id
    WHERE (j.status = 'DONE') <> (result.job_id IS NOT NULL) OR result.run <> j.run
"""
_CONTENT: Final = f"""
    SELECT job_id AS job, run, size, octet_length(CAST(value AS text)) AS real_size, sha256,
        encode(sha256(convert_to(CAST(value AS text), 'UTF8')), 'hex') AS real_sha256
    FROM result WHERE value IS NOT NULL AND (
        size <> octet_length(CAST(value AS text))
        OR sha256 <> encode(sha256(convert_to(CAST(value AS text), 'UTF8')), 'hex')
    ) AND job_id IN (SELECT id FROM job WHERE batch_id IN {IN_RANGE})
"""
SEATS: Final = """
    SELECT device_id, CAST(detail ->> 'fence' AS bigint) AS fence, batch_id, min(id) AS event,
        min(at) AS at
    FROM event WHERE kind IN ('admitted', 'joined') AND job_id IS NULL AND device_id IS NOT NULL
        AND detail ->> 'fence' IS NOT NULL
    GROUP BY device_id, fence, batch_id
"""
_FENCES: Final = f"""
    WITH seats AS (
        SELECT device_id, fence, batch_id FROM ({SEATS}) AS seated
        UNION SELECT device_id, fence, batch_id FROM "window"
    )
    SELECT device.name AS device, seats.fence, device.fence AS newest_fence,
        string_agg(CAST(batch_id AS text), ' ') AS batches
    FROM seats JOIN device ON device.id = seats.device_id
    GROUP BY device.name, device.fence, seats.fence
    HAVING count(DISTINCT batch_id) > 1 OR seats.fence > device.fence
"""
# The end of a job without a result is told by the clock of its device only; of one with a result
# the database has written down when it was settled.
_IDLED: Final = f"""
    WITH idled AS (
        SELECT DISTINCT ON (batch_id) batch_id, id, at FROM event
        WHERE kind = 'idled' AND job_id IS NULL AND batch_id IN {IN_RANGE}
        ORDER BY batch_id, id DESC
    ), told AS (
        SELECT event.batch_id, max(event.at) FILTER (
                WHERE event.job_id IS NULL AND event.kind IN ('created', 'admitted', 'jobs_added')
            ) AS asked_at,
            max(result.created_at) AS settled_at,
            max(event.at) FILTER (WHERE result.created_at IS NULL AND event.job_id IS NOT NULL
                AND event.status IN ('ERROR', 'CANCELED')) AS ended_at,
            max(event.id) FILTER (WHERE event.job_id IS NOT NULL) AS last_job_event
        FROM event JOIN idled ON idled.batch_id = event.batch_id
        LEFT JOIN result ON result.job_id = event.job_id AND event.status = 'DONE'
        WHERE event.id < idled.id OR event.job_id IS NOT NULL
        GROUP BY event.batch_id
    )
    SELECT idled.batch_id AS batch, idled.id AS event, batch.idle_timeout_s,
        EXTRACT(epoch FROM idled.at - GREATEST(asked_at, settled_at, told.ended_at)) AS idle_s,
        EXTRACT(epoch FROM idled.at - GREATEST(asked_at, settled_at,
            told.ended_at - CAST(:skew AS interval))) AS idle_at_most_s,
        COALESCE(last_job_event > idled.id, false) AS jobs_went_on
    FROM idled JOIN told USING (batch_id) JOIN batch ON batch.id = idled.batch_id
"""
_EARLY: Final = f"""
    SELECT * FROM ({_IDLED}) AS idled WHERE idle_at_most_s < idle_timeout_s OR jobs_went_on
"""
_LATE: Final = f"SELECT * FROM ({_IDLED}) AS idled WHERE idle_s > idle_timeout_s + 2"
# Who never ran has what another one got.
_COPIES: Final = f"""
    SELECT job.id AS job, entry.cached_from AS twin, mine.sha256, result.sha256 AS twin_sha256
    FROM job JOIN result AS mine ON mine.job_id = job.id
        LEFT JOIN entry ON entry.job_id = job.id
        LEFT JOIN result ON result.job_id = entry.cached_from
    WHERE job.status = 'DONE' AND job.run = 0 AND job.batch_id IN {IN_RANGE}
        AND mine.sha256 IS DISTINCT FROM result.sha256
"""
_CALLS: Final = """
    SELECT s.id AS submission, s.project_id AS project, s.key, s.report,
        CASE WHEN s.report IS NULL THEN 'claimed, and nothing was decided'
            ELSE 'what it made is not there' END AS why
    FROM submission AS s
    WHERE s.created_at BETWEEN :since AND :until AND (s.report IS NULL OR EXISTS (
        SELECT 1 FROM (VALUES (s.report ->> 'batch')) AS named (id)
        WHERE id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM batch WHERE batch.id = CAST(named.id AS uuid)
                AND batch.project_id = s.project_id
        )
    ) OR EXISTS (
        SELECT 1 FROM (
            SELECT s.report ->> 'job' AS id
            UNION ALL SELECT one #>> '{}' FROM json_array_elements(
                CASE WHEN json_typeof(s.report -> 'jobs') = 'array' THEN s.report -> 'jobs'
                    ELSE '[]' END) AS one WHERE json_typeof(one) = 'string'
            UNION ALL SELECT entry ->> 'job_id' FROM json_array_elements(
                CASE WHEN json_typeof(s.report -> 'entries') = 'array' THEN s.report -> 'entries'
                    ELSE '[]' END) AS entry
        ) AS named
        WHERE id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM job WHERE job.id = CAST(named.id AS uuid)
                AND job.project_id = s.project_id
        )
    ))
"""
_TWINS: Final = """
    SELECT project_id AS project, key, count(*) AS times FROM submission
    GROUP BY project_id, key HAVING count(*) > 1
"""

HISTORY: Final = (
    Question(invariant=1, what="a fence is of one batch", of="events", sql=_FENCES),
    Question(invariant=4, what="jobs move as they may", of="events", sql=_JOB_MOVES),
    Question(invariant=4, what="batches move as they may", of="events", sql=_BATCH_MOVES),
    Question(invariant=4, what="batches count their jobs", of="batches", sql=_COUNTS),
    Question(invariant=4, what="no job outlives its batch", of="jobs", sql=_LEFT_BEHIND),
    Question(invariant=5, what="DONE is one result", of="jobs", sql=_RESULTS),
    Question(invariant=5, what="copies are of their twins", of="results", sql=_COPIES),
    Question(invariant=5, what="results are whole", of="results", sql=_CONTENT),
    Question(invariant=7, what="timed out only when idle", of="batches", sql=_EARLY),
    Question(invariant=7, what="timed out in time", of="batches", sql=_LATE, grave=False),
    Question(invariant=9, what="calls and what they made", of="submissions", sql=_CALLS),
    Question(invariant=9, what="a key is one call", of="submissions", sql=_TWINS),
)
