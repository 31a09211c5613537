"""Jobs, results and history as a page shows them: by page, and never more than a page can bear."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.errors import NotFound
from orchestrator.store.listings_events import check_cursor
from orchestrator.store.listings_reading import Reader

READ_MOST: Final = 64 * 1024
"""Bytes of a result that a list reads: of a larger one it says only how large it is."""
POINTS_MOST: Final = 10_000
OBJECTIVES: Final = ("objective", "energy", "cost", "value")


@dataclass(frozen=True, slots=True)
class ShownJob:
    """`value`: the JSON text of its result, where that has at most READ_MOST bytes; `size`: the
    bytes of a result that there is. Of a `payload` beyond as many there are only `runs`,
    `variables` and the word that the rest is `omitted`."""

    id: UUID
    batch_id: UUID
    ordinal: int
    status: str
    run: int
    payload: dict[str, Any]
    reason: str | None
    device: str | None
    parent_id: UUID | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    value: str | None
    size: int | None

    @property
    def own(self) -> str:
        """What it brings beside its variables, as JSON, or that it is too large."""
        if omitted := self.payload.get("omitted"):
            return str(omitted)
        given = self.payload.get("payload")
        return json.dumps(given, ensure_ascii=False) if given else ""


# A payload has as many bytes as a call may have: a page of such would fill the memory.
_JOBS: Final = """
    SELECT j.id, j.batch_id, j.ordinal, j.status, j.run,
        CASE WHEN octet_length(CAST(j.payload AS text)) <= :most THEN j.payload
            ELSE json_build_object('omitted', 'too large to show here',
                'runs', j.payload -> 'runs', 'variables',
                CASE WHEN octet_length(CAST(j.payload -> 'variables' AS text)) <= :most
                    THEN j.payload -> 'variables' END) END,
        j.reason, d.name, j.parent_id, j.created_at, j.started_at, j.ended_at,
        CASE WHEN r.size <= :most THEN CAST(r.value AS text) END, r.size
    FROM job j LEFT JOIN device d ON d.id = j.device_id LEFT JOIN result r ON r.job_id = j.id
    WHERE j.project_id = :project
"""
_ONE: Final = text(f"{_JOBS} AND j.id = :job")
_PAGE: Final = text(
    f"""
    {_JOBS} AND j.batch_id = :batch AND (CAST(:status AS text) IS NULL OR j.status = :status)
    ORDER BY j.ordinal OFFSET :start LIMIT :limit
    """
)
_SOME: Final = text(
    f"{_JOBS} AND j.batch_id = :batch AND j.id = ANY(:ids) AND j.ordinal > :start"
    " ORDER BY j.ordinal LIMIT :limit"
)


def get_shown(reader: Reader, project: UUID, job: UUID, *, most: int = READ_MOST) -> ShownJob:
    """Raises NotFound. `most`: bytes of the result that are read."""
    given = {"project": project, "job": job, "most": most}
    row = reader.execute(_ONE, given).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job}")
    return ShownJob(*row)


def page_of_jobs(
    reader: Reader,
    project: UUID,
    batch: UUID,
    *,
    start: int,
    limit: int,
    status: str | None = None,
) -> list[ShownJob]:
    """By ordinal, behind the first `start` of those that have the status."""
    given = {"project": project, "batch": batch, "status": status, "most": READ_MOST}
    rows = reader.execute(_PAGE, {**given, "start": start, "limit": limit})
    return [ShownJob(*row) for row in rows]


def some_jobs(
    reader: Reader, project: UUID, batch: UUID, ids: Sequence[UUID], *, start: int, limit: int
) -> list[ShownJob]:
    """Those of the given jobs whose ordinals are the `limit` behind `start`."""
    given = {"project": project, "batch": batch, "ids": list(ids), "most": READ_MOST}
    rows = reader.execute(_SOME, {**given, "start": start, "limit": limit})
    return [job for row in rows if (job := ShownJob(*row)).ordinal <= start + limit]


class Point(NamedTuple):
    ordinal: int
    key: str
    value: float


# Postgres takes no member of a JSON that names NUL or half a character anywhere, and no number that
# a float cannot be: one such result must not hide the others.
_POINTS: Final = text(
    r"""
    SELECT j.ordinal, found.key, CAST(found.value AS float8)
    FROM job j JOIN result r ON r.job_id = j.id CROSS JOIN LATERAL (
        SELECT CASE WHEN r.size <= :bytes AND CAST(r.value AS text)
            !~ '\\u(0000|[dD][89a-fA-F])' THEN r.value END AS value
    ) AS safe CROSS JOIN LATERAL (
        SELECT named.key, safe.value ->> named.key AS value
        FROM unnest(CAST(:keys AS text[])) WITH ORDINALITY AS named (key, place)
        WHERE json_typeof(safe.value -> named.key) = 'number'
        ORDER BY named.place LIMIT 1
    ) AS found
    WHERE j.batch_id = :batch AND j.project_id = :project AND j.ordinal <= :most
        AND length(found.value) <= 40 AND found.value !~ '[eE][+-]?[0-9]{3,}'
    ORDER BY j.ordinal
    """
)


def objectives(reader: Reader, project: UUID, batch: UUID) -> list[Point]:
    """By ordinal: the number that a result has under the first of `OBJECTIVES`, where it has
    one. Of the first `POINTS_MOST` jobs: all have to be read to know."""
    given = {"batch": batch, "project": project, "keys": list(OBJECTIVES), "bytes": READ_MOST}
    return [Point(*row) for row in reader.execute(_POINTS, {**given, "most": POINTS_MOST})]


class Past(NamedTuple):
    """One event. `place`: its cursor, for what is older."""

    place: str
    kind: str
    status: str | None
    at: datetime
    job_id: UUID | None
    ordinal: int | None
    device: str | None
    detail: dict[str, Any] | None


_PAST: Final = """
    SELECT e.xid || '-' || e.id, e.kind, e.status, e.at, e.job_id, j.ordinal, d.name, e.detail
    FROM event e LEFT JOIN device d ON d.id = e.device_id LEFT JOIN job j ON j.id = e.job_id
    WHERE e.project_id = :project AND e.batch_id = :batch
