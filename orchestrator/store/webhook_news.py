"""Deliveries, made from the events of batches that have a webhook.

The event table is the outbox. A batch's cursor moves on in the transaction that writes the
deliveries, and a delivery is keyed by its event, so that each ending is told by exactly one.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.domain.transitions import BATCH_ENDS
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction

_SOME: Final = 200
_EVENTS: Final = 1000
_CHANGED: Final = """
    SELECT c.batch_id FROM webhook_cursor c JOIN batch b ON b.id = c.batch_id
    WHERE NOT c.done AND c.version IS DISTINCT FROM CAST(CAST(b.xmin AS text) AS bigint)
"""
_NEWS: Final = text(f"{_CHANGED} LIMIT :some FOR UPDATE OF c SKIP LOCKED")
_OUTLOOK: Final = text(
    f"""
    SELECT EXISTS ({_CHANGED}),
        EXISTS (SELECT 1 FROM webhook_delivery WHERE due_at IS NOT NULL)
    """
)


def outlook(connection: Reader) -> tuple[bool, bool]:
    """Whether there may be something to tell, and whether something waits to be delivered."""
    row = connection.execute(_OUTLOOK).one()
    return row[0], row[1]


_ENDPOINTS: Final = text(
    """
    INSERT INTO webhook_endpoint (project_id, url, created_at)
    SELECT DISTINCT project_id, webhook, CAST(:at AS timestamptz) FROM batch
    WHERE id = ANY(:batches) ORDER BY project_id, webhook
    ON CONFLICT DO NOTHING
    """
)
# Only events of transactions older than every open one: nothing can appear behind them. What is
# held back so leaves the version as it was, and the cursor is looked at again.
_TELL: Final = text(
    """
    WITH followed AS (
        SELECT c.batch_id, c.xid, c.event_id, w.id AS endpoint,
            CAST(CAST(b.xmin AS text) AS bigint) AS version,
            b.status = ANY(:ends) AND b.jobs_left = 0 AS over
        FROM webhook_cursor c JOIN batch b ON b.id = c.batch_id
            JOIN webhook_endpoint w ON w.project_id = b.project_id AND w.url = b.webhook
        WHERE c.batch_id = ANY(:batches)
    ), seen AS MATERIALIZED (
        SELECT e.*, followed.endpoint FROM followed CROSS JOIN LATERAL (
            SELECT id, xid, batch_id, job_id, kind FROM event
            WHERE event.batch_id = followed.batch_id
                AND (event.xid, event.id) > (followed.xid, followed.event_id)
                AND event.xid < CAST(CAST(
                    pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)
            ORDER BY event.xid, event.id LIMIT :events
        ) AS e
    ), told AS (
        INSERT INTO webhook_delivery (event_id, batch_id, endpoint_id, due_at, created_at)
        SELECT id, batch_id, endpoint, :at, :at FROM seen
        WHERE (job_id IS NULL AND kind IN ('drained', 'idled', 'overran', 'canceled', 'broke'))
            OR (job_id IS NOT NULL AND kind IN ('done', 'failed', 'canceled'))
        ON CONFLICT DO NOTHING RETURNING 1
    ), reached AS (
        SELECT f.*, COALESCE(s.xid, f.xid) AS to_xid, COALESCE(s.id, f.event_id) AS to_id
        FROM followed f LEFT JOIN LATERAL (
            SELECT xid, id FROM seen WHERE seen.batch_id = f.batch_id
            ORDER BY xid DESC, id DESC LIMIT 1
        ) AS s ON true
    ), judged AS (
        SELECT reached.*, NOT EXISTS (
            SELECT 1 FROM event WHERE event.batch_id = reached.batch_id
                AND (event.xid, event.id) > (reached.to_xid, reached.to_id)
        ) AS complete FROM reached
    ), moved AS (
        UPDATE webhook_cursor c SET xid = to_xid, event_id = to_id, done = complete AND over,
            version = CASE WHEN complete THEN judged.version ELSE c.version END
        FROM judged WHERE c.batch_id = judged.batch_id
    )
    SELECT count(*) FROM told
    """
)


def tell(tx: Transaction) -> int:
    """Write the deliveries of what has ended since; how many."""
    batches = [row.batch_id for row in tx.connection.execute(_NEWS, {"some": _SOME})]
    if not batches:
        return 0
    given = {"batches": batches, "at": tx.at}
    tx.connection.execute(_ENDPOINTS, given)
    ends = [status.value for status in BATCH_ENDS]
    told: int = tx.connection.execute(
        _TELL, {**given, "ends": ends, "events": _EVENTS}
    ).scalar_one()
    return told


def follow_again(tx: Transaction, batch: UUID) -> None:
    """For a batch that is revived: it may end a second time."""
    tx.connection.execute(
        text("UPDATE webhook_cursor SET done = false WHERE batch_id = :id"), {"id": batch}
    )
