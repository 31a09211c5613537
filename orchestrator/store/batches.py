"""Batches as the engine sees them: admitted whole, locked while decided upon."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.transaction import Transaction
from schemas import trace


class BatchRow(NamedTuple):
    id: UUID
    project_id: UUID
    device_type: str
    device_name: str | None
    status: str
    open: bool
    priority: int
    seq: int
    preemptible: bool
    lanes: int
    idle_timeout_s: float
    jobs_total: int
    jobs_left: int
    admitted_at: datetime | None
    idle_deadline: datetime | None
    overrun_deadline: datetime | None
    jobs_last_at: datetime | None
    trace: str | None = None


_COLUMNS: Final = """
    id, project_id, device_type, device_name, status, open, priority, seq, preemptible, lanes,
    idle_timeout_s, jobs_total, jobs_left, admitted_at, idle_deadline, overrun_deadline,
    jobs_last_at, trace
"""
_LOCK: Final = text(f"SELECT {_COLUMNS} FROM batch WHERE id = :id FOR NO KEY UPDATE")


def lock(tx: Transaction, batch: UUID, *, project: UUID | None = None) -> BatchRow | None:
    """None also when the batch is another project's."""
    row = tx.connection.execute(_LOCK, {"id": batch}).one_or_none()
    if row is None or (project is not None and row.project_id != project):
        return None
    return BatchRow(*row)


_LOCK_CONCERNED: Final = text(
    f"""
    SELECT {_COLUMNS} FROM batch
    WHERE id = ANY(ARRAY(
        SELECT batch_id FROM job WHERE id = ANY(CAST(:jobs AS uuid[]))
        UNION SELECT batch_id FROM "window" WHERE device_id = :device
        UNION SELECT CAST(:seat AS uuid)
    ))
    ORDER BY id FOR NO KEY UPDATE
    """
)


def lock_concerned(
    tx: Transaction, device: int, seat: UUID | None, jobs: Sequence[str]
) -> dict[UUID, BatchRow]:
    """Every batch that a message of this device may touch: of the jobs that it names, of the
    windows on their way, and the one that has the seat. At once, and in the order of ids."""
    given = {"device": device, "seat": seat, "jobs": list(jobs)}
    found = (BatchRow(*row) for row in tx.connection.execute(_LOCK_CONCERNED, given))
    return {row.id: row for row in found}


# The waiting batches are read off an index that holds only them, so that the cost does not grow
# with the queue; a batch that somebody else is deciding upon right now is passed over.
_NEXT: Final = text(
    f"""
    WITH waiting AS (
        SELECT {_COLUMNS} FROM batch
        WHERE device_type = :type AND status = 'PENDING'
            AND (device_name IS NULL OR device_name = :name)
        ORDER BY priority DESC, seq LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ), laned AS (
        SELECT {_COLUMNS} FROM batch
        WHERE device_type = :type AND lanes > 1 AND status IN ('ADMITTED', 'RUNNING')
            AND (device_name IS NULL OR device_name = :name)
            AND lanes > (SELECT count(*) FROM device WHERE device.seat = batch.id)
            AND EXISTS (
                SELECT 1 FROM job WHERE job.batch_id = batch.id
                    AND job.status = 'PENDING' AND job.window_id IS NULL
            )
        ORDER BY priority DESC, seq LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )
    SELECT * FROM waiting UNION ALL SELECT * FROM laned
    ORDER BY priority DESC, seq LIMIT 1
    """
)


def next_for(tx: Transaction, device_type: str, device: str) -> BatchRow | None:
    """The batch that this device should take: a waiting one, or one that wants another lane."""
    row = tx.connection.execute(_NEXT, {"type": device_type, "name": device}).one_or_none()
    return None if row is None else BatchRow(*row)


_TOP_PRIORITY: Final = text(
    """
    SELECT priority FROM batch
    WHERE device_type = :type AND status = 'PENDING'
        AND (device_name IS NULL OR device_name = :name)
    ORDER BY priority DESC LIMIT 1
    """
)


def top_priority(tx: Transaction, device_type: str, device: str) -> int | None:
    """The highest priority that waits for this device; None when nothing does."""
    priority: int | None = tx.connection.execute(
        _TOP_PRIORITY, {"type": device_type, "name": device}
    ).scalar_one_or_none()
    return priority


def set_idle_deadline(tx: Transaction, batch: UUID, deadline: datetime | None) -> None:
    tx.connection.execute(
        text("UPDATE batch SET idle_deadline = :deadline WHERE id = :id"),
        {"id": batch, "deadline": deadline},
    )


def close(tx: Transaction, batch: UUID) -> None:
    tx.connection.execute(
        text(
            "UPDATE batch SET open = false, idle_deadline = NULL, updated_at = :at WHERE id = :id"
        ),
        {"id": batch, "at": tx.at},
    )


