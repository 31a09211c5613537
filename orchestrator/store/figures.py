"""Figures of the moment for Prometheus: of one snapshot, and bounded whatever waits."""

from typing import Any, Final

from sqlalchemy import text

from orchestrator import counts
from orchestrator.counts import CONTROLLERS, Readings
from orchestrator.store.listings_devices import status_of
from orchestrator.store.listings_reading import Reader
from schemas.words import DeviceStatus

COUNTED_MOST: Final = 100_000
"""Waiting batches of a type: the queue is read off its index, so far and no further."""

# The oldest is the first of one of the priorities, of which there are few; the index that holds
# only waiting batches leads from each to the next.
OLDEST_AGE: Final = """
    WITH RECURSIVE first AS (
        (
            SELECT priority, created_at FROM batch
            WHERE device_type = t.name AND status = 'PENDING'
            ORDER BY priority DESC, seq LIMIT 1
        ) UNION ALL (
            SELECT lower.priority, lower.created_at FROM first CROSS JOIN LATERAL (
                SELECT priority, created_at FROM batch
                WHERE device_type = t.name AND status = 'PENDING'
                    AND priority < first.priority
                ORDER BY priority DESC, seq LIMIT 1
            ) AS lower
        )
    )
    SELECT extract(epoch FROM clock_timestamp() - min(created_at))
    FROM (SELECT created_at FROM first LIMIT 1000) AS counted
"""
_TYPES: Final = f"""
    SELECT t.name, t.project_id IS NOT NULL AS of_controllers, (
        SELECT count(*) FROM (
            SELECT 1 FROM batch WHERE device_type = t.name AND status = 'PENDING'
            LIMIT {COUNTED_MOST}
        ) AS counted
    ) AS waiting, (
        {OLDEST_AGE}
    ) AS age
    FROM device_type AS t WHERE t.executor <> 'none'
"""
# Windows whose every job has come home stay until the device's next step.
_DEVICES: Final = """
    SELECT d.name, d.type, d.service, d.online, d.seat IS NOT NULL AS occupied,
        batch.idle_deadline IS NOT NULL AS idle, d.window_size, (
            SELECT count(*) FROM "window" WHERE "window".device_id = d.id
                AND EXISTS (SELECT 1 FROM job WHERE job.window_id = "window".id)
        ) AS flying
    FROM device AS d JOIN device_type AS t ON t.name = d.type
        LEFT JOIN batch ON batch.id = d.seat
    WHERE d.service <> 'retired' AND t.project_id IS NULL
"""
_FIGURES: Final = text(
    f"""
    SELECT (SELECT json_agg(types) FROM ({_TYPES}) AS types) AS types,
        (SELECT json_agg(devices) FROM ({_DEVICES}) AS devices) AS devices,
        (SELECT extract(epoch FROM clock_timestamp() - beats_read_at)::float8
            FROM watch WHERE id = 1) AS swept
    """
)


def figures(connection: Reader) -> Readings:
    """Users' controllers are told of together: their names are for their own projects."""
    row = connection.execute(_FIGURES).one()
    swept = [] if row.swept is None else [((), max(row.swept, 0.0))]
    return {**_queues(row.types or []), **_seats(row.devices or []), counts.SWEPT: swept}


def _queues(types: list[dict[str, Any]]) -> Readings:
    waiting: dict[tuple[str], float] = {}
    ages: dict[tuple[str], float] = {}
    for each in types:
        label = (CONTROLLERS if each["of_controllers"] else each["name"],)
        waiting[label] = waiting.get(label, 0) + each["waiting"]
        ages[label] = max(ages.get(label, 0.0), each["age"] or 0.0)
    return {counts.QUEUE: list(waiting.items()), counts.AGE: list(ages.items())}


def _seats(devices: list[dict[str, Any]]) -> Readings:
    named = [((each["name"], each["type"]), each) for each in devices]
    columns = {
        counts.SEAT: "occupied",
        counts.IDLE: "idle",
        counts.SIZE: "window_size",
        counts.FLYING: "flying",
    }
    statuses = [
        ((*labels, status.value), float(status is status_of(each["service"], each["online"])))
        for labels, each in named
        for status in DeviceStatus
    ]
    read = {
        gauge: [(labels, float(each[column])) for labels, each in named]
        for gauge, column in columns.items()
    }
    return {counts.STATUS: statuses, **read}