"""
_NEWEST_FIRST: Final = "ORDER BY e.xid DESC, e.id DESC LIMIT :limit"
_OF_BATCH: Final = text(
    f"{_PAST} AND (:jobs OR e.job_id IS NULL) AND (e.xid, e.id) < (:xid, :id) {_NEWEST_FIRST}"
)
_OF_JOB: Final = text(f"{_PAST} AND e.job_id = :job {_NEWEST_FIRST}")
_END: Final = f"{10**18 - 1}-0"


def past_of_batch(
    reader: Reader,
    project: UUID,
    batch: UUID,
    *,
    limit: int,
    before: str | None = None,
    jobs: bool = True,
) -> list[Past]:
    """Newest first; without `jobs` only what became of the batch itself. Raises Rejected where
    `before` is no place."""
    before = before or _END
    check_cursor(before)
    xid, number = map(int, before.split("-"))
    given = {"project": project, "batch": batch, "jobs": jobs, "limit": limit}
    rows = reader.execute(_OF_BATCH, {**given, "xid": xid, "id": number})
    return [Past(*row) for row in rows]


def past_of_job(reader: Reader, project: UUID, batch: UUID, job: UUID, *, limit: int) -> list[Past]:
    """Newest first."""
    given = {"project": project, "batch": batch, "job": job, "limit": limit}
    return [Past(*row) for row in reader.execute(_OF_JOB, given)]


class Shared(NamedTuple):
    """JSON text of what all jobs of a batch share, None where it is over the asked limit."""

    text: str | None
    size: int


_SHARED: Final = text(
    """
    SELECT CASE WHEN octet_length(CAST(shared AS text)) <= :most THEN CAST(shared AS text) END,
        octet_length(CAST(shared AS text))
    FROM batch WHERE id = :batch AND project_id = :project
    """
)


def shared_text(reader: Reader, project: UUID, batch: UUID, *, most: int) -> Shared:
    """Raises NotFound."""
    given = {"project": project, "batch": batch, "most": most}
    row = reader.execute(_SHARED, given).one_or_none()
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    return Shared(*row)


_BY_ORDINAL: Final = text(
    "SELECT id FROM job WHERE project_id = :project AND batch_id = :batch"
    " AND ordinal = ANY(:ordinals) ORDER BY ordinal"
)


def jobs_by_ordinal(
    reader: Reader, project: UUID, batch: UUID, ordinals: Sequence[int]
) -> list[UUID]:
    given = {"project": project, "batch": batch, "ordinals": list(ordinals)}
    return list(reader.execute(_BY_ORDINAL, given).scalars())


_HAD: Final = text(
    """
    SELECT DISTINCT d.name FROM event e JOIN device d ON d.id = e.device_id
    WHERE e.project_id = :project AND e.batch_id = :batch AND e.kind IN ('admitted', 'joined')
    ORDER BY d.name
    """
)


def devices_had(reader: Reader, project: UUID, batch: UUID) -> list[str]:
    """All that it ever had, by name."""
    return list(reader.execute(_HAD, {"project": project, "batch": batch}).scalars())