def set_tags(tx: Transaction, batch: UUID, tags: Sequence[str]) -> None:
    tx.connection.execute(
        text("UPDATE batch SET tags = :tags, updated_at = :at WHERE id = :id"),
        {"id": batch, "tags": list(tags), "at": tx.at},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class NewBatch:
    id: UUID
    project_id: UUID
    user_id: UUID | None
    parent_id: UUID | None
    name: str | None
    device_type: str
    device_name: str | None
    open: bool
    priority: int
    preemptible: bool
    lanes: int
    idle_timeout_s: float
    max_duration_s: float | None
    tags: Sequence[str]
    shared: Mapping[str, Any]
    webhook: str | None = None
    options: Mapping[str, Any] | None = None
    key_id: UUID | None = None


# In the same statement, so that no door can forget it.
_FOLLOWED: Final = """
    followed AS (
        INSERT INTO webhook_cursor (batch_id) SELECT id FROM added WHERE webhook IS NOT NULL
    )"""

_INSERT: Final = text(
    f"""
    WITH added AS (
        INSERT INTO batch (id, project_id, user_id, parent_id, name, device_type, device_name,
            open, priority, preemptible, lanes, idle_timeout_s, max_duration_s, tags, shared,
            webhook, options, key_id, trace, jobs_total, jobs_left, created_at, updated_at)
        VALUES (:id, :project_id, :user_id, :parent_id, :name, :device_type, :device_name,
            :open, :priority, :preemptible, :lanes, :idle_timeout_s, :max_duration_s, :tags,
            CAST(:shared AS json), :webhook, CAST(:options AS json), :key_id, :trace, :jobs, :jobs,
            :at, :at)
        RETURNING id, project_id, status, webhook
    ), {_FOLLOWED}
    INSERT INTO event (project_id, batch_id, kind, status, at, detail)
    SELECT project_id, id, 'created', status, :at, json_build_object('jobs', CAST(:jobs AS int))
    FROM added
    """
)


def insert(tx: Transaction, new: NewBatch, jobs: int) -> None:
    values = {name: getattr(new, name) for name in NewBatch.__dataclass_fields__}
    values |= {"shared": json.dumps(dict(new.shared)), "tags": list(new.tags)}
    values["options"] = None if new.options is None else json.dumps(dict(new.options))
    values["trace"] = trace.here()
    tx.connection.execute(_INSERT, {**values, "jobs": jobs, "at": tx.at})


def is_pending(tx: Transaction, batch: UUID) -> bool:
    waits: bool = tx.connection.execute(
        text("SELECT EXISTS (SELECT 1 FROM batch WHERE id = :id AND status = 'PENDING')"),
        {"id": batch},
    ).scalar_one()
    return waits


class Seated(NamedTuple):
    device_id: int
    batch_id: UUID
    priority: int


_PREEMPTIBLE: Final = text(
    """
    SELECT device.id, batch.id, batch.priority
    FROM device JOIN batch ON batch.id = device.seat
    WHERE device.type = :type AND device.online AND device.service = 'active'
        AND batch.preemptible AND batch.status IN ('ADMITTED', 'RUNNING')
    ORDER BY batch.priority, batch.seq DESC
    """
)


def preemptible(tx: Transaction, device_type: str) -> list[Seated]:
    """Seats that could be asked for, the least important and youngest first."""
    return [Seated(*row) for row in tx.connection.execute(_PREEMPTIBLE, {"type": device_type})]


_PAUSED_FOR: Final = text(
    """
    SELECT id FROM batch WHERE status = 'PAUSED' AND device_type = :type
        AND (device_name IS NULL OR device_name = :name) ORDER BY priority DESC, seq
    """
)


def paused_for(tx: Transaction, device_type: str, device: str) -> list[UUID]:
    """Paused batches that this device could take."""
    rows = tx.connection.execute(_PAUSED_FOR, {"type": device_type, "name": device})
    return [row.id for row in rows]


_INSERT_COPY: Final = text(
    f"""
    WITH added AS (
        INSERT INTO batch (id, project_id, user_id, parent_id, name, device_type, device_name,
            open, priority, preemptible, lanes, idle_timeout_s, max_duration_s, tags, shared,
            webhook, options, key_id, trace, jobs_total, jobs_left, created_at, updated_at)
        SELECT :id, project_id, :user, id, COALESCE(:name, name), device_type, device_name,
            :open, priority, preemptible AND NOT :open, lanes, idle_timeout_s, max_duration_s,
            tags, shared, webhook, CAST(CAST(options AS jsonb) - 'workload' AS json),
            :key, :trace, :jobs, :jobs, :at, :at
        FROM batch WHERE id = :parent
        RETURNING id, project_id, status, webhook
    ), {_FOLLOWED}
    INSERT INTO event (project_id, batch_id, kind, status, at, detail)
    SELECT project_id, id, 'created', status, :at,
        json_build_object('jobs', CAST(:jobs AS int), 'parent', CAST(:parent AS text))
    FROM added
    """
)


def insert_copy(
    tx: Transaction,
    new: UUID,
    parent: UUID,
    *,
    user: UUID | None,
    key: UUID | None,
    is_open: bool,
    name: str | None,
    jobs: int,
) -> None:
    values = {"id": new, "parent": parent, "user": user, "key": key, "open": is_open, "name": name}
    values["trace"] = trace.here()
    tx.connection.execute(_INSERT_COPY, {**values, "jobs": jobs, "at": tx.at})
