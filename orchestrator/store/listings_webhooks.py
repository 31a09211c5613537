"""The delivery log of a batch, and how the endpoints of a project stand."""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.errors import NotFound
from orchestrator.store.listings_reading import LIMIT_DEFAULT, Reader, cursor_of, number_in
from schemas.page import Page
from schemas.webhook import Delivery, Endpoint

_DELIVERIES: Final = text(
    """
    SELECT d.event_id, e.xid || '-' || e.id AS event, e.status AS word, e.job_id, e.at,
        w.url, d.status, w.disabled_at IS NOT NULL AS disabled,
        CASE WHEN w.disabled_at IS NULL THEN d.due_at END AS next_attempt_at,
        COALESCE((
            SELECT json_agg(json_build_object('number', a.number, 'at', a.at,
                'ended_at', a.ended_at, 'http_status', a.http_status, 'error', a.error)
                ORDER BY a.number)
            FROM webhook_attempt a WHERE a.event_id = d.event_id
        ), '[]') AS attempts
    FROM webhook_delivery d JOIN event e ON e.id = d.event_id
        JOIN webhook_endpoint w ON w.id = d.endpoint_id
    WHERE d.batch_id = :batch AND d.event_id > :place ORDER BY d.event_id LIMIT :limit
    """
)
_HAS: Final = text("SELECT 1 FROM batch WHERE id = :batch AND project_id = :project")


def list_deliveries(
    connection: Reader,
    project: UUID,
    batch: UUID,
    *,
    cursor: str | None = None,
    limit: int = LIMIT_DEFAULT,
) -> Page[Delivery]:
    """By event, oldest first."""
    place = 0 if cursor is None else number_in("deliveries", cursor)
    if connection.execute(_HAS, {"batch": batch, "project": project}).one_or_none() is None:
        raise NotFound(f"there is no batch {batch}")
    given = {"batch": batch, "place": place, "limit": limit + 1}
    rows = connection.execute(_DELIVERIES, given).all()
    more = len(rows) > limit
    return Page[Delivery](
        items=[
            Delivery(
                webhook_id=webhook_id(row.event),
                type=type_of(row.job_id, row.word),
                job_id=row.job_id,
                at=row.at,
                url=row.url,
                status="HELD" if row.disabled and row.status == "PENDING" else row.status,
                next_attempt_at=row.next_attempt_at,
                attempts=row.attempts,
            )
            for row in rows[:limit]
        ],
        next_cursor=cursor_of("deliveries", rows[limit - 1].event_id) if more else None,
    )


_COLUMNS: Final = "SELECT id, url, failing_since, disabled_at, disabled_reason"
_ENDPOINTS: Final = text(
    f"""
    {_COLUMNS} FROM webhook_endpoint
    WHERE project_id = :project AND id > :place ORDER BY id LIMIT :limit
    """
)
_ENDPOINT: Final = text(
    f"{_COLUMNS} FROM webhook_endpoint WHERE project_id = :project AND id = :id"
)


def list_endpoints(
    connection: Reader, project: UUID, *, cursor: str | None = None, limit: int = LIMIT_DEFAULT
) -> Page[Endpoint]:
    """In the order in which they were first used."""
    place = 0 if cursor is None else number_in("endpoints", cursor)
    given = {"project": project, "place": place, "limit": limit + 1}
    rows = connection.execute(_ENDPOINTS, given).all()
    return Page[Endpoint](
        items=[Endpoint.model_validate(dict(row._mapping)) for row in rows[:limit]],
        next_cursor=cursor_of("endpoints", rows[limit - 1].id) if len(rows) > limit else None,
    )


def get_endpoint(connection: Reader, project: UUID, endpoint: int) -> Endpoint:
    row = connection.execute(_ENDPOINT, {"project": project, "id": endpoint}).one()
    return Endpoint.model_validate(dict(row._mapping))


def webhook_id(event: str) -> str:
    """The same for every attempt: an event is told once."""
    return f"evt_{event}"


def type_of(job: UUID | None, status: str) -> str:
    return f"{'batch' if job is None else 'job'}.{status.lower()}"
