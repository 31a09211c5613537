"""Batches as users read them. A status and a queue position always come from one snapshot."""

from datetime import datetime
from typing import Any, Final, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.errors import NotFound
from orchestrator.store.listings_reading import (
    LIMIT_DEFAULT,
    Reader,
    cursor_of,
    number_in,
    one_or_any,
)
from orchestrator.store.listings_waiting import why_waiting
from schemas.batch import Batch
from schemas.page import Page

_COLUMNS: Final = """
    b.id, b.seq, b.project_id, b.name, b.status, b.open, b.device_type, b.device_name AS device,
    ARRAY(SELECT d.name FROM device d WHERE d.seat = b.id ORDER BY d.name) AS devices,
    b.priority, b.preemptible, b.lanes, b.idle_timeout_s, b.max_duration_s, b.tags, b.parent_id,
    b.reason, b.jobs_total, b.jobs_left, b.jobs_done, b.jobs_failed, b.jobs_canceled,
    b.created_at, b.updated_at, b.admitted_at, b.started_at, b.ended_at, b.idle_deadline,
    CASE WHEN b.status = 'PENDING' THEN (
        SELECT json_agg(json_build_object('name', d.name, 'service', d.service,
            'reason', d.service_reason, 'online', d.online) ORDER BY d.name)
        FROM device d
        WHERE d.type = b.device_type AND d.service <> 'retired'
            AND (b.device_name IS NULL OR d.name = b.device_name)
    ) END AS pool
"""


def _ahead(of: str, seq: str) -> str:
    """SQL: how many wait before a place in the queue. Two ranges of the index, so that no entry
    is read only to be passed over."""
    queue = f"SELECT count(*) FROM batch q WHERE q.device_type = {of}.device_type"
    queue += " AND q.status = 'PENDING'"
    return f"""(
        ({queue} AND q.priority > {of}.priority)
        + ({queue} AND q.priority = {of}.priority AND q.seq < {of}.{seq})
    )"""


_ONE: Final = text(
    f"""
    SELECT {_COLUMNS},
        CASE WHEN b.status = 'PENDING' THEN 1 + {_ahead("b", "seq")} END AS queue_position
    FROM batch b WHERE b.id = :id AND b.project_id = :project
    """
)


def get_batch(connection: Reader, project: UUID, batch: UUID) -> Batch:
    row = connection.execute(_ONE, {"id": batch, "project": project}).one_or_none()
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    return _batch(row)


def _batch(row: Row[Any]) -> Batch:
    """Its own reason first: the pool's state explains only a batch that nothing else does."""
    reason = row.reason
    if reason is None and row.status == "PENDING":
        reason = why_waiting(row.device_type, row.device, row.pool or ())
    return Batch.model_validate({**row._mapping, "reason": reason})


class BatchFilter(TypedDict, total=False):
    """None, or absent: any."""

    statuses: list[str] | None
    device_type: str | None
    tag: str | None
    open: bool | None
    name: str | None
    created_after: datetime | None
    created_before: datetime | None


_CLAUSES: Final = {
    "device_type": "device_type = :device_type",
    "tag": "tags @> ARRAY[CAST(:tag AS text)]",
    "open": "open = :open",
    "name": "name = :name",
    "created_after": "created_at >= :created_after",
    "created_before": "created_at <= :created_before",
}
# Those ahead of a page are counted once for each queue, not once for each batch.
_PAGE: Final = """
    WITH page AS MATERIALIZED (
        SELECT * FROM batch WHERE project_id = :project {clauses} ORDER BY seq {order} LIMIT :limit
    ), span AS (
        SELECT device_type, priority, min(seq) AS first, max(seq) AS last
        FROM page WHERE status = 'PENDING' GROUP BY device_type, priority
    ), counted AS MATERIALIZED (
        SELECT span.*, {ahead} AS ahead FROM span
    ), ranked AS (
        SELECT q.id, span.ahead + row_number() OVER (
            PARTITION BY q.device_type, q.priority ORDER BY q.seq
        ) AS queue_position
        FROM counted AS span JOIN batch q
            ON q.status = 'PENDING' AND q.device_type = span.device_type
                AND q.priority = span.priority AND q.seq BETWEEN span.first AND span.last
    )
    SELECT {columns}, ranked.queue_position
    FROM page b LEFT JOIN ranked ON ranked.id = b.id ORDER BY b.seq {order}
"""


def list_batches(
    connection: Reader,
    project: UUID,
    *,
    cursor: str | None = None,
    limit: int = LIMIT_DEFAULT,
    ascending: bool = False,
    **wanted: Unpack[BatchFilter],
) -> Page[Batch]:
    """By creation, newest first unless `ascending`."""
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    clauses = [_CLAUSES[name] for name in given if name != "statuses"]
    if "statuses" in given:
        clauses.append(one_or_any("status", given))
    if cursor is not None:
        given["place"] = number_in("batches", cursor)
        clauses.append("seq > :place" if ascending else "seq < :place")
    statement = _PAGE.format(
        clauses="".join(f" AND {clause}" for clause in clauses),
        order="ASC" if ascending else "DESC",
        columns=_COLUMNS,
        ahead=_ahead("span", "first"),
    )
    rows = connection.execute(
        text(statement), {"project": project, "limit": limit + 1, **given}
    ).all()
    more = len(rows) > limit
    return Page[Batch](
        items=[_batch(row) for row in rows[:limit]],
        next_cursor=cursor_of("batches", rows[limit - 1].seq) if more else None,
    )
