"""Batches as the portal lists them: forwards and backwards, and as much of them as an act takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.store.entries import SHARED
from orchestrator.store.listings import LISTING, BatchFilter, batch_of, batch_rows, matching
from orchestrator.store.listings_reading import Reader, cursor_of
from schemas.batch import Batch

_WHO: Final = """, (
    SELECT username FROM "user" WHERE "user".id = (SELECT user_id FROM batch WHERE batch.id = b.id)
) AS who"""


@dataclass(frozen=True, slots=True)
class Line:
    """`who` submitted it: None for a key that no user holds."""

    batch: Batch
    seq: int
    who: str | None

    @property
    def behind(self) -> str:
        """The cursor of what is older."""
        return cursor_of(LISTING, self.seq)

    @property
    def up_to(self) -> str:
        """The cursor of it and what is older."""
        return cursor_of(LISTING, self.seq + 1)


@dataclass(frozen=True, slots=True)
class Lines:
    """Newest first. `newer` and `older` are cursors, None where there is no more that way."""

    items: list[Line]
    newer: str | None = None
    older: str | None = None


def list_lines(
    connection: Reader,
    project: UUID,
    *,
    before: str | None = None,
    after: str | None = None,
    limit: int,
    wanted: BatchFilter,
) -> Lines:
    """From behind `before` to what is older, or what is next newer than `after`."""
    rows = batch_rows(
        connection,
        project,
        cursor=after or before,
        limit=limit + 1,
        ascending=after is not None,
        wanted=wanted,
        beside=_WHO,
    )
    more, lines = len(rows) > limit, [_line(row) for row in rows[:limit]]
    if after is not None and not more:
        return list_lines(connection, project, limit=limit, wanted=wanted)
    lines = lines[::-1] if after is not None else lines
    return Lines(
        lines,
        newer=lines[0].behind if lines and (more if after else before) else None,
        older=lines[-1].behind if lines and (more or after) else None,
    )


def _line(row: Row[Any]) -> Line:
    return Line(batch_of(row), row.seq, row.who)


def count_matching(
    connection: Reader, project: UUID, *, before: str | None, wanted: BatchFilter, most: int
) -> int:
    """`most` where there are more."""
    clauses, given = matching(wanted, before)
    some = f"SELECT 1 FROM batch WHERE project_id = :project {clauses} LIMIT :most"
    counted: int = connection.execute(
        text(f"SELECT count(*) FROM ({some}) AS counted"),
        {"project": project, "most": most, **given},
    ).scalar_one()
    return counted


_HAS_ANY: Final = text("SELECT EXISTS (SELECT FROM batch WHERE project_id = :project)")
_PEOPLE: Final = text(
    """
    SELECT u.id, u.username FROM membership m JOIN "user" u ON u.id = m.user_id
    WHERE m.project_id = :project
        AND EXISTS (SELECT FROM batch b WHERE b.project_id = :project AND b.user_id = u.id)
    ORDER BY u.username LIMIT :most
    """
)
_TYPES: Final = text(
    """
    SELECT name FROM device_type
    WHERE (project_id IS NULL OR project_id = :project) AND name <> :shared
    ORDER BY name LIMIT :most
    """
)


def has_any(connection: Reader, project: UUID) -> bool:
    found: bool = connection.execute(_HAS_ANY, {"project": project}).scalar_one()
    return found


def submitters(connection: Reader, project: UUID, most: int = 500) -> Sequence[tuple[UUID, str]]:
    """Id and name of the project's members who have submitted."""
    rows = connection.execute(_PEOPLE, {"project": project, "most": most})
    return [(row.id, row.username) for row in rows]


def types_seen(connection: Reader, project: UUID, most: int = 500) -> Sequence[str]:
    """Device types that the project may submit to."""
    given = {"project": project, "shared": SHARED, "most": most}
    return connection.execute(_TYPES, given).scalars().all()
