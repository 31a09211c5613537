"""Jobs as users read them.

Postgres writes the JSON: payloads pass through as they were stored, and a thousand jobs cost one
statement instead of a thousand objects. `schemas.job.Job` is what each text is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.errors import NotFound
from orchestrator.store.listings_reading import (
    LIMIT_DEFAULT,
    Reader,
    bad_cursor,
    cursor_of,
    number_in,
    one_or_any,
    place_in,
)


@dataclass(frozen=True)
class JsonPage:
    """The items as JSON texts."""

    items: list[str]
    next_cursor: str | None = None


def moment(column: str) -> str:
    """SQL for a moment as pydantic writes it, whatever the session's time zone."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


_SELECT: Final = f"""
    SELECT j.id, j.ordinal, CAST(json_build_object(
        'id', j.id, 'batch_id', j.batch_id, 'ordinal', j.ordinal, 'status', j.status,
        'run', j.run, 'runs', j.payload->'runs', 'variables', j.payload->'variables',
        'payload', j.payload->'payload', 'reason', j.reason, 'device', d.name,
        'parent_id', j.parent_id, 'created_at', {moment("j.created_at")},
        'started_at', {moment("j.started_at")}, 'ended_at', {moment("j.ended_at")}
    ) AS text) AS item
    FROM job j LEFT JOIN device d ON d.id = j.device_id
    WHERE j.project_id = :project
"""
_ONE: Final = text(f"{_SELECT} AND j.id = :id")
_FIRST: Final = text(
    f"{_SELECT} AND j.batch_id = :batch AND j.ordinal <= :count ORDER BY j.ordinal"
)
_THESE: Final = text(f"{_SELECT} AND j.id = ANY(:ids) ORDER BY j.ordinal")


def get_job(connection: Reader, project: UUID, job: UUID) -> str:
    row = connection.execute(_ONE, {"project": project, "id": job}).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job}")
    item: str = row.item
    return item


def first_jobs(connection: Reader, project: UUID, batch: UUID, count: int) -> list[str]:
    given = {"project": project, "batch": batch, "count": count}
    return [row.item for row in connection.execute(_FIRST, given)]


def these_jobs(connection: Reader, project: UUID, ids: Sequence[UUID]) -> list[str]:
    """In the order of submission."""
    rows = connection.execute(_THESE, {"project": project, "ids": list(ids)})
    return [row.item for row in rows]


class JobsWanted(TypedDict, total=False):
    """None, or absent: any."""

    batch_id: UUID | None
    statuses: list[str] | None
    created_after: datetime | None
    created_before: datetime | None


# A job's id holds the time of a clock that is not the database's. An hour is more than two clocks
# differ by, and lets the index skip what is far away.
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_CLAUSES: Final = {
    "batch_id": "j.batch_id = :batch_id",
    "created_after": "j.created_at >= :created_after AND j.id >= :id_from",
    "created_before": "j.created_at <= :created_before AND j.id <= :id_to",
}


def list_jobs(
    connection: Reader,
    project: UUID,
    *,
    cursor: str | None = None,
    limit: int = LIMIT_DEFAULT,
    **wanted: Unpack[JobsWanted],
) -> JsonPage:
    """In the order of submission. A cursor is good for the same `batch_id`, or none, only."""
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    clauses = [_CLAUSES[name] for name in given if name != "statuses"]
    if "statuses" in given:
        clauses += _rare(given["statuses"])
        clauses.append(one_or_any("j.status", given))
    if "created_after" in given:
        given["id_from"] = _first_id(given["created_after"] - _CLOCKS_DIFFER)
    if "created_before" in given:
        given["id_to"] = _first_id(given["created_before"] + _CLOCKS_DIFFER)
    within = "batch_id" in given
    if cursor is not None:
        given["place"] = number_in("ordinal", cursor) if within else _id_in(cursor)
        clauses.append("j.ordinal > :place" if within else "j.id > :place")
    where = "".join(f" AND {clause}" for clause in clauses)
    order = "j.ordinal" if within else "j.id"
    rows = connection.execute(
        text(f"{_SELECT}{where} ORDER BY {order} LIMIT :limit"),
        {"project": project, "limit": limit + 1, **given},
    ).all()
    return _page(rows, limit, within=within)


def _rare(statuses: Sequence[str]) -> list[str]:
    """What follows from the statuses, said so that an index which holds only such jobs is used."""
    if {*statuses} <= {"CANCELED", "ERROR"}:
        return ["j.status IN ('CANCELED', 'ERROR')"]
    return ["j.window_id IS NOT NULL"] if {*statuses} == {"RUNNING"} else []


def _page(rows: Sequence[Row[Any]], limit: int, *, within: bool) -> JsonPage:
    items = [row.item for row in rows[:limit]]
    if len(rows) <= limit:
        return JsonPage(items)
    last = rows[limit - 1]
    return JsonPage(
        items, cursor_of("ordinal", last.ordinal) if within else cursor_of("job", last.id)
    )


def _first_id(at: datetime) -> UUID:
    """The least uuid7 of that millisecond."""
    milliseconds = max(0, int(at.timestamp() * 1000))
    return UUID(int=(milliseconds & (2**48 - 1)) << 80)


def _id_in(cursor: str) -> UUID:
    try:
        return UUID(place_in("job", cursor))
    except ValueError:
        raise bad_cursor("cursor") from None
