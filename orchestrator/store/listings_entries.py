"""Jobs as the submit-batch door shows them, by whichever door they came."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.domain.entries import STATES, formula, state_of
from orchestrator.errors import NotFound
from orchestrator.store.listings_reading import Reader, bad_cursor, cursor_of, place_in
from schemas.submit import JobOut, JobsPage

_LISTING: Final = "entries"
_SELECT: Final = """
    SELECT job.id, entry.name, job.status, job.reason, job.created_at, job.started_at,
        job.ended_at, entry.left_at, entry.cached_from,
        COALESCE(entry.job_type, 'workload') AS job_type,
        COALESCE(entry.target, batch.device_type) AS target,
        (SELECT progress FROM "window" WHERE "window".id = job.window_id) AS progress,
        (SELECT sum(core_ms) FROM hold WHERE hold.job_id = job.id AND state = 'captured') AS billed,
        CASE WHEN entry.job_type <> 'workload' THEN job.payload #> '{payload,atoms,symbols}' END
            AS symbols
    FROM job JOIN batch ON batch.id = job.batch_id LEFT JOIN entry ON entry.job_id = job.id
    WHERE job.project_id = :project AND entry.deleted_at IS NULL
"""
_ONE: Final = text(f"{_SELECT} AND job.id = :job")
_CLAUSES: Final = {
    "target": "COALESCE(entry.target, batch.device_type) = :target",
    "status": "job.status = :status AND entry.left_at IS NULL",
    "place": "job.id < :place",
}
_CANCELED: Final = "(job.status = 'CANCELED' OR entry.left_at IS NOT NULL)"


def get_own(connection: Reader, project: UUID, job: UUID) -> JobOut:
    row = connection.execute(_ONE, {"project": project, "job": job}).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job}")
    return _job(row)


def list_own(
    connection: Reader,
    project: UUID,
    *,
    cursor: str | None,
    limit: int,
    state: str | None,
    target: str | None,
) -> JobsPage:
    """Newest first."""
    given: dict[str, Any] = {}
    if target is not None:
        given["target"] = target
    if cursor is not None:
        given["place"] = _id_in(cursor)
    if state is not None and state != "cancelled":
        given["status"] = next(status for status, word in STATES.items() if word == state)
    clauses = [_CLAUSES[name] for name in given] + ([_CANCELED] if state == "cancelled" else [])
    where = "".join(f" AND {clause}" for clause in clauses)
    rows = connection.execute(
        text(f"{_SELECT}{where} ORDER BY job.id DESC LIMIT :limit"),
        {"project": project, "limit": limit + 1, **given},
    ).all()
    more = len(rows) > limit
    return JobsPage(
        jobs=[_job(row) for row in rows[:limit]],
        has_more=more,
        next_cursor=cursor_of(_LISTING, rows[limit - 1].id) if more else None,
    )


def _job(row: Row[Any]) -> JobOut:
    left = row.left_at is not None
    return JobOut(
        job_id=row.id,
        name=row.name,
        state=state_of(row.status, left=left),
        job_type=row.job_type,
        compute_target=row.target,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.left_at or row.ended_at,
        progress=row.progress if row.status == "RUNNING" else None,
        billed_core_seconds=float(row.billed or 0) / 1000,
        cached_from=row.cached_from,
        error=row.reason if row.status == "ERROR" and not left else None,
        molecule_preview=formula(row.symbols) if row.symbols else None,
    )


def _id_in(cursor: str) -> UUID:
    try:
        return UUID(place_in(_LISTING, cursor))
    except ValueError:
        raise bad_cursor("cursor") from None
