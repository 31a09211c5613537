"""What a project has used. Jobs count by their batch, in the window in which it was submitted."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.store.listings_reading import LIMIT_DEFAULT, Reader, cursor_of, number_in
from schemas.credit import Balance, ControllerUsage, DayUsage, KeyUsage, TransferOut
from schemas.page import Page

_BALANCE: Final = text("SELECT kind, balance FROM account WHERE project_id = :project")
_ALL: Final = text(
    """
    SELECT project.id, project.name,
        COALESCE(sum(balance) FILTER (WHERE kind = 'available'), 0) AS available,
        COALESCE(sum(balance) FILTER (WHERE kind = 'held'), 0) AS held,
        COALESCE(sum(balance) FILTER (WHERE kind = 'revenue'), 0) AS spent
    FROM project LEFT JOIN account ON account.project_id = project.id
    GROUP BY project.id ORDER BY project.name
    """
)
_TRANSFERS: Final = text(
    """
    SELECT transfer.id, transfer.kind, source.kind AS source, target.kind AS target,
        transfer.amount, transfer.batch_id, transfer.job_id, transfer.detail ->> 'reason' AS reason,
        transfer.created_at
    FROM transfer JOIN account AS source ON source.id = transfer.debit
        JOIN account AS target ON target.id = transfer.credit
    WHERE transfer.project_id = :project AND transfer.id < :place
    ORDER BY transfer.id DESC LIMIT :limit
    """
)
_LAST: Final = 2**63 - 1


def balance(connection: Reader, project: UUID) -> Balance:
    found = {row.kind: row.balance for row in connection.execute(_BALANCE, {"project": project})}
    words = {"available": "available", "held": "held", "spent": "revenue"}
    return Balance.model_validate({name: found.get(kind, 0) for name, kind in words.items()})


class Funds(NamedTuple):
    """Micro-credits of one project."""

    project_id: UUID
    name: str
    available: int
    held: int
    spent: int


def all_funds(connection: Reader) -> list[Funds]:
    """Of every project, whether or not it ever had any; by name."""
    return [
        Funds(row.id, row.name, int(row.available), int(row.held), int(row.spent))
        for row in connection.execute(_ALL)
    ]


def list_transfers(
    connection: Reader, project: UUID, *, cursor: str | None = None, limit: int = LIMIT_DEFAULT
) -> Page[TransferOut]:
    """Newest first."""
    place = _LAST if cursor is None else number_in("transfers", cursor)
    given = {"project": project, "place": place, "limit": limit + 1}
    rows = connection.execute(_TRANSFERS, given).all()
    return Page[TransferOut](
        items=[TransferOut.model_validate(dict(row._mapping)) for row in rows[:limit]],
        next_cursor=cursor_of("transfers", rows[limit - 1].id) if len(rows) > limit else None,
    )


_SINCE: Final = "now() - CAST(:span AS interval)"
_KEYS: Final = text(
    f"""
    SELECT api_key.id AS key_id, COALESCE(api_key.name, 'unattributed') AS name, api_key.prefix,
        sum(jobs) AS jobs_submitted, sum(failed) AS failed, sum(cancelled) AS cancelled,
        sum(core_ms) AS core_ms, sum(captured) AS captured
    FROM (
        SELECT key_id, sum(jobs_total) AS jobs, sum(jobs_failed) AS failed,
            sum(jobs_canceled) AS cancelled, 0 AS core_ms, 0 AS captured
        FROM batch WHERE project_id = :project AND created_at >= {_SINCE} GROUP BY key_id
        UNION ALL
        SELECT batch.key_id, 0, 0, 0, sum(hold.core_ms), sum(hold.captured)
        FROM hold JOIN job ON job.id = hold.job_id JOIN batch ON batch.id = job.batch_id
        WHERE hold.project_id = :project AND hold.closed_at >= {_SINCE}
            AND hold.state = 'captured'
        GROUP BY batch.key_id
    ) AS used LEFT JOIN api_key ON api_key.id = used.key_id
    GROUP BY api_key.id ORDER BY jobs_submitted DESC, api_key.id
    """
)
_DAYS: Final = text(
    """
    SELECT to_char(day, 'YYYY-MM-DD') AS day, COALESCE(jobs, 0) AS jobs_submitted,
        COALESCE(failed, 0) AS failed, COALESCE(cancelled, 0) AS cancelled,
        COALESCE(core_ms, 0) AS core_ms, COALESCE(captured, 0) AS captured
    FROM generate_series(
            date_trunc('day', now() AT TIME ZONE 'UTC') - interval '13 days',
            now() AT TIME ZONE 'UTC', interval '1 day'
        ) AS series (day)
        LEFT JOIN (
            SELECT date_trunc('day', created_at AT TIME ZONE 'UTC') AS day,
                sum(jobs_total) AS jobs, sum(jobs_failed) AS failed,
                sum(jobs_canceled) AS cancelled
            FROM batch WHERE project_id = :project AND created_at >= now() - interval '14 days'
            GROUP BY 1
        ) AS submitted USING (day)
        LEFT JOIN (
            SELECT date_trunc('day', closed_at AT TIME ZONE 'UTC') AS day,
                sum(core_ms) AS core_ms, sum(captured) AS captured
            FROM hold WHERE project_id = :project AND closed_at >= now() - interval '14 days'
                AND state = 'captured'
            GROUP BY 1
        ) AS billed USING (day)
    ORDER BY day
    """
)
_CONTROLLERS: Final = text(
    f"""
    SELECT controller.name, controller.cores, COALESCE(jobs, 0) AS jobs_submitted,
        COALESCE(running, 0) AS running_jobs, COALESCE(pending, 0) AS pending_jobs,
        COALESCE(busy, 0) AS busy_cores
    FROM controller
        LEFT JOIN (
            SELECT device_type, sum(jobs_total) AS jobs FROM batch
            WHERE project_id = :project AND created_at >= {_SINCE} GROUP BY device_type
        ) AS submitted USING (device_type)
        LEFT JOIN (
            SELECT batch.device_type, count(*) FILTER (WHERE job.status = 'RUNNING') AS running,
                count(*) FILTER (WHERE job.status = 'PENDING') AS pending,
                sum(entry.cores) FILTER (WHERE job.status = 'RUNNING') AS busy
            FROM batch JOIN job ON job.batch_id = batch.id JOIN entry ON entry.job_id = job.id
            WHERE batch.project_id = :project AND batch.jobs_left > 0 AND job.ended_at IS NULL
            GROUP BY batch.device_type
        ) AS alive USING (device_type)
    WHERE controller.project_id = :project AND controller.removed_at IS NULL
    ORDER BY controller.name
    """
)
# A twin that waited has its result from another job too, but later than it was there itself.
_HITS: Final = text(
    f"""
    SELECT count(*) FROM entry JOIN job ON job.id = entry.job_id
    WHERE entry.project_id = :project AND entry.cached_from IS NOT NULL
        AND job.created_at >= {_SINCE} AND job.ended_at = job.created_at
    """
)
_AT_CONTROLLERS: Final = text(
    f"""
    SELECT COALESCE(sum(jobs_total), 0) FROM batch
    WHERE project_id = :project AND created_at >= {_SINCE}
        AND device_type IN (SELECT device_type FROM controller WHERE project_id = :project)
    """
)


def by_key(connection: Reader, project: UUID, span: str) -> list[KeyUsage]:
    """`span`: an interval back from now, in Postgres' words."""
    rows = connection.execute(_KEYS, {"project": project, "span": span})
    return [KeyUsage.model_validate(each) for each in _in_hours(rows.all())]


def by_day(connection: Reader, project: UUID) -> list[DayUsage]:
    """The last fourteen days, today last."""
    rows = connection.execute(_DAYS, {"project": project})
    return [DayUsage.model_validate(each) for each in _in_hours(rows.all())]


def by_controller(connection: Reader, project: UUID, span: str) -> list[ControllerUsage]:
    rows = connection.execute(_CONTROLLERS, {"project": project, "span": span})
    return [
        ControllerUsage.model_validate({**row._mapping, "load": row.busy_cores / row.cores})
        for row in rows
    ]


def cache_hits(connection: Reader, project: UUID, span: str) -> int:
    hits: int = connection.execute(_HITS, {"project": project, "span": span}).scalar_one()
    return hits


def controller_jobs(connection: Reader, project: UUID, span: str) -> int:
    """Also of controllers that were removed since."""
    given = {"project": project, "span": span}
    return int(connection.execute(_AT_CONTROLLERS, given).scalar_one())


def _in_hours(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    return [
        {**row._mapping, "core_hours_billed": round(float(row.core_ms) / 3_600_000, 6)}
        for row in rows
    ]
