"""Assignments: windows of one job on the lanes of users' controllers, offered and leased.

Nothing here writes a status. Who was offered what, and until when it is theirs, is on the window.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.transaction import Transaction
from schemas.controller import Usage


class Offered(NamedTuple):
    """The first thing to do on a lane. `stored` is the job's payload, as the store has it."""

    window: int
    lane: int
    job: UUID
    run: int
    stored: dict[str, Any]
    shared: dict[str, Any]
    job_type: str | None
    cores: int
    memory_mb: int


_OFFERABLE: Final = text(
    """
    WITH head AS (
        SELECT DISTINCT ON (device.id) w.id, w.batch_id, w.offer, w.lease_until,
            CAST(substring(device.name FROM '[0-9]+$') AS int) AS lane
        FROM device JOIN "window" AS w ON w.device_id = device.id
        WHERE device.type = :type AND device.online AND device.session = :session
            AND EXISTS (SELECT 1 FROM job WHERE job.window_id = w.id)
        ORDER BY device.id, w.id
    )
    SELECT head.id, head.lane, job.id, job.run, job.payload, batch.shared,
        entry.job_type, COALESCE(entry.cores, 1), COALESCE(entry.memory_mb, 0)
    FROM head JOIN job ON job.window_id = head.id JOIN batch ON batch.id = head.batch_id
    LEFT JOIN entry ON entry.job_id = job.id
    WHERE job.status = 'PENDING' AND NOT job.cancel_requested
        AND batch.status IN ('ADMITTED', 'RUNNING')
        AND (head.lease_until IS NULL OR head.lease_until < :at OR head.offer = :offer)
    ORDER BY head.lane
    """
)
_CLAIM: Final = text(
    """
    WITH due AS (
        SELECT id FROM "window" WHERE id = ANY(:windows)
            AND (lease_until IS NULL OR lease_until < :at OR offer = :offer)
        ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE "window" SET offer = :offer, lease_until = :until FROM due WHERE "window".id = due.id
    RETURNING "window".id
    """
)


def offerable(tx: Transaction, device_type: str, session: str, offer: str) -> list[Offered]:
    """What the lanes could begin now and nobody else is about to, by lane. `offer` names who
    asks: what it was offered before, it is offered again."""
    given = {"type": device_type, "session": session, "offer": offer, "at": tx.at}
    return [Offered(*row) for row in tx.connection.execute(_OFFERABLE, given)]


def claim(tx: Transaction, windows: Sequence[int], offer: str, until: datetime) -> set[int]:
    """Those that nobody else was offered meanwhile."""
    given = {"windows": list(windows), "offer": offer, "until": until, "at": tx.at}
    return set(tx.connection.execute(_CLAIM, given).scalars())


class Assigned(NamedTuple):
    """A job of one controller, as it stands. `unwanted`: it is not to begin, or not to run on; what
    runs of a batch that is over may do so. `window` and what follows: where it is on a lane."""

    job: str
    batch_id: UUID
    run: int
    status: str
    reason: str | None
    unwanted: bool
    started_at: datetime | None
    window: int | None
    device_id: int | None
    device: str | None
    session: str | None
    journal: str | None
    offer: str | None
    first: bool


_ASSIGNED: Final = """
    SELECT job.id::text, job.batch_id, job.run, job.status, job.reason,
        job.cancel_requested OR COALESCE(w.interrupted, false)
            OR (job.status = 'PENDING' AND batch.status NOT IN ('ADMITTED', 'RUNNING')),
        job.started_at, w.id, device.id, device.name, w.session, w.journal, w.offer,
        NOT EXISTS (
            SELECT 1 FROM "window" AS other JOIN job AS before ON before.window_id = other.id
            WHERE other.device_id = w.device_id AND other.id < w.id
        )
    FROM job JOIN batch ON batch.id = job.batch_id
    LEFT JOIN "window" AS w ON w.id = job.window_id LEFT JOIN device ON device.id = w.device_id
"""
_OF_TYPE: Final = text(
    f"{_ASSIGNED} WHERE job.id = ANY(CAST(:jobs AS uuid[])) AND batch.device_type = :type"
)


def find(tx: Transaction, device_type: str, jobs: Sequence[str]) -> dict[str, Assigned]:
    """Those of the jobs that are for this controller."""
    rows = tx.connection.execute(_OF_TYPE, {"jobs": list(jobs), "type": device_type})
    return {row[0]: Assigned(*row) for row in rows}


