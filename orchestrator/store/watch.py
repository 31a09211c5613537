"""What the sweep looks for: everything that is due, in one statement over small partial indexes."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.transaction import Transaction

_STUCK: Final = """
    SELECT device.id FROM device LEFT JOIN batch ON batch.id = device.seat
    WHERE (
        device.seat IS NULL AND device.online AND device.service = 'active' AND EXISTS (
            SELECT 1 FROM batch AS waiting
            WHERE waiting.device_type = device.type AND waiting.status = 'PENDING'
                AND (waiting.device_name IS NULL OR waiting.device_name = device.name)
            UNION ALL
            SELECT 1 FROM batch AS wide
            WHERE wide.device_type = device.type AND wide.lanes > 1
                AND wide.status IN ('ADMITTED', 'RUNNING') AND EXISTS (
                    SELECT 1 FROM job WHERE job.batch_id = wide.id
                        AND job.status = 'PENDING' AND job.window_id IS NULL
                )
                AND wide.lanes > (SELECT count(*) FROM device AS d WHERE d.seat = wide.id)
        )
    ) OR (
        device.seat IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM "window" JOIN job ON job.window_id = "window".id
            WHERE "window".device_id = device.id
        )
        AND (
            batch.status NOT IN ('ADMITTED', 'RUNNING')
            OR (batch.jobs_left = 0 AND (NOT batch.open OR batch.idle_deadline IS NULL))
            OR device.service IN ('paused', 'retired') OR device.yielding
            OR (device.online AND EXISTS (
                SELECT 1 FROM job WHERE job.batch_id = batch.id
                    AND job.status = 'PENDING' AND job.window_id IS NULL
            ))
        )
    )
"""
_PAUSED: Final = """
    SELECT id FROM batch WHERE status = 'PAUSED' AND EXISTS (
        SELECT 1 FROM device WHERE device.type = batch.device_type
            AND device.service IN ('active', 'draining')
            AND (batch.device_name IS NULL OR batch.device_name = device.name)
    ) LIMIT 1000
"""
_OUTRANKED: Final = """
    SELECT DISTINCT device.type FROM device JOIN batch ON batch.id = device.seat
    WHERE device.online AND device.service = 'active' AND batch.preemptible
        AND batch.status IN ('ADMITTED', 'RUNNING') AND batch.priority < (
            SELECT waiting.priority FROM batch AS waiting
            WHERE waiting.device_type = device.type AND waiting.status = 'PENDING'
            ORDER BY waiting.priority DESC LIMIT 1
        )
"""
_UNSEATED: Final = """
    SELECT id FROM batch WHERE lanes > 1 AND status IN ('ADMITTED', 'RUNNING')
        AND NOT EXISTS (SELECT 1 FROM device WHERE device.seat = batch.id)
"""
_UNHEEDED: Final = """
    (SELECT id || ' ' || run FROM job WHERE cancel_requested AND window_id IS NOT NULL LIMIT 1000)
    UNION (
        SELECT job.id || ' ' || run FROM "window" JOIN job ON job.window_id = "window".id
        WHERE "window".interrupted LIMIT 1000
    )
"""
# By way of what is on a device, which is little; most open holds are for jobs that wait. A job's
# beginning is by its device's clock, and whether one that is not heard still runs is not known.
_OVERHELD: Final = """
    SELECT job.id || ' ' || job.batch_id FROM job JOIN hold ON hold.job_id = job.id
        JOIN "window" ON "window".id = job.window_id JOIN device ON device.id = "window".device_id
    WHERE job.status = 'RUNNING' AND NOT job.cancel_requested AND hold.state = 'held'
        AND device.online AND GREATEST(job.started_at, "window".staged_at)
            < :at - hold.hours * interval '1 hour'
    LIMIT 1000
