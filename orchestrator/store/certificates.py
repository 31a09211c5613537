"""What Postgres knows of a batch that is to be certified, and the key that signs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.errors import NotFound
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction

_MAKE_KEY: Final = text(
    "INSERT INTO certificate_key (id, private, created_at) VALUES (1, :fresh, :at)"
    " ON CONFLICT DO NOTHING"
)
_KEY: Final = text("SELECT private FROM certificate_key WHERE id = 1")


def private_key(tx: Transaction, fresh: bytes) -> bytes:
    """The database's own; `fresh` becomes it where there is none yet."""
    known = tx.connection.execute(_KEY).scalar_one_or_none()
    if known is None:
        tx.connection.execute(_MAKE_KEY, {"fresh": fresh, "at": tx.at})
        known = tx.connection.execute(_KEY).scalar_one()
    return bytes(known)


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchFacts:
    """`devices`: by name, all whose seat it had; `remote`: those of them that are on users' own
    machines; `admitted_at`: when it had the first. `now` is the database's clock."""

    status: str
    jobs_total: int
    jobs_done: int
    jobs_failed: int
    jobs_canceled: int
    ended_at: datetime | None
    admitted_at: datetime | None
    devices: Sequence[str]
    remote: Sequence[str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that a device began; `run` is the one that counts. `sha256` is of its result, where
    it has one."""

    job: str
    run: int
    sha256: str | None


_BATCH: Final = text(
    """
    SELECT b.status, b.jobs_total, b.jobs_done, b.jobs_failed, b.jobs_canceled, b.ended_at,
        seats.admitted_at, COALESCE(seats.devices, '{}') AS devices,
        COALESCE(seats.remote, '{}') AS remote, clock_timestamp() AS now
    FROM batch b CROSS JOIN LATERAL (
        SELECT min(e.at) AS admitted_at, array_agg(DISTINCT d.name ORDER BY d.name) AS devices,
            array_agg(DISTINCT d.name ORDER BY d.name) FILTER (WHERE d.transport = 'https')
                AS remote
        FROM event e JOIN device d ON d.id = e.device_id
        WHERE e.batch_id = b.id AND e.kind IN ('admitted', 'joined')
    ) AS seats
    WHERE b.id = :batch AND b.project_id = :project
    """
)
_RAN: Final = text(
    """
    SELECT CAST(j.id AS text), COALESCE(r.run, j.run), r.sha256
    FROM job j LEFT JOIN result r ON r.job_id = j.id
    WHERE j.batch_id = :batch AND j.started_at IS NOT NULL ORDER BY j.ordinal
    """
)


def facts_of(connection: Reader, project: UUID, batch: UUID) -> BatchFacts:
    """Raises `NotFound`."""
    row = connection.execute(_BATCH, {"batch": batch, "project": project}).one_or_none()
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    return BatchFacts(**row._mapping)


def jobs_that_ran(connection: Reader, batch: UUID) -> list[Ran]:
    return [Ran(*row) for row in connection.execute(_RAN, {"batch": batch})]


_OF_PROJECT: Final = text(
    "SELECT id::text FROM batch WHERE project_id = :project AND id = ANY(CAST(:batches AS uuid[]))"
)


def of_project(connection: Reader, project: UUID, batches: Sequence[str]) -> set[str]:
    """Those of the given batches that the project owns."""
    given = {"project": project, "batches": list(batches)}
    return set(connection.execute(_OF_PROJECT, given).scalars())