_LEASE: Final = text('UPDATE "window" SET lease_until = :until WHERE id = :window')
_RENEW: Final = text(
    """
    WITH due AS (
        SELECT id FROM "window" WHERE id = ANY(:windows) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE "window" SET lease_until = :until, progress = COALESCE(said.progress, "window".progress)
    FROM due JOIN unnest(CAST(:windows AS bigint[]), CAST(:progress AS float8[]))
        AS said (id, progress) ON said.id = due.id
    WHERE "window".id = due.id
    """
)


def lease(tx: Transaction, window: int, until: datetime) -> None:
    tx.connection.execute(_LEASE, {"window": window, "until": until})


def renew(tx: Transaction, progress: Mapping[int, float | None], until: datetime) -> None:
    """By window, with how far its job is; None where that was not said."""
    if progress:
        given = {"windows": list(progress), "progress": list(progress.values()), "until": until}
        tx.connection.execute(_RENEW, given)


_HELD: Final = """
    FROM device JOIN "window" AS w ON w.device_id = device.id
    JOIN job ON job.window_id = w.id JOIN batch ON batch.id = job.batch_id
    WHERE device.transport = 'https'
"""
_DUE: Final = text(
    f"""
    SELECT job.id::text, batch.device_type {_HELD} AND (
        (job.status = 'RUNNING' AND (
            COALESCE(w.lease_until < :at, true) OR job.started_at < :at - :wall
        ))
        OR (job.status = 'PENDING'
            AND (job.cancel_requested OR batch.status NOT IN ('ADMITTED', 'RUNNING')
                OR device.service = 'paused' OR w.interrupted))
    ) ORDER BY w.id LIMIT 1000
    """
)
_RUNNING: Final = text(
    f"SELECT job.id::text {_HELD} AND device.type = :type AND job.status = 'RUNNING'"
)
_LAPSED: Final = text('SELECT COALESCE(lease_until < :at, true) FROM "window" WHERE id = :window')


def due(tx: Transaction, wall: timedelta) -> list[tuple[str, str]]:
    """Jobs on lanes that nothing good will come of by itself, each with its device type: whose
    lease is over, that have run for longer than `wall`, or that were never begun and nobody wants
    any more, or not on this lane."""
    rows = tx.connection.execute(_DUE, {"at": tx.at, "wall": wall})
    return [(row[0], row[1]) for row in rows]


def running(tx: Transaction, device_type: str) -> list[str]:
    return list(tx.connection.execute(_RUNNING, {"type": device_type}).scalars())


def has_lapsed(tx: Transaction, window: int) -> bool:
    lapsed: bool = tx.connection.execute(_LAPSED, {"window": window, "at": tx.at}).scalar_one()
    return lapsed


_LOSSES: Final = text(
    """
    SELECT count(*) FILTER (WHERE kind = 'lost' AND job_id = CAST(:job AS uuid)) AS lost,
        count(DISTINCT CASE WHEN kind = 'infrastructure' AND detail ->> 'job' = :name
            THEN detail ->> 'run' END) AS broken
    FROM event WHERE batch_id = :batch AND kind IN ('lost', 'infrastructure')
    """
)


class Losses(NamedTuple):
    """How many runs of a job came to nothing: nobody was heard of it any more; its controller
    said that it could not."""

    silent: int
    broken: int


def losses(tx: Transaction, batch: UUID, job: str) -> Losses:
    row = tx.connection.execute(_LOSSES, {"batch": batch, "job": job, "name": job}).one()
    return Losses(row.lost - row.broken, row.broken)


_USAGE: Final = text(
    """
    UPDATE entry SET usage = CAST(:usage AS json)
    WHERE job_id = CAST(:job AS uuid) AND usage IS NULL
    """
)


_LATE: Final = text(
    """
    SELECT EXISTS (
        SELECT 1 FROM event WHERE batch_id = :batch AND kind = 'late'
            AND detail ->> 'job' = :job AND detail ->> 'run' = CAST(:run AS text)
    )
    """
)


def came_late(tx: Transaction, batch: UUID, job: str, run: int) -> bool:
    """Whether an end of that run was known to come too late."""
    known: bool = tx.connection.execute(
        _LATE, {"batch": batch, "job": job, "run": run}
    ).scalar_one()
    return known


def keep_usage(tx: Transaction, job: str, usage: Usage) -> None:
    """The first that is told."""
    tx.connection.execute(_USAGE, {"job": job, "usage": usage.model_dump_json()})
