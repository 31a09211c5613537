"""What an estimate looks at: the devices of a type, and the queue for them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_reading import Reader


class Program(NamedTuple):
    """What the fingerprints of a batch's jobs are made of; `upto[n]` of its jobs have `runs[n]`
    or less, the others of `jobs` have none."""

    digest: str
    runs: tuple[int, ...]
    upto: tuple[int, ...]
    jobs: int


class SeatedRow(NamedTuple):
    id: UUID
    project_id: UUID
    priority: int
    seq: int
    preemptible: bool
    open: bool
    jobs_left: int
    lanes: int
    admitted_at: datetime | None
    idle_deadline: datetime | None
    idle_timeout_s: float
    overrun_deadline: datetime | None
    running_since: datetime | None
    program: Program


class SeatRow(NamedTuple):
    """`held`: the batch that has it; its `lanes` are the devices that it has now."""

    device: str
    service: str
    reason: str | None
    online: bool
    held: SeatedRow | None


class Pool(NamedTuple):
    now: datetime
    seats: list[SeatRow]


class Queued(NamedTuple):
    """`place`: 1 for the next. `jobs`, `squares`, `opens`: of it and of all ahead of it, summed;
    `higher`: how many of those have a higher priority, told of what was asked for by id."""

    id: UUID
    project_id: UUID
    priority: int
    seq: int
    device: str | None
    lanes: int
    open: bool
    jobs_left: int
    idle_timeout_s: float
    place: int
    higher: int | None
    jobs: int
    squares: int
    opens: int
    program: Program


# A digest that was kept with a prediction spares reading what the jobs share, which may be large.
_PROGRAM: Final = """
    COALESCE(
        (SELECT program FROM prediction WHERE prediction.batch_id = batch.id),
        md5(CAST(batch.shared AS text))
    ) AS program, batch.runs, batch.runs_upto, batch.jobs_total
"""
_POOL: Final = text(
    f"""
    SELECT clock_timestamp() AS now, device.name, device.service, device.service_reason,
        device.online, batch.id, batch.project_id, batch.priority, batch.seq, batch.preemptible,
        batch.open, batch.jobs_left, (SELECT count(*) FROM device WHERE seat = batch.id) AS lanes,
        batch.admitted_at, batch.idle_deadline, batch.idle_timeout_s, batch.overrun_deadline,
        (
            SELECT min(job.started_at) FROM "window" JOIN job ON job.window_id = "window".id
            WHERE "window".device_id = device.id AND job.status = 'RUNNING'
        ) AS running_since, {_PROGRAM}
    FROM device LEFT JOIN batch ON batch.id = device.seat
    WHERE device.type = :type AND device.service <> 'retired' ORDER BY device.name
    """
)
_NOW: Final = text("SELECT clock_timestamp()")


def pool_of(connection: Reader, device_type: str) -> Pool:
    rows = connection.execute(_POOL, {"type": device_type}).all()
    now = rows[0].now if rows else connection.execute(_NOW).scalar_one()
    seats = [
        SeatRow(
            row.name,
            row.service,
            row.service_reason,
            row.online,
            held=None if row.id is None else _seated(row),
        )
        for row in rows
    ]
    return Pool(now, seats)


def _seated(row: Any) -> SeatedRow:
    known = {name: getattr(row, name) for name in SeatedRow._fields[:-1]}
    return SeatedRow(**known, program=_program(row))


def _program(row: Any) -> Program:
    return Program(row.program, tuple(row.runs), tuple(row.runs_upto), row.jobs_total)


# Only what is shown is looked up by itself; the rest of a long queue is but added up.
_LINE: Final = text(
    f"""
    WITH line AS (
        SELECT id, row_number() OVER queue AS place, sum(jobs_left) OVER queue AS jobs,
            sum(CAST(jobs_left AS float8) ^ 2) OVER queue AS squares,
            count(*) FILTER (WHERE open) OVER queue AS opens
        FROM batch WHERE device_type = :type AND status = 'PENDING'
        WINDOW queue AS (ORDER BY priority DESC, seq)
        ORDER BY priority DESC, seq LIMIT :longest
    )
    SELECT batch.id, batch.project_id, batch.priority, batch.seq, batch.device_name AS device,
        batch.lanes, batch.open, batch.jobs_left, batch.idle_timeout_s, line.place, line.jobs,
        line.squares, line.opens, CASE WHEN line.id = ANY(CAST(:also AS uuid[])) THEN (
            SELECT count(*) FROM batch AS other WHERE other.device_type = :type
                AND other.status = 'PENDING' AND other.priority > batch.priority
        ) END AS higher, {_PROGRAM}
    FROM line JOIN batch ON batch.id = line.id
    WHERE line.place <= :head OR line.id = ANY(CAST(:also AS uuid[])) ORDER BY line.place
    """
)
LONGEST: Final = 20_000
"""Of whoever stands behind so many nothing is said."""


def line_of(
    connection: Reader, device_type: str, *, head: int, also: Collection[UUID] = ()
) -> list[Queued]:
    """The first `head` of the queue, and those of `also` that are in it, in its order."""
    given = {"type": device_type, "head": head, "also": list(also)}
    longest = LONGEST if also else head
    rows = connection.execute(_LINE, {**given, "longest": longest})
    return [_queued(row) for row in rows]


def _queued(row: Any) -> Queued:
    known = {name: getattr(row, name) for name in Queued._fields[:-1]}
    summed = {"jobs": int(row.jobs), "squares": int(row.squares)}
    return Queued(**known | summed, program=_program(row))
