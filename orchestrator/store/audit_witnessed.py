"""What must not be found among the witnessed runs, alone and held against the database.

Clocks: within one boot of a node its monotonic clock orders what happened, within one journal the
entries' numbers do. Only between nodes, and between a device and the database, is the time of day
compared, and then `:skew` seconds are allowed for. `:horizon`: what is younger may be known to one
side only, because it is still on its way.
"""

from typing import Final

from orchestrator.store.audit import Question

_FENCES: Final = """
    SELECT device, fence, count(DISTINCT batch) AS batches, min(batch) AS one, max(batch) AS another
    FROM run GROUP BY device, fence HAVING min(batch) <> max(batch)
"""
# Where any two overlap, some two that follow each other by their beginning do.
_OVERLAPS: Final = """
    SELECT device, fence, batch, job, run, mono, before_fence, before_job, before_run,
        before_ended_mono
    FROM (
        SELECT *, lag(fence) OVER mine AS before_fence, lag(job) OVER mine AS before_job,
            lag(run) OVER mine AS before_run, lag(ended_mono) OVER mine AS before_ended_mono
        FROM run WINDOW mine AS (PARTITION BY device, boot ORDER BY mono, log, seq)
    ) WHERE mono < before_ended_mono OR fence < before_fence
"""
# Not `ended_at`, when it was written: a worker that stood still writes long after the end.
_ACROSS_NODES: Final = """
    SELECT device, fence, batch, job, run, at, before_fence, before_job, before_run,
        before_ended_at
    FROM (
        SELECT *, lag(boot) OVER mine AS before_boot, lag(fence) OVER mine AS before_fence,
            lag(job) OVER mine AS before_job, lag(run) OVER mine AS before_run,
            lag(at) OVER mine AS before_at, lag(at + ended_mono - mono) OVER mine AS before_ended_at
        FROM run
        WHERE device IN (SELECT device FROM run GROUP BY device HAVING min(boot) <> max(boot))
        WINDOW mine AS (PARTITION BY device ORDER BY at, log, seq)
    ) WHERE boot <> before_boot
        AND (at < before_ended_at - :skew OR (fence < before_fence AND at > before_at + :skew))
"""
_SEATS: Final = """
    SELECT witnessed.*, seat.batch AS seated FROM (
        SELECT device, fence, batch, min(at) AS at FROM run GROUP BY device, fence, batch
    ) AS witnessed
    JOIN batch ON batch.id = witnessed.batch
    LEFT JOIN seat ON seat.device = witnessed.device AND seat.fence = witnessed.fence
    WHERE witnessed.at < :horizon
        AND seat.batch IS NOT witnessed.batch
"""
# Of each job only its first beginning in a life of its batch: one that was lost may begin again
# after later ones. Windows of one batch are numbered in the order in which they were staged,
# whatever the device; within a journal it counts what really began first.
_ORDER: Final = """
    SELECT batch, device, fence, "window", job, run, ordinal, before_in_journal, before_in_windows
    FROM (
        SELECT run.*, job.ordinal,
            lag(ordinal) OVER (
                PARTITION BY run.batch, COALESCE(seat.life, 0), log ORDER BY seq
            ) AS before_in_journal,
            lag(ordinal) OVER (
                PARTITION BY run.batch, COALESCE(seat.life, 0) ORDER BY "window", log, seq
            ) AS before_in_windows
        FROM run JOIN job ON job.id = run.job
        JOIN batch ON batch.id = run.batch AND batch.lanes = 1
        LEFT JOIN seat ON seat.device = run.device AND seat.fence = run.fence
            AND seat.batch = run.batch
        WHERE NOT EXISTS (
            SELECT 1 FROM run AS earlier
            LEFT JOIN seat AS held ON held.device = earlier.device
                AND held.fence = earlier.fence AND held.batch = earlier.batch
            WHERE earlier.job = run.job AND earlier.run < run.run
                AND COALESCE(held.life, 0) = COALESCE(seat.life, 0)
        )
    ) WHERE ordinal < before_in_journal OR ordinal < before_in_windows
"""
_TWICE: Final = """
    SELECT job, run, count(*) AS times, count(DISTINCT log) AS journals,
        min(device) AS device, max(device) AS other_device
    FROM run GROUP BY job, run HAVING count(*) > 1
"""
_UNKNOWN: Final = """
    SELECT run.device, run.batch, run.job, run.run, run.at, job.run AS newest_run,
        CASE WHEN job.id IS NULL THEN 'the database knows no such job'
            WHEN job.batch <> run.batch THEN 'the job is of another batch'
            ELSE 'this run was never staged' END AS why
    FROM run LEFT JOIN job ON job.id = run.job
    WHERE run.at < :horizon AND run.at > :since + :skew AND run.at < :until - :skew
        AND (job.id IS NULL OR job.batch <> run.batch OR job.run < run.run)
"""
_DISPUTED: Final = """
    SELECT job.id AS job, job.run, job.device, run.device AS witness, run."end", job.sha256,
        run.sha256 AS witnessed_sha256
    FROM job JOIN run ON run.job = job.id AND run.run = job.run
    WHERE job.status = 'DONE' AND run."end" IS NOT NULL
        AND (run."end" <> 'done' OR run.sha256 IS NOT job.sha256 OR run.device <> job.device)
"""
# An end that is not witnessed is missing for certain once the same device has told of later ones.
# Those on users' own machines have no witness.
_ENDS: Final = """
    SELECT job.id AS job, job.run, job.device, job.ended_at, told.last_at,
        told.first_at IS NULL AS without_witness
    FROM job LEFT JOIN run ON run.job = job.id AND run.run = job.run AND run."end" IS NOT NULL
    LEFT JOIN (
        SELECT device, min(first_at) AS first_at, max(last_at) AS last_at FROM log GROUP BY device
    ) AS told ON told.device = job.device
    WHERE job.status = 'DONE' AND run.job IS NULL AND job.kept_at < :horizon
        AND EXISTS (SELECT 1 FROM device WHERE device.name = job.device AND NOT device.remote)
"""
_IS_MISSING: Final = "job.ended_at + :skew < told.last_at AND job.ended_at > told.first_at"
_MISSING: Final = f"{_ENDS} AND {_IS_MISSING}"
_UNTOLD: Final = f"{_ENDS} AND ({_IS_MISSING}) IS NOT TRUE"
# By the database's clock a run began no earlier than its batch got the seat, and as much later as
# the node's monotonic clock says since the first run there. Where that seat is not known, the
# device's own time of day has to do; so it has where the device told when a canceled job ended.
# The end of a batch is written before its permits are asked for, in the same transaction: a run may
# take its own in between. It is one that the cancel met as running: it was interrupted, or left to
# end, and then that transaction was over within `:leeway`.
# A run that was lost in the moment it began never reached its device: a worker that stood still
# writes its beginning down before it finds that its lease is over.
_CANCELED: Final = """
    WITH stay AS (
        SELECT run.device, run.fence, run.boot, run.batch, seat.at - min(mono) AS ahead
        FROM run JOIN seat ON seat.device = run.device AND seat.fence = run.fence
            AND seat.batch = run.batch
        GROUP BY run.device, run.fence, run.boot, run.batch
    )
    SELECT job.id AS job, run.run, run.device, run.at AS began_at,
        COALESCE(run.mono + stay.ahead, run.at - :skew) AS began_no_earlier_than,
        job.ended_at AS canceled_at, batch.ended_at AS batch_ended_at
    FROM run JOIN job ON job.id = run.job JOIN batch ON batch.id = job.batch
    LEFT JOIN stay ON stay.device = run.device AND stay.fence = run.fence
        AND stay.boot = run.boot AND stay.batch = run.batch
    WHERE (run."end" = 'lost' AND run.ended_mono = run.mono) IS NOT TRUE AND (
        (job.status = 'CANCELED' AND began_no_earlier_than
            > job.ended_at + CASE WHEN job.began THEN :skew ELSE 0 END)
        OR (began_no_earlier_than > batch.ended_at AND NOT (
            job.began AND (job.interrupted OR (
                batch.canceled AND began_no_earlier_than <= batch.ended_at + :leeway
            ))
        ))
    )
"""
_UNSETTLED: Final = """
    SELECT job.id AS job, run.run, run.device, run.ended_at, job.status
    FROM run JOIN job ON job.id = run.job AND job.run = run.run
    JOIN device ON device.name = run.device AND device.online
    WHERE job.staged AND job.status IN ('PENDING', 'RUNNING') AND run."end" <> 'lost'
        AND run.ended_at < :horizon
"""

WITNESSED: Final = (
    Question(invariant=1, what="a fence is of one batch, by witness", of="runs", sql=_FENCES),
    Question(invariant=1, what="who ran had the seat", of="runs", sql=_SEATS),
    Question(invariant=2, what="runs do not overlap", of="runs", sql=_OVERLAPS),
    Question(invariant=2, what="nor between nodes", of="runs", sql=_ACROSS_NODES),
    Question(invariant=3, what="jobs begin in order", of="runs", sql=_ORDER),
    Question(invariant=5, what="a run begins once", of="runs", sql=_TWICE),
    Question(invariant=5, what="what ran was asked for", of="runs", sql=_UNKNOWN),
    Question(invariant=5, what="results are the witness's", of="results", sql=_DISPUTED),
    Question(invariant=5, what="results were witnessed", of="results", sql=_MISSING),
    Question(invariant=5, what="all results are told of", of="results", sql=_UNTOLD, grave=False),
    Question(invariant=6, what="nothing canceled begins", of="runs", sql=_CANCELED),
    Question(invariant=8, what="ends come home", of="runs", sql=_UNSETTLED, live=True),
)
