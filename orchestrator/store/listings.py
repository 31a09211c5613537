"""Batches as users read them. A status and a queue position always come from one snapshot."""

from collections.abc import Sequence
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

LISTING: Final = "batches"
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
    return batch_of(row)


def batch_of(row: Row[Any]) -> Batch:
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
    user: UUID | None
    ids: list[UUID] | None
    created_after: datetime | None
    created_before: datetime | None


def _near(side: str) -> str:
    """SQL: the number of a batch that lies beyond the moment for certain, so that the index by
    number skips what is far away. Numbers and clocks are drawn apart, but never by an hour."""
    sign, order, else_ = ("<", "DESC", "0") if side == "after" else (">", "ASC", str(2**62))
    beyond = f":created_{side} {'-' if side == 'after' else '+'} interval '1 hour'"
    return f"""COALESCE((
        SELECT seq FROM batch far WHERE far.project_id = :project AND far.created_at {sign} {beyond}
        ORDER BY far.created_at {order} LIMIT 1
    ), {else_})"""


_CLAUSES: Final = {
    "device_type": "device_type = :device_type",
    "tag": "tags @> ARRAY[CAST(:tag AS text)]",
    "open": "open = :open",
    "name": "name = :name",
    "user": "user_id = :user",
    "ids": "id = ANY(:ids)",
    "created_after": f"created_at >= :created_after AND seq >= {_near('after')}",
    "created_before": f"created_at <= :created_before AND seq <= {_near('before')}",
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
    rows = batch_rows(
        connection, project, cursor=cursor, limit=limit + 1, ascending=ascending, wanted=wanted
    )
    more = len(rows) > limit
    return Page[Batch](
        items=[batch_of(row) for row in rows[:limit]],
        next_cursor=cursor_of(LISTING, rows[limit - 1].seq) if more else None,
    )


def batch_rows(
    connection: Reader,
    project: UUID,
    *,
    cursor: str | None,
    limit: int,
    ascending: bool,
    wanted: BatchFilter,
    beside: str = "",
) -> Sequence[Row[Any]]:
    """What `batch_of` reads, with `seq`. `beside`: SQL for more columns, of the batch `b`."""
    clauses, given = matching(wanted, cursor, ascending=ascending)
    statement = _PAGE.format(
        clauses=clauses,
        order="ASC" if ascending else "DESC",
        columns=_COLUMNS + beside,
        ahead=_ahead("span", "first"),
    )
    return connection.execute(text(statement), {"project": project, "limit": limit, **given}).all()


def matching(
    wanted: BatchFilter, cursor: str | None, *, ascending: bool = False
) -> tuple[str, dict[str, Any]]:
    """SQL behind a WHERE, and its parameters."""
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    clauses = [_CLAUSES[name] for name in given if name != "statuses"]
    if "statuses" in given:
        clauses.append(one_or_any("status", given))
    if cursor is not None:
        given["place"] = number_in(LISTING, cursor)
        clauses.append("seq > :place" if ascending else "seq < :place")
    return "".join(f" AND {clause}" for clause in clauses), given
