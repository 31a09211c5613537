"""Compute targets as their users see them: the managed pool, and the project's controllers."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.errors import NotFound
from orchestrator.store.listings_reading import Reader
from schemas.submit import TargetOut

# What pending and running jobs take; a job that came by another door takes one core.
_CONTROLLERS: Final = text(
    """
    SELECT c.name, c.state, c.reason, c.cores AS max_cores, c.memory_mb AS max_memory_mb, c.slots,
        c.heard_at AS last_seen_at, taken.*,
        EXISTS (SELECT 1 FROM device WHERE device.type = c.device_type AND online) AS online
    FROM controller AS c CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE job.status = 'RUNNING') AS running,
            count(*) FILTER (WHERE job.status = 'PENDING') AS pending,
            COALESCE(sum(COALESCE(entry.cores, 1)), 0) AS cores,
            COALESCE(sum(COALESCE(entry.memory_mb, 0)), 0) AS memory_mb
        FROM batch JOIN job ON job.batch_id = batch.id LEFT JOIN entry ON entry.job_id = job.id
        WHERE batch.project_id = c.project_id AND batch.device_type = c.device_type
            AND batch.status IN ('PENDING', 'ADMITTED', 'RUNNING', 'PAUSED', 'PREEMPTED')
            AND job.status IN ('PENDING', 'RUNNING')
    ) AS taken
    WHERE c.project_id = :project AND c.removed_at IS NULL
        AND c.name = COALESCE(CAST(:name AS text), c.name)
    ORDER BY c.name LIMIT 1000
    """
)
# Of every project, and perhaps very many: counted by their batches, which know how many are left.
_MANAGED: Final = text(
    """
    WITH live AS (
        SELECT id FROM batch WHERE device_type = :type AND status = 'PENDING'
        UNION SELECT id FROM batch WHERE device_type = :type AND status IN ('PREEMPTED', 'PAUSED')
        UNION SELECT seat FROM device WHERE type = :type AND seat IS NOT NULL
    )
    SELECT count(*) * min(kind.cores) AS max_cores, min(kind.cores) AS cores,
        bool_or(device.online AND device.service = 'active') AS ready,
        (SELECT COALESCE(sum(jobs_left), 0) FROM batch JOIN live USING (id)) AS alive,
        (SELECT count(*) FROM device AS lane JOIN "window" ON "window".device_id = lane.id
            JOIN job ON job.window_id = "window".id
            WHERE lane.type = :type AND job.status = 'RUNNING') AS running
    FROM device JOIN device_type AS kind ON kind.name = device.type
    WHERE device.type = :type AND device.service <> 'retired'
    """
)


def managed(connection: Reader, device_type: str) -> TargetOut | None:
    """None where there is no such pool. Others' jobs take from what is free, too, but only its
    size is told of them."""
    row = connection.execute(_MANAGED, {"type": device_type}).one()
    if row.max_cores is None:
        return None
    alive = int(row.alive)
    free = max(0, row.max_cores - alive * row.cores) if row.ready else row.max_cores
    return TargetOut(
        name="managed",
        kind="managed",
        online=bool(row.ready),
        state="online" if row.ready else "offline",
        max_cores=row.max_cores,
        max_memory_mb=None,
        free_cores=free,
        free_memory_mb=None,
        running_jobs=row.running,
        pending_jobs=max(0, alive - row.running),
    )


def controllers(connection: Reader, project: UUID) -> list[TargetOut]:
    rows = connection.execute(_CONTROLLERS, {"project": project, "name": None})
    return [_shown(row) for row in rows]


def controller(connection: Reader, project: UUID, name: str) -> TargetOut:
    """Raises NotFound."""
    row = connection.execute(_CONTROLLERS, {"project": project, "name": name}).one_or_none()
    if row is None:
        raise NotFound(f"there is no compute target {name!r} of yours")
    return _shown(row)


def _shown(row: Row[Any]) -> TargetOut:
    """Of one that is offline everything is free: what waits for it takes nothing there yet."""
    cores, memory = (int(row.cores), int(row.memory_mb)) if row.online else (0, 0)
    return TargetOut(
        name=row.name,
        kind="controller",
        online=row.online,
        state=row.state if row.online else "offline",
        max_cores=row.max_cores,
        max_memory_mb=row.max_memory_mb,
        free_cores=max(0, row.max_cores - cores),
        free_memory_mb=max(0, row.max_memory_mb - memory),
        running_jobs=row.running,
        pending_jobs=row.pending,
        slots=row.slots,
        reason=row.reason,
        last_seen_at=row.last_seen_at,
    )
