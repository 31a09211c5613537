"""Accepted calls and their idempotency keys, kept in the transaction of the change itself."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.errors import KeyReused
from orchestrator.store.jobs import new_id
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction

Report = dict[str, Any]
"""What a call decided, as JSON: ids and verdicts. Its answer can be built from it at any time."""


@dataclass(frozen=True, slots=True)
class Submission:
    """`report` is there if the same call was accepted before."""

    id: UUID
    report: Report | None


# A twin that is under way holds the unique index: this waits until it has ended, either way.
_CLAIM: Final = text(
    """
    INSERT INTO submission (id, project_id, door, key, digest, created_at)
    VALUES (:id, :project, :door, :key, :digest, :at)
    ON CONFLICT (project_id, key) DO NOTHING RETURNING id
    """
)
_KNOWN: Final = text(
    """
    SELECT id, digest, CAST(report AS text) AS report FROM submission
    WHERE project_id = :project AND key = :key
    """
)


def is_known(connection: Reader, project: UUID, key: str) -> bool:
    """Whether a call with this key was accepted; without waiting for one that is under way."""
    given = {"project": project, "key": key}
    return connection.execute(_KNOWN, given).one_or_none() is not None


def claim(tx: Transaction, project: UUID, key: str, digest: bytes, *, door: str) -> Submission:
    """Raises KeyReused when the key was given to another request."""
    mine = new_id()
    given = {"id": mine, "project": project, "door": door, "key": key, "digest": digest}
    if tx.connection.execute(_CLAIM, {**given, "at": tx.at}).one_or_none() is not None:
        return Submission(mine, None)
    known = tx.connection.execute(_KNOWN, {"project": project, "key": key}).one()
    if bytes(known.digest) != digest:
        raise KeyReused(
            "this Idempotency-Key was used for another request; take a new key for a new request"
        )
    return Submission(known.id, json.loads(known.report))


_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:what, 6))")
_FORGET: Final = text(
    "DELETE FROM submission WHERE project_id = :project AND key = :key AND created_at < :before"
)


def claim_alone(
    tx: Transaction, project: UUID, key: str, digest: bytes, *, door: str, span: timedelta
) -> Submission | None:
    """As `claim`, for a key that is good for that long only. None, at once: the same call is still
    under way."""
    if not tx.connection.execute(_ALONE, {"what": f"{project} {key}"}).scalar_one():
        return None
    given = {"project": project, "key": key, "before": tx.at - span}
    tx.connection.execute(_FORGET, given)
    return claim(tx, project, key, digest, door=door)


_CLAIM_FOR: Final = text(
    """
    INSERT INTO submission (id, project_id, door, key, digest, created_at)
    VALUES (:id, :project, :door, :key, :digest, :at)
    ON CONFLICT (project_id, key) DO UPDATE SET created_at = excluded.created_at, report = NULL
    WHERE submission.created_at < excluded.created_at - CAST(:span AS interval)
    RETURNING id
    """
)
_RECENT: Final = text(
    """
    SELECT id, CAST(report AS text) AS report FROM submission
    WHERE project_id = :project AND key = :key
        AND created_at >= clock_timestamp() - CAST(:span AS interval)
    """
)


def claim_for(
    tx: Transaction, project: UUID, key: str, digest: bytes, span: timedelta, *, door: str
) -> Submission:
    """As `claim`, for callers without keys of their own: `key` is what the call is made of, and
    names the same call for that long only."""
    given = {"id": new_id(), "project": project, "door": door, "key": key, "digest": digest}
    row = tx.connection.execute(_CLAIM_FOR, {**given, "at": tx.at, "span": span}).one_or_none()
    if row is not None:
        return Submission(row.id, None)
    known = tx.connection.execute(_KNOWN, {"project": project, "key": key}).one()
    return Submission(known.id, json.loads(known.report))


def recent(connection: Reader, project: UUID, key: str, span: timedelta) -> Report | None:
    """What that call decided, if it was made within the span."""
    given = {"project": project, "key": key, "span": span}
    row = connection.execute(_RECENT, given).one_or_none()
    return None if row is None else json.loads(row.report)


_KEEP: Final = text(
    "UPDATE submission SET status = :status, report = CAST(:report AS json) WHERE id = :id"
)


def keep(tx: Transaction, submission: UUID, status: int, report: Report) -> None:
    tx.connection.execute(_KEEP, {"id": submission, "status": status, "report": json.dumps(report)})
