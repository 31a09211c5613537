"""Events, in an order in which nothing ever appears behind a reader.

Event ids are drawn before the commit, so a smaller one may become visible later. Only events of
transactions older than every open one are told: those are complete, and (xid, id) orders them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.store.listings_jobs import moment
from orchestrator.store.listings_reading import LIMIT_DEFAULT, Reader, bad_cursor

BEGINNING: Final = "0-0"
_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """One event; `item` is the JSON of a `schemas.event.Event`."""

    cursor: str
    kind: str
    item: str


_COMPLETE: Final = "e.xid < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
_SELECT: Final = f"""
    SELECT e.xid || '-' || e.id AS cursor, e.kind, CAST(json_build_object(
        'id', e.xid || '-' || e.id, 'kind', e.kind, 'batch_id', e.batch_id, 'job_id', e.job_id,
        'device', d.name, 'status', e.status, 'at', {moment("e.at")}, 'detail', e.detail
    ) AS text) AS item, {_COMPLETE} AS complete
    FROM event e LEFT JOIN device d ON d.id = e.device_id
    WHERE e.project_id = :project AND (e.xid, e.id) > (:xid, :id)
"""
_ORDER: Final = "ORDER BY e.xid, e.id LIMIT :limit"
_OF_PROJECT: Final = text(f"{_SELECT} AND {_COMPLETE} {_ORDER}")
_OF_BATCH: Final = text(f"{_SELECT} AND {_COMPLETE} AND e.batch_id = :batch {_ORDER}")
_NEWS: Final = text(f"{_SELECT} {_ORDER}")
_NOW: Final = text("SELECT pg_snapshot_xmin(pg_current_snapshot()) || '-0'")


def list_events(
    connection: Reader,
    project: UUID,
    *,
    after: str = BEGINNING,
    batch: UUID | None = None,
    limit: int = LIMIT_DEFAULT,
) -> list[Told]:
    """Oldest first, from behind `after`."""
    xid, number = _place(after)
    given = {"project": project, "xid": xid, "id": number, "limit": limit}
    if batch is None:
        return _told(connection.execute(_OF_PROJECT, given).all())
    return _told(connection.execute(_OF_BATCH, {**given, "batch": batch}).all())


def list_news(
    connection: Reader, project: UUID, after: str, limit: int
) -> tuple[list[Told], list[Told]]:
    """What `list_events` tells, and what is committed but not told yet because of a transaction
    that is open: for whoever only wants to know at once that something changed."""
    xid, number = _place(after)
    given = {"project": project, "xid": xid, "id": number, "limit": limit}
    rows = connection.execute(_NEWS, given).all()
    complete = [row for row in rows if row.complete]
    return _told(complete), _told(rows[len(complete) :])


def now_cursor(connection: Reader) -> str:
    """Behind it lies everything that is not told yet."""
    cursor: str = connection.execute(_NOW).scalar_one()
    return cursor


def check_cursor(after: str) -> None:
    _place(after)


def _told(rows: Sequence[Row[Any]]) -> list[Told]:
    return [Told(row.cursor, row.kind, row.item) for row in rows]


def _place(cursor: str) -> tuple[int, int]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise bad_cursor("after")
    return int(found[1]), int(found[2])
