"""Batches and jobs as the PASQAL door shows them. What is large is read only where it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_reading import Reader


@dataclass(frozen=True, slots=True)
class BatchShown:
    id: UUID
    project_id: UUID
    user_id: UUID | None
    parent_id: UUID | None
    device_type: str
    status: str
    open: bool
    priority: int
    tags: list[str]
    webhook: str | None
    options: dict[str, Any] | None
    reason: str | None
    jobs_total: int
    jobs_left: int
    jobs_running: int
    jobs_done: int
    jobs_failed: int
    jobs_canceled: int
    created_at: datetime
    updated_at: datetime
    admitted_at: datetime | None
    ended_at: datetime | None


BATCH_COLUMNS: Final = """
    b.id, b.project_id, b.user_id, b.parent_id, b.device_type, b.status, b.open, b.priority,
    b.tags, b.webhook, b.options, b.reason, b.jobs_total, b.jobs_left,
    CASE WHEN b.jobs_left > 0 THEN (
        SELECT count(*) FROM job r JOIN "window" w ON r.window_id = w.id
        WHERE w.batch_id = b.id AND r.status = 'RUNNING'
    ) ELSE 0 END AS jobs_running,
    b.jobs_done, b.jobs_failed, b.jobs_canceled,
    b.created_at, b.updated_at, b.admitted_at, b.ended_at
"""
_BATCHES: Final = text(
    f"SELECT {BATCH_COLUMNS} FROM batch b WHERE b.id = ANY(:ids) AND b.project_id = ANY(:projects)"
)


def these_batches(
    connection: Reader, projects: Sequence[UUID], ids: Sequence[UUID]
) -> list[BatchShown]:
    """In the order of `ids`; another project's are not there."""
    rows = connection.execute(_BATCHES, {"ids": list(ids), "projects": list(projects)})
    found = {row.id: BatchShown(*row) for row in rows}
    return [found[each] for each in ids if each in found]


@dataclass(frozen=True, slots=True)
class Program:
    """What a batch's jobs share: the serialized sequence, and the emulator's configuration."""

    sequence: Any
    backend_configuration: Any


_PROGRAM: Final = text(
    "SELECT shared->'sequence', shared->'backend_configuration' FROM batch WHERE id = :id"
)


def program_of(connection: Reader, batch: UUID) -> Program:
    return Program(*connection.execute(_PROGRAM, {"id": batch}).one())


@dataclass(frozen=True, slots=True)
class JobShown:
    """`sequence` is the job's own, where it does not run the batch's."""

    id: UUID
    batch_id: UUID
    project_id: UUID
    ordinal: int
    status: str
    runs: int | None
    variables: dict[str, Any] | None
    sequence: Any
    parent_id: UUID | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


JOB_COLUMNS: Final = """
    j.id, j.batch_id, j.project_id, j.ordinal, j.status, j.runs, j.payload->'variables' AS variables,
    j.payload->'sequence' AS sequence, j.parent_id, j.reason, j.created_at, j.started_at, j.ended_at
"""
_JOBS: Final = text(
    f"SELECT {JOB_COLUMNS} FROM job j WHERE j.id = ANY(:ids) AND j.project_id = ANY(:projects)"
)
_OF_BATCH: Final = text(
    f"SELECT {JOB_COLUMNS} FROM job j WHERE j.batch_id = :id ORDER BY j.ordinal"
)


def these_jobs(connection: Reader, projects: Sequence[UUID], ids: Sequence[UUID]) -> list[JobShown]:
    """In the order of `ids`; another project's are not there."""
    rows = connection.execute(_JOBS, {"ids": list(ids), "projects": list(projects)})
    found = {row.id: JobShown(*row) for row in rows}
    return [found[each] for each in ids if each in found]


def jobs_of(connection: Reader, batch: UUID) -> list[JobShown]:
    """All of them, in the order of submission."""
    return [JobShown(*row) for row in connection.execute(_OF_BATCH, {"id": batch})]


_IDS: Final = text("SELECT id FROM job WHERE batch_id = :id ORDER BY ordinal")


def job_ids(connection: Reader, batch: UUID) -> list[UUID]:
    return list(connection.execute(_IDS, {"id": batch}).scalars())


# TEMPORARY
def find_batches(connection, projects, wanted):  # type: ignore
    rows = connection.execute(text(f"SELECT {BATCH_COLUMNS} FROM batch b WHERE b.project_id = ANY(:projects) ORDER BY seq DESC"), {"projects": list(projects)}).all()
    rows = [BatchShown(*r) for r in rows]
    return rows[wanted.offset:wanted.offset+wanted.limit], len(rows)


def find_jobs(connection, projects, wanted):  # type: ignore
    rows = connection.execute(text(f"SELECT {JOB_COLUMNS} FROM job j WHERE j.project_id = ANY(:projects) ORDER BY created_at DESC, ordinal DESC"), {"projects": list(projects)}).all()
    rows = [JobShown(*r) for r in rows]
    if wanted.batch_id: rows = [r for r in rows if r.batch_id in wanted.batch_id]
    if wanted.id: rows = [r for r in rows if r.id in wanted.id]
    if wanted.status: rows = [r for r in rows if r.status in wanted.status]
    if wanted.order_by == "creation_order": rows.sort(key=lambda r: r.ordinal)
    return rows[wanted.offset:wanted.offset+wanted.limit], len(rows)
