"""Deliveries: handed out, and written off."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.transaction import Transaction

# The endpoints that have something due are found by skipping through the index, one step each.
# Projects take turns, and in each the endpoints with the fewest messages under way come first, so
# that who is slow, or has many, holds up only himself.
_CLAIM: Final = text(
    """
    WITH RECURSIVE waiting (id) AS (
        (SELECT endpoint_id FROM webhook_delivery WHERE due_at IS NOT NULL
            ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT endpoint_id FROM webhook_delivery
            WHERE due_at IS NOT NULL AND endpoint_id > waiting.id ORDER BY endpoint_id LIMIT 1)
        FROM waiting WHERE waiting.id IS NOT NULL
    ), loaded AS (
        SELECT w.project_id, sum(CAST(b.value AS int)) AS n
        FROM json_each_text(CAST(:busy AS json)) b JOIN webhook_endpoint w
            ON w.id = CAST(b.key AS bigint)
        GROUP BY w.project_id
    ), ready AS (
        SELECT w.id, w.project_id,
            COALESCE(CAST(CAST(:busy AS json) ->> CAST(w.id AS text) AS int), 0) AS busy
        FROM waiting JOIN webhook_endpoint w ON w.id = waiting.id
        WHERE w.disabled_at IS NULL AND (w.hold_until IS NULL OR w.hold_until <= :at)
    ), ranked AS (
        SELECT first.event_id, place, due_at, COALESCE(loaded.n, 0) + row_number() OVER (
            PARTITION BY ready.project_id ORDER BY place, due_at
        ) AS turn
        FROM ready LEFT JOIN loaded USING (project_id) CROSS JOIN LATERAL (
            SELECT event_id, due_at, ready.busy + row_number() OVER () AS place FROM (
                SELECT event_id, due_at FROM webhook_delivery d
                WHERE d.endpoint_id = ready.id AND d.due_at <= :at
                ORDER BY due_at, event_id LIMIT :each
            ) AS oldest
        ) AS first
        WHERE place <= :each
    ), chosen AS (
        SELECT event_id FROM ranked ORDER BY turn, place, due_at LIMIT :room
    ), mine AS (
        SELECT event_id FROM webhook_delivery
        WHERE event_id = ANY (ARRAY(SELECT event_id FROM chosen)) AND due_at <= :at
        FOR UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE webhook_delivery d SET due_at = CAST(:at AS timestamptz) + :lease, tries = tries + 1
        FROM mine WHERE d.event_id = mine.event_id
        RETURNING d.event_id, d.endpoint_id, d.tries
    ), begun AS (
        INSERT INTO webhook_attempt (event_id, number, at) SELECT event_id, tries, :at FROM leased
    )
    SELECT leased.event_id, leased.endpoint_id, leased.tries, w.project_id, w.url
    FROM leased JOIN webhook_endpoint w ON w.id = leased.endpoint_id ORDER BY leased.event_id
    """
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One attempt to deliver one message. `number` counts the attempts, from 1."""

    event: int
    endpoint: int
    number: int
    project: UUID
    url: str = field(repr=False)


def claim(
    tx: Transaction, *, room: int, each: int, busy: Mapping[int, int], lease: timedelta
) -> list[Parcel]:
    """What is due, at most `room` in all and `each` for one endpoint, those in `busy` counted.

    It is due again after the lease: a process that dies with it only delays it.
    """
    given = {"room": room, "each": each, "busy": json.dumps(busy), "lease": lease, "at": tx.at}
    return [Parcel(*row) for row in tx.connection.execute(_CLAIM, given)]


_CONTENT: Final = text(
    """
    SELECT e.xid || '-' || e.id AS event, e.status, e.at, e.detail, e.job_id, d.name AS device,
        b.id AS batch_id, b.project_id, b.name, b.tags, b.parent_id, b.status AS batch_status,
        b.reason AS batch_reason, b.created_at AS batch_created_at,
        b.started_at AS batch_started_at, b.jobs_total, b.jobs_left, b.jobs_done, b.jobs_failed,
        b.jobs_canceled, j.ordinal, j.status AS job_status, j.reason AS job_reason,
        j.created_at, j.started_at, r.size, r.job_id IS NOT NULL AS has_result,
        CASE WHEN r.size <= :inline THEN CAST(r.value AS text) END AS value
    FROM event e JOIN batch b ON b.id = e.batch_id
        LEFT JOIN job j ON j.id = e.job_id LEFT JOIN device d ON d.id = e.device_id
        LEFT JOIN result r ON r.job_id = e.job_id AND e.kind = 'done'
    WHERE e.id = :event
    """
)


