"""Results as users read them: the JSON text that the device gave, never parsed on the way."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.errors import NotFound
from orchestrator.store.listings_jobs import JsonPage
from orchestrator.store.listings_reading import LIMIT_DEFAULT, Reader, cursor_of, number_in

PAGE_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ResultRow:
    """`value` or `ref` is there once the job is DONE; `size` and `sha256` are of the text."""

    status: str
    reason: str | None
    value: str | None
    ref: str | None
    size: int | None
    sha256: str | None


_ONE: Final = text(
    """
    SELECT j.status, j.reason, CAST(r.value AS text), r.ref, r.size, r.sha256
    FROM job j LEFT JOIN result r ON r.job_id = j.id
    WHERE j.id = :job AND j.project_id = COALESCE(CAST(:project AS uuid), j.project_id)
    """
)


def get_result(connection: Reader, project: UUID | None, job: UUID) -> ResultRow:
    """`project` None: whoever asks has shown in another way that they may read it."""
    row = connection.execute(_ONE, {"project": project, "job": job}).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job}")
    return ResultRow(*row)


# A page is cut where its results would be too many bytes, but is never empty for that.
_CUT: Final = """
    WITH page AS (
        SELECT j.id, j.ordinal, j.status, j.reason, r.job_id, r.ref,
            CASE WHEN r.ref IS NULL THEN COALESCE(r.size, 0) ELSE 0 END AS size
        FROM job j LEFT JOIN result r ON r.job_id = j.id
        WHERE j.batch_id = :batch AND j.project_id = :project AND j.ordinal > :place
        ORDER BY j.ordinal LIMIT :limit
    ), summed AS (
        SELECT page.*, sum(size) OVER (ORDER BY ordinal) - size AS before FROM page
    )
"""
_BEHIND: Final = """
    FROM summed s LEFT JOIN result r ON r.job_id = s.id
    WHERE s.before < :bytes ORDER BY s.ordinal
"""
_PAGE: Final = text(
    f"""{_CUT}
    SELECT s.ordinal, CAST(json_build_object(
        'job_id', s.id, 'ordinal', s.ordinal, 'status', s.status, 'reason', s.reason,
        'result', r.value,
        'result_url', CASE WHEN s.job_id IS NOT NULL THEN '/v1/jobs/' || s.id || '/result' END
    ) AS text) AS item {_BEHIND}
    """
)
_KEPT: Final = text(
    f"""{_CUT}
    SELECT s.ordinal, s.id, s.status, s.reason, CAST(r.value AS text) AS value, r.ref, r.size
    {_BEHIND}
    """
)
_LAST: Final = text("SELECT jobs_total FROM batch WHERE id = :batch AND project_id = :project")


def list_results(
    connection: Reader,
    project: UUID,
    batch: UUID,
    *,
    cursor: str | None = None,
    limit: int = LIMIT_DEFAULT,
) -> JsonPage:
    """One entry for each job, by ordinal, whether it has a result or not."""
    place = 0 if cursor is None else number_in("results", cursor)
    given = {"batch": batch, "project": project}
    jobs = connection.execute(_LAST, given).scalar_one_or_none()
    if jobs is None:
        raise NotFound(f"there is no batch {batch}")
    rows = connection.execute(
        _PAGE, {**given, "place": place, "limit": limit, "bytes": PAGE_BYTES}
    ).all()
    more = bool(rows) and rows[-1].ordinal < jobs
    return JsonPage(
        [row.item for row in rows], cursor_of("results", rows[-1].ordinal) if more else None
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """A job with its result: `value` is its text, `ref` where it is too large for the database."""

    ordinal: int
    job: UUID
    status: str
    reason: str | None
    value: str | None
    ref: str | None
    size: int | None


def kept_results(connection: Reader, project: UUID, batch: UUID, after: int) -> list[Kept]:
    """Jobs behind the ordinal `after`: as many as are a page, none at the end."""
    given = {"batch": batch, "project": project, "place": after, "limit": LIMIT_DEFAULT}
    rows = connection.execute(_KEPT, {**given, "bytes": PAGE_BYTES})
    return [Kept(*row) for row in rows]
