"""Windows: which jobs have been handed to which device, and not yet settled."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction

_STAGE: Final = text(
    """
    WITH chosen AS (
        SELECT id FROM job
        WHERE batch_id = :batch AND status = 'PENDING' AND window_id IS NULL
        ORDER BY ordinal LIMIT :size
    ), opened AS (
        INSERT INTO "window" (device_id, batch_id, fence, session, journal, staged_at, sent_at)
        SELECT :device, :batch, :fence, :session, :journal, :at, :at
        WHERE EXISTS (SELECT 1 FROM chosen) RETURNING id
    ), staged AS (
        UPDATE job SET run = job.run + 1, window_id = opened.id, device_id = :device
        FROM chosen, opened WHERE job.id = chosen.id
        RETURNING job.id, job.run, job.ordinal, job.payload, job.window_id
    )
    SELECT id, run, ordinal, payload, window_id FROM staged ORDER BY ordinal
    """
)
_SHARED: Final = text("SELECT shared FROM batch WHERE id = :batch")


class Staged(NamedTuple):
    """A window as it was just opened: its jobs in order, each with a run of its own."""

    window: int
    jobs: tuple[Row[Any], ...]


def stage(tx: Transaction, device: DeviceRow, batch: UUID, size: int) -> Staged | None:
    rows = tx.connection.execute(
        _STAGE,
        {
            "batch": batch,
            "size": size,
            "device": device.id,
            "fence": device.fence,
            "session": device.session,
            "journal": device.journal,
            "at": tx.at,
        },
    ).all()
    return Staged(rows[0].window_id, tuple(rows)) if rows else None


_KEEP_SHARED: Final = 32
_shared: dict[UUID, dict[str, Any]] = {}


def shared_payload(tx: Transaction, batch: UUID) -> dict[str, Any]:
    """Never changes once the batch is there, so that the latest few are kept at hand."""
    known = _shared.get(batch)
    if known is None:
        known = tx.connection.execute(_SHARED, {"batch": batch}).scalar_one()
        while len(_shared) >= _KEEP_SHARED:
            _shared.pop(next(iter(_shared), batch), None)
        _shared[batch] = known
    return known


class InFlight(NamedTuple):
    """`sent_at` is when its message last left; `staged_at` when it first did. `interrupted`: what
    runs of it is to stop, for the sake of the device."""

    id: int
    batch_id: UUID
    fence: int
    session: str
    journal: str
    staged_at: datetime
    sent_at: datetime
    interrupted: bool = False


_IN_FLIGHT: Final = text(
    """
    WITH known AS (
        SELECT w.id, w.batch_id, w.fence, w.session, w.journal, w.staged_at, w.sent_at,
            w.interrupted,
            EXISTS (SELECT 1 FROM job WHERE job.window_id = w.id) AS live
        FROM "window" AS w WHERE w.device_id = :device
    ), spent AS (
        DELETE FROM "window" USING known WHERE "window".id = known.id AND NOT known.live
    )
    SELECT id, batch_id, fence, session, journal, staged_at, sent_at, interrupted
    FROM known WHERE live ORDER BY id
    """
)


def in_flight(tx: Transaction, device: int) -> list[InFlight]:
    """Windows that still have a job, oldest first; spent ones are forgotten on the way."""
    rows = tx.connection.execute(_IN_FLIGHT, {"device": device})
    return [InFlight(*row) for row in rows]


class StagedJob(NamedTuple):
    id: str
    batch_id: UUID
    run: int
    ordinal: int
    status: str
    cancel_requested: bool
    window: int


_JOBS: Final = text(
    """
    SELECT id::text, batch_id, run, ordinal, status, cancel_requested, window_id FROM job
    WHERE window_id = ANY(:windows) ORDER BY window_id, ordinal
    """
)
_JOBS_BY_ID: Final = text(
    """
    SELECT id::text, batch_id, run, ordinal, status, cancel_requested, window_id FROM job
    WHERE id = ANY(CAST(:jobs AS uuid[])) AND window_id IS NOT NULL ORDER BY window_id, ordinal
    """
)


def jobs_of(tx: Transaction, windows: Sequence[int]) -> list[StagedJob]:
    rows = tx.connection.execute(_JOBS, {"windows": list(windows)})
    return [StagedJob(*row) for row in rows]


def staged_jobs(tx: Transaction, jobs: Sequence[str]) -> list[StagedJob]:
    """Those of the given jobs that are in a window."""
    rows = tx.connection.execute(_JOBS_BY_ID, {"jobs": list(jobs)})
    return [StagedJob(*row) for row in rows]


_UNSTAGE: Final = text(
    """
    UPDATE job SET window_id = NULL
    WHERE id = ANY(CAST(:jobs AS uuid[])) AND status = 'PENDING' AND window_id IS NOT NULL
    """
)


def unstage(tx: Transaction, jobs: Sequence[str]) -> None:
    """Only for jobs that can no longer begin in their present run."""
    tx.connection.execute(_UNSTAGE, {"jobs": list(jobs)})


_SENT: Final = text('UPDATE "window" SET sent_at = :at, session = :session WHERE id = :window')


def mark_sent(tx: Transaction, window: int, session: str) -> None:
    tx.connection.execute(_SENT, {"window": window, "at": tx.at, "session": session})


_CONTENT: Final = text(
    """
    SELECT id, run, ordinal, payload, window_id FROM job
    WHERE window_id = :window ORDER BY ordinal
    """
)


def content(tx: Transaction, window: int) -> Staged:
    """The window as it stands, for sending its message again."""
    return Staged(window, tuple(tx.connection.execute(_CONTENT, {"window": window}).all()))


_INTERRUPT: Final = text('UPDATE "window" SET interrupted = true WHERE id = ANY(:windows)')
_INTERRUPTED: Final = text('SELECT id FROM "window" WHERE id = ANY(:windows) AND interrupted')


def interrupt(tx: Transaction, windows: Collection[int]) -> None:
    """The device row is locked. What runs of them is to stop; the sweep asks until it has."""
    tx.connection.execute(_INTERRUPT, {"windows": list(windows)})


def interrupted(tx: Transaction, windows: Collection[int]) -> set[int]:
    """Those of them that are."""
    if not windows:
        return set()
    return set(tx.connection.execute(_INTERRUPTED, {"windows": list(windows)}).scalars())