def content(tx: Transaction, event: int, *, inline: int) -> dict[str, Any]:
    """What a message tells of; `value` is the result's JSON text, if at most `inline` bytes."""
    row = tx.connection.execute(_CONTENT, {"event": event, "inline": inline}).one()
    return dict(row._mapping)


_ATTEMPTED: Final = text(
    """
    UPDATE webhook_attempt SET ended_at = :at, http_status = :status, error = :error
    WHERE event_id = :event AND number = :number
    """
)
_DELIVERED: Final = text(
    """
    WITH settled AS (
        UPDATE webhook_delivery SET status = 'DELIVERED', due_at = NULL WHERE event_id = :event
    )
    UPDATE webhook_endpoint SET failing_since = NULL, hold_until = NULL
    WHERE id = :endpoint AND (failing_since IS NOT NULL OR hold_until IS NOT NULL)
    """
)
# An attempt that outlived its lease changes nothing: the next one is under way.
_FAILED: Final = text(
    """
    UPDATE webhook_delivery SET due_at = :again,
        status = CASE WHEN CAST(:again AS timestamptz) IS NULL THEN 'GIVEN_UP' ELSE status END
    WHERE event_id = :event AND tries = :number AND status = 'PENDING'
    """
)
_FAILING: Final = text(
    """
    UPDATE webhook_endpoint SET failing_since = COALESCE(failing_since, :at),
        hold_until = COALESCE(:hold, hold_until)
    WHERE id = :endpoint RETURNING failing_since
    """
)
_DISABLE: Final = text(
    """
    UPDATE webhook_endpoint SET disabled_at = :at, disabled_reason = :reason
    WHERE id = :endpoint AND disabled_at IS NULL
    """
)


def delivered(tx: Transaction, parcel: Parcel, status: int) -> None:
    _attempted(tx, parcel, status, None)
    tx.connection.execute(_DELIVERED, {"event": parcel.event, "endpoint": parcel.endpoint})


def failed(
    tx: Transaction,
    parcel: Parcel,
    status: int | None,
    error: str,
    *,
    again: datetime | None,
    hold: datetime | None,
) -> datetime:
    """`again`: when it is due next, None: never. `hold`: nothing for this endpoint before then.
    Returns since when the endpoint has taken nothing."""
    _attempted(tx, parcel, status, error)
    given = {"event": parcel.event, "number": parcel.number, "again": again}
    tx.connection.execute(_FAILED, given)
    since: datetime = tx.connection.execute(
        _FAILING, {"endpoint": parcel.endpoint, "at": tx.at, "hold": hold}
    ).scalar_one()
    return since


def unmade(tx: Transaction, parcel: Parcel, error: str, *, again: datetime | None) -> None:
    """It never left, for a fault of ours: nothing is held against the endpoint."""
    _attempted(tx, parcel, None, error)
    given = {"event": parcel.event, "number": parcel.number, "again": again}
    tx.connection.execute(_FAILED, given)


def disable(tx: Transaction, endpoint: int, reason: str) -> None:
    tx.connection.execute(_DISABLE, {"endpoint": endpoint, "reason": reason, "at": tx.at})


def _attempted(tx: Transaction, parcel: Parcel, status: int | None, error: str | None) -> None:
    given = {"event": parcel.event, "number": parcel.number, "status": status, "error": error}
    tx.connection.execute(_ATTEMPTED, {**given, "at": tx.at})


_RELEASE: Final = text(
    """
    UPDATE webhook_delivery d SET due_at = :at FROM webhook_endpoint w
    WHERE w.project_id = :project AND w.url = :url AND w.disabled_at IS NOT NULL
        AND d.endpoint_id = w.id AND d.due_at IS NOT NULL
    """
)
_ENABLE: Final = text(
    """
    UPDATE webhook_endpoint SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL,
        hold_until = NULL
    WHERE project_id = :project AND url = :url RETURNING id
    """
)


def enable(tx: Transaction, project: UUID, url: str) -> int | None:
    """What waited for it is due now. None: the project has no such endpoint."""
    given = {"project": project, "url": url}
    tx.connection.execute(_RELEASE, {**given, "at": tx.at})
    return tx.connection.execute(_ENABLE, given).scalar_one_or_none()
