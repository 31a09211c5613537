"""The lanes of devices as the portal shows them: now, and the last hours.

What is read for a lane does not grow with the number of jobs that ever were: by way of a small
index of what devices did, the batches that sat there, and their jobs.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.domain.lane import Span, Stay, Told
from orchestrator.store.figures import OLDEST_AGE
from orchestrator.store.listings_reading import Reader

EVENTS_MOST: Final = 1500
"""Of each device: a batch leaves three. What lies before is not shown."""
COUNTED_MOST: Final = 10_000
DEVICES_MOST: Final = 200


class LaneRow(NamedTuple):
    """`own`: whether the batch on the seat is of the project that looks; only then anything is
    told of it. `ordinal`: of the job that runs there, `began_at`: since when."""

    id: int
    name: str
    type: str
    executor: str
    service: str
    reason: str | None
    since: datetime | None
    online: bool
    heard_at: datetime | None
    host: str | None
    seat: UUID | None
    fence: int
    own: bool
    batch_name: str | None
    open: bool | None
    jobs_total: int | None
    jobs_left: int | None
    admitted_at: datetime | None
    idle_deadline: datetime | None
    idle_timeout_s: float | None
    ordinal: int | None
    began_at: datetime | None
    interrupted: bool


_LANES: Final = text(
    """
    SELECT d.id, d.name, d.type, t.executor, d.service, d.service_reason, d.service_since,
        d.online, d.heard_at, d.host, d.seat, d.fence, b.id IS NOT NULL, b.name, b.open,
        b.jobs_total, b.jobs_left, b.admitted_at, b.idle_deadline, b.idle_timeout_s,
        job.ordinal, job.started_at, COALESCE(job.interrupted, false)
    FROM device d JOIN device_type t ON t.name = d.type
        LEFT JOIN batch b ON b.id = d.seat AND b.project_id = :project
        LEFT JOIN LATERAL (
            SELECT job.ordinal, job.started_at, w.interrupted
            FROM "window" AS w JOIN job ON job.window_id = w.id
            WHERE w.device_id = d.id AND job.status = 'RUNNING' AND w.batch_id = b.id
            ORDER BY w.id, job.ordinal LIMIT 1
        ) AS job ON true
    WHERE d.service <> 'retired' AND (t.project_id IS NULL OR t.project_id = :project)
    ORDER BY d.type, d.name LIMIT :most
    """
)


def lanes(connection: Reader, project: UUID) -> list[LaneRow]:
    """By type and name. Lanes of other projects' controllers are not there."""
    rows = connection.execute(_LANES, {"project": project, "most": DEVICES_MOST})
    return [LaneRow(*row) for row in rows]


class Line(NamedTuple):
    """Who waits for a type of device: how many, COUNTED_MOST at most, and the longest how long."""

    waiting: int
    oldest_s: float | None


_LINES: Final = text(
    f"""
    SELECT t.name, (
        SELECT count(*) FROM (
            SELECT 1 FROM batch WHERE device_type = t.name AND status = 'PENDING' LIMIT :most
        ) AS counted
    ), ({OLDEST_AGE})
    FROM device_type AS t WHERE t.name = ANY(:types)
    """
)


def lines(connection: Reader, types: Collection[str]) -> dict[str, Line]:
    rows = connection.execute(_LINES, {"types": list(types), "most": COUNTED_MOST})
    return {row[0]: Line(row[1], None if row[2] is None else float(row[2])) for row in rows}


_TOLD: Final = text(
    """
    SELECT device.id, told.at, told.kind, told.batch_id, told.detail
    FROM unnest(CAST(:devices AS int[])) AS device (id) CROSS JOIN LATERAL (
        (
            SELECT at, kind, batch_id, detail FROM event
            WHERE device_id = device.id AND job_id IS NULL AND at >= :since
            ORDER BY at DESC LIMIT :most
        ) UNION ALL (
            SELECT at, kind, batch_id, detail FROM event
            WHERE device_id = device.id AND job_id IS NULL AND at < :since
                AND kind IN ('admitted', 'joined')
            ORDER BY at DESC LIMIT 1
        )
    ) AS told
    ORDER BY device.id, told.at
    """
)


def told(connection: Reader, devices: Collection[int], since: datetime) -> dict[int, list[Told]]:
    """What each did since then, oldest first, EVENTS_MOST at most; and who sat there before."""
    found: dict[int, list[Told]] = defaultdict(list)
    given = {"devices": list(devices), "since": since, "most": EVENTS_MOST}
    for device, *event in connection.execute(_TOLD, given):
        found[device].append(Told(*event))
    return found


class Sitter(NamedTuple):
    project_id: UUID
    name: str | None
    jobs_total: int
    ended_at: datetime | None


_SITTERS: Final = text(
    "SELECT id, project_id, name, jobs_total, ended_at FROM batch WHERE id = ANY(:ids)"
)


def sitters(connection: Reader, batches: Collection[UUID]) -> dict[UUID, Sitter]:
    rows = connection.execute(_SITTERS, {"ids": list(batches)}) if batches else ()
    return {row.id: Sitter(*row[1:]) for row in rows}


# Stay by stay, along the jobs of its batch: a plan for all at once reads every job that ever was.
_RAN: Final = text(
    """
    SELECT stay.n, ran.jobs, ran.seconds
    FROM unnest(CAST(:devices AS int[]), CAST(:batches AS uuid[]),
            CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[]))
        WITH ORDINALITY AS stay (device, batch, since, until, n)
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs, extract(epoch FROM sum(
            LEAST(COALESCE(job.ended_at, :until), stay.until)
            - GREATEST(job.started_at, stay.since)))::float8 AS seconds
        FROM job WHERE job.batch_id = stay.batch AND job.device_id = stay.device
            AND job.started_at < stay.until AND COALESCE(job.ended_at, :until) > stay.since
    ) AS ran WHERE ran.jobs > 0
    """
)


class Ran(NamedTuple):
    """How many jobs ran in a stay, and for how many seconds of the span."""

    jobs: int
    seconds: float


def ran(connection: Reader, stays: Sequence[tuple[int, Stay]], span: Span) -> list[Ran]:
    """For each stay, with its device. Of runs that came to nothing, nothing is known any more."""
    within = [span.clip(stay.begin, stay.end) or (span.end, span.end) for _, stay in stays]
    rows = connection.execute(
        _RAN,
        {
            "devices": [device for device, _ in stays],
            "batches": [stay.batch for _, stay in stays],
            "begins": [begin for begin, _ in within],
            "ends": [end for _, end in within],
            "until": span.end,
        },
    )
    known = {row[0] - 1: Ran(row[1], row[2]) for row in rows}
    return [known.get(n, Ran(0, 0.0)) for n in range(len(stays))]
