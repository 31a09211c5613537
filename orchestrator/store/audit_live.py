"""What the database must not hold right now: seats, and invariant 8, nothing forgotten.

`:patience` is how long something may wait that the sweep should have seen within a second or two.
"""

from typing import Final

from orchestrator.store.audit import Question

_OLD: Final = "updated_at < :at - CAST(:patience AS interval)"
# Since when a device could have taken a step is not on its row: its last event is no later.
_QUIET: Final = """
    NOT EXISTS (
        SELECT 1 FROM event WHERE event.device_id = device.id
            AND event.at > :at - CAST(:patience AS interval)
    )
"""
_LANES: Final = """
    SELECT batch.id AS batch, batch.status, batch.lanes, count(*) AS seats,
        string_agg(device.name, ' ') AS devices
    FROM device JOIN batch ON batch.id = device.seat
    GROUP BY batch.id HAVING count(*) > batch.lanes
"""
_FOREIGN: Final = """
    SELECT "window".id AS "window", device.name AS device, device.seat, "window".batch_id AS batch,
        "window".fence, device.fence AS device_fence
    FROM "window" JOIN device ON device.id = "window".device_id
    WHERE EXISTS (SELECT 1 FROM job WHERE job.window_id = "window".id)
        AND (device.seat, device.fence) IS DISTINCT FROM ("window".batch_id, "window".fence)
"""
_HELD: Final = f"""
    SELECT device.name AS device, device.fence, batch.id AS batch, batch.status, batch.updated_at
    FROM device JOIN batch ON batch.id = device.seat
    WHERE batch.status NOT IN ('ADMITTED', 'RUNNING') AND batch.{_OLD} AND NOT EXISTS (
        SELECT 1 FROM "window" JOIN job ON job.window_id = "window".id
        WHERE "window".device_id = device.id
    )
"""
_UNHELD: Final = f"""
    SELECT id AS batch, status, updated_at FROM batch
    WHERE status IN ('ADMITTED', 'RUNNING') AND {_OLD}
        AND NOT EXISTS (SELECT 1 FROM device WHERE device.seat = batch.id)
"""
_STRAY: Final = """
    SELECT job.id AS job, job.status, job.window_id AS "window", job.batch_id AS batch
    FROM job LEFT JOIN "window" ON "window".id = job.window_id
    WHERE (job.status = 'RUNNING' AND job.window_id IS NULL)
        OR (job.window_id IS NOT NULL
            AND "window".batch_id IS DISTINCT FROM job.batch_id)
"""
_VACANT: Final = f"""
    SELECT waiting.id AS batch, waiting.updated_at, device.name AS device, device.type
    FROM device CROSS JOIN LATERAL (
        SELECT id, updated_at FROM batch
        WHERE status = 'PENDING' AND device_type = device.type AND {_OLD}
            AND (device_name IS NULL OR device_name = device.name)
        ORDER BY priority DESC, seq LIMIT 1
    ) AS waiting
    WHERE device.seat IS NULL AND device.online AND device.service = 'active' AND {_QUIET}
"""
_UNSTAGED: Final = f"""
    SELECT device.name AS device, batch.id AS batch, batch.jobs_left, batch.updated_at
    FROM device JOIN batch ON batch.id = device.seat
    WHERE device.online AND device.service IN ('active', 'draining') AND batch.lanes = 1
        AND batch.status IN ('ADMITTED', 'RUNNING') AND batch.jobs_left > 0 AND batch.{_OLD}
        AND NOT EXISTS (SELECT 1 FROM job WHERE batch_id = batch.id AND window_id IS NOT NULL)
        AND {_QUIET}
"""
_UNQUEUED: Final = f"""
    SELECT id AS batch, status, updated_at FROM batch
    WHERE {_OLD} AND (status = 'PREEMPTED' OR (status = 'PAUSED' AND EXISTS (
        SELECT 1 FROM device WHERE device.type = batch.device_type
            AND device.service IN ('active', 'draining')
            AND (batch.device_name IS NULL OR batch.device_name = device.name) AND {_QUIET}
    )))
"""
_OVERDUE: Final = """
    SELECT id AS batch, status, idle_deadline, overrun_deadline FROM batch
    WHERE LEAST(idle_deadline, overrun_deadline) < :at - CAST(:patience AS interval)
"""
_UNANSWERED: Final = """
    SELECT "window".id AS "window", device.name AS device, "window".batch_id AS batch,
        "window".sent_at
    FROM "window" JOIN device ON device.id = "window".device_id
    WHERE device.online AND "window".sent_at < :at - CAST(:patience AS interval)
        AND EXISTS (SELECT 1 FROM job WHERE job.window_id = "window".id)
        AND NOT EXISTS (
            SELECT 1 FROM job JOIN "window" AS other ON other.id = job.window_id
            WHERE other.device_id = device.id AND job.status = 'RUNNING'
        )
"""

LIVE: Final = (
    Question(invariant=1, what="no more seats than lanes", of="devices", sql=_LANES),
    Question(invariant=1, what="windows are of the seat", of="windows", sql=_FOREIGN),
    Question(invariant=1, what="seats are let go", of="devices", sql=_HELD, live=True),
    Question(invariant=8, what="who is seated has a seat", of="batches", sql=_UNHELD, live=True),
    Question(invariant=8, what="no job is astray", of="jobs", sql=_STRAY),
    Question(invariant=8, what="no batch is passed over", of="batches", sql=_VACANT, live=True),
    Question(invariant=8, what="no seat stands still", of="devices", sql=_UNSTAGED, live=True),
    Question(invariant=8, what="who gave way waits again", of="batches", sql=_UNQUEUED, live=True),
    Question(invariant=8, what="deadlines are kept", of="batches", sql=_OVERDUE, live=True),
    Question(invariant=8, what="windows are answered", of="windows", sql=_UNANSWERED, grave=False),
)