"""
_QUESTIONS: Final = {
    "idle": "SELECT id FROM batch WHERE idle_deadline < :at LIMIT 1000",
    "overrun": "SELECT id FROM batch WHERE overrun_deadline < :at LIMIT 1000",
    "preempted": "SELECT id FROM batch WHERE status = 'PREEMPTED' LIMIT 1000",
    "resumable": _PAUSED,
    "unseated": _UNSEATED,
    "stuck": _STUCK,
    "outranked": _OUTRANKED,
    "unheeded": _UNHEEDED,
    "overheld": _OVERHELD,
}
_DUE: Final = text(
    " UNION ALL ".join(
        f"SELECT '{name}' AS what, due::text FROM ({question}) AS found (due)"
        for name, question in _QUESTIONS.items()
    )
)


@dataclass(frozen=True, kw_only=True)
class Due:
    """`resumable`: paused batches that a device in service could take. `unseated`: batches whose
    every lane has left before the last job was over. `stuck`: devices that could
    take a step and have nothing on its way that would make them. `outranked`: device types where
    a higher priority waits than one that runs and may be preempted. `unheeded`: jobs, each with
    its run, whose interrupt was asked for and that still have not ended. `overheld`: jobs, each
    with its batch, that have run for longer than credits are held for."""

    idle: list[UUID]
    overrun: list[UUID]
    preempted: list[UUID]
    resumable: list[UUID]
    unseated: list[UUID]
    stuck: list[int]
    outranked: list[str]
    unheeded: list[str]
    overheld: list[str]


def due(tx: Transaction) -> Due:
    found: dict[str, list[Any]] = defaultdict(list)
    kinds = {"stuck": int, "outranked": str, "unheeded": str, "overheld": str}
    for row in tx.connection.execute(_DUE, {"at": tx.at}):
        found[row.what].append(kinds.get(row.what, UUID)(row.due))
    return Due(**{name: found[name] for name in _QUESTIONS})


class Watched(NamedTuple):
    """`oldest`: the first of its windows in flight; None when it has none."""

    id: int
    name: str
    online: bool
    session: str | None
    oldest: int | None


_DEVICES: Final = text(
    """
    SELECT id, name, online, session,
        (SELECT min("window".id) FROM "window" WHERE "window".device_id = device.id)
    FROM device WHERE transport = 'celery' ORDER BY id
    """
)


def devices(tx: Transaction) -> list[Watched]:
    """Those whose workers write heartbeats."""
    return [Watched(*row) for row in tx.connection.execute(_DEVICES)]


# Silence counts only while we listen: after an outage of ours, or of the broker, it starts anew. So
# it does when more than nearly the life of a heartbeat has gone by: one may have come and gone.
_READ: Final = text(
    """
    WITH before AS (SELECT beats_read_at FROM watch WHERE id = 1),
    due AS (
        SELECT id FROM device
        WHERE online AND (:restart OR NOT EXISTS (
            SELECT 1 FROM before WHERE beats_read_at > :at - interval '3.5 seconds'
        ))
        ORDER BY id FOR NO KEY UPDATE
    ), restarted AS (
        UPDATE device SET heard_at = :at FROM due WHERE device.id = due.id RETURNING device.id
    ), noted AS (
        INSERT INTO watch (id, beats_read_at) VALUES (1, :at)
        ON CONFLICT (id) DO UPDATE SET beats_read_at = excluded.beats_read_at
        WHERE watch.beats_read_at < :at - interval '1 second'
    )
    SELECT EXISTS (SELECT 1 FROM restarted)
    """
)


def beats_read(tx: Transaction, *, restart: bool) -> bool:
    """True when silence is counted anew for some device."""
    anew: bool = tx.connection.execute(_READ, {"at": tx.at, "restart": restart}).scalar_one()
    return anew


_SILENT: Final = text(
    """
    SELECT id, online FROM device
    WHERE transport = 'celery' AND (
        (online AND heard_at < :at - :silent)
        OR (NOT online AND seat IS NOT NULL AND heard_at < :at - :gone)
    )
    ORDER BY id
    """
)


class Silent(NamedTuple):
    """`unheard`: still taken for online. `gone`: offline for so long that what they had begun is
    not waited for any longer."""

    unheard: list[int]
    gone: list[int]


def silent(tx: Transaction, *, after: timedelta, gone_after: timedelta) -> Silent:
    rows = tx.connection.execute(_SILENT, {"at": tx.at, "silent": after, "gone": gone_after}).all()
    unheard = [row.id for row in rows if row.online]
    return Silent(unheard, [row.id for row in rows if not row.online])
