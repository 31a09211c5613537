"""THE only writer of a status, with its siblings `moves_*`. Each move is guarded by the states it
may come from, and its event is written in the same statement."""

import json
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text

from orchestrator.domain.transitions import BATCH_MOVES, BatchEvent
from orchestrator.store.moves_jobs import (
    cancel_jobs,
    finish_jobs,
    return_jobs,
    revive_jobs,
    start_job,
    words_of,
)
from orchestrator.store.transaction import Transaction
from schemas.words import BatchStatus

__all__ = [
    "cancel_jobs",
    "finish_jobs",
    "move_batch",
    "return_jobs",
    "revive_jobs",
    "start_job",
]

_LEFT_SEAT: Final = ", admitted_at = NULL, idle_deadline = NULL, overrun_deadline = NULL"
_ENDED: Final = ", ended_at = :at, idle_deadline = NULL, overrun_deadline = NULL"

E = BatchEvent
_ENDS: Final = (E.DRAINED, E.IDLED, E.OVERRAN, E.CANCELED, E.BROKE)
_ALSO: Final[dict[BatchEvent, str]] = {
    **dict.fromkeys(_ENDS, _ENDED),
    **dict.fromkeys((E.PREEMPTED, E.REQUEUED, E.PAUSED), _LEFT_SEAT),
    E.ADMITTED: ", admitted_at = :at, overrun_deadline = :at + max_duration_s * interval '1 s'",
    E.STARTED: ", started_at = COALESCE(started_at, :at)",
    E.REVIVED: ", ended_at = NULL",
}


def _batch_statement(event: BatchEvent) -> TextClause:
    also = _ALSO.get(event, "")
    return text(
        f"""
        WITH moved AS (
            UPDATE batch SET status = :target, updated_at = :now, reason = :reason{also}
            WHERE id = :id AND status = ANY(:sources) RETURNING id, project_id
        )
        INSERT INTO event (project_id, batch_id, device_id, kind, status, at, detail)
        SELECT project_id, id, CAST(:device AS int), :kind, :target, :now, CAST(:detail AS json)
        FROM moved RETURNING batch_id
        """
    )


_MOVE_BATCH: Final = {event: _batch_statement(event) for event in BatchEvent}


def move_batch(
    tx: Transaction,
    batch: UUID,
    event: BatchEvent,
    *,
    at: datetime | None = None,
    device: int | None = None,
    reason: str | None = None,
    detail: dict[str, Any] | None = None,
) -> BatchStatus | None:
    """Apply one event and log it. None: the batch had already moved on, so do nothing more.

    `at` is when it happened, if that is not now; `reason` is what its owner reads until the
    next move.
    """
    moved = tx.connection.execute(
        _MOVE_BATCH[event],
        {
            "id": batch,
            **words_of(event),
            "at": at or tx.at,
            "now": tx.at,
            "reason": reason,
            "device": device,
            "detail": detail and json.dumps(detail),
        },
    ).one_or_none()
    return None if moved is None else BATCH_MOVES[event].target
