"""Batches by page number, with an exact total, over any filter."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_numbered import Found, Order, every
from orchestrator.store.listings_reading import Reader
from schemas.words import BatchStatus

QueuePriority = Literal["LOW", "MEDIUM", "HIGH"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchesWanted:
    """None: any. An empty sequence: none. `statuses` are the dialect's, which has five of them:
    what waits in whatever way is PENDING there, and what holds a device is RUNNING."""

    ids: Sequence[UUID] | None = None
    id_starts_with: str | None = None
    project_ids: Sequence[UUID] | None = None
    user_ids: Sequence[UUID] | None = None
    device_types: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    open: bool | None = None
    queue_priorities: Sequence[QueuePriority] | None = None
    tag: str | None = None
    min_jobs: int | None = None
    max_jobs: int | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundBatch:
    """`status`: the engine's. `devices`: those that it holds, by name. `jobs_running` of the
    `jobs_left` have begun."""

    id: UUID
    seq: int
    project_id: UUID
    user_id: UUID | None
    name: str | None
    device_type: str
    devices: list[str]
    status: str
    open: bool
    priority: int
    tags: list[str]
    parent_id: UUID | None
    reason: str | None
    webhook: str | None
    options: dict[str, Any] | None
    jobs_total: int
    jobs_left: int
    jobs_running: int
    jobs_done: int
    jobs_failed: int
    jobs_canceled: int
    created_at: datetime
    updated_at: datetime
    admitted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


_S = BatchStatus
_MEANT: Final = {
    "PENDING": (_S.PENDING, _S.PAUSED, _S.PREEMPTED),
    "RUNNING": (_S.ADMITTED, _S.RUNNING),
}
_SIGN: Final[dict[QueuePriority, int]] = {"LOW": -1, "MEDIUM": 0, "HIGH": 1}
_CLAUSES: Final = {
    "ids": "id = ANY(:ids)",
    "id_starts_with": "starts_with(CAST(id AS text), lower(:id_starts_with))",
    "user_ids": "user_id = ANY(:user_ids)",
    "device_types": "device_type = ANY(:device_types)",
    "statuses": "status = ANY(:statuses)",
    "open": "(open AND ended_at IS NULL) = :open",
    "signs": "sign(priority) = ANY(:signs)",
    "tag": "tags @> ARRAY[CAST(:tag AS text)]",
    "min_jobs": "jobs_total >= :min_jobs",
    "max_jobs": "jobs_total <= :max_jobs",
    "start_date": "created_at >= :start_date",
    "end_date": "created_at <= :end_date",
}
_COLUMNS: Final = """
    b.id, b.seq, b.project_id, b.user_id, b.name, b.device_type,
    ARRAY(SELECT d.name FROM device d WHERE d.seat = b.id ORDER BY d.name) AS devices,
    b.status, b.open, b.priority, b.tags, b.parent_id, b.reason, b.webhook, b.options,
    b.jobs_total, b.jobs_left, COALESCE(running.n, 0) AS jobs_running, b.jobs_done,
    b.jobs_failed, b.jobs_canceled, b.created_at, b.updated_at, b.admitted_at, b.started_at,
    b.ended_at
"""
_RUNNING: Final = """
    SELECT j.batch_id, count(*) AS n
    FROM "window" w JOIN job j ON j.window_id = w.id WHERE j.status = 'RUNNING'
    GROUP BY j.batch_id
"""
_PAGE: Final = """
    WITH found AS MATERIALIZED (
        SELECT id, created_at, seq FROM batch WHERE project_id = ANY(:projects) {clauses}
    ), counted AS (
        SELECT count(*) AS total FROM found
    ), page AS MATERIALIZED (
        SELECT id FROM found ORDER BY created_at {order}, seq {order} OFFSET :offset LIMIT :limit
    ), running AS ({running})
    SELECT counted.total, {columns}
    FROM counted LEFT JOIN (page JOIN batch b ON b.id = page.id) ON true
        LEFT JOIN running ON running.batch_id = b.id
    ORDER BY b.created_at {order}, b.seq {order}
"""


def find_batches(
    connection: Reader,
    projects: Sequence[UUID],
    wanted: BatchesWanted,
    *,
    offset: int,
    limit: int,
    order: Order = "DESC",
) -> Found[FoundBatch]:
    """Of these projects only, whatever is wanted."""
    given = _given(projects, wanted)
    clauses = every(_CLAUSES, given)
    statement = _PAGE.format(clauses=clauses, order=order, columns=_COLUMNS, running=_RUNNING)
    rows = connection.execute(text(statement), {**given, "offset": offset, "limit": limit}).all()
    return Found([FoundBatch(*row[1:]) for row in rows if row.id is not None], rows[0].total)


_THESE: Final = text(
    f"""
    WITH running AS ({_RUNNING})
    SELECT {_COLUMNS} FROM batch b LEFT JOIN running ON running.batch_id = b.id
    WHERE b.id = ANY(:ids) AND b.project_id = ANY(:projects)
    """
)


def these_batches(
    connection: Reader, projects: Sequence[UUID], ids: Sequence[UUID]
) -> list[FoundBatch]:
    """In the order of `ids`; another project's are not there."""
    rows = connection.execute(_THESE, {"ids": list(ids), "projects": list(projects)})
    found = {row.id: FoundBatch(*row) for row in rows}
    return [found[each] for each in ids if each in found]


def _given(projects: Sequence[UUID], wanted: BatchesWanted) -> dict[str, Any]:
    given = {name: value for name, value in asdict(wanted).items() if value is not None}
    among = given.pop("project_ids", projects)
    given["projects"] = [project for project in projects if project in among]
    if "statuses" in given:
        words = given["statuses"]
        given["statuses"] = [ours for word in words for ours in _MEANT.get(word, (word,))]
    if "queue_priorities" in given:
        given["signs"] = [_SIGN[word] for word in given.pop("queue_priorities")]
    return given
