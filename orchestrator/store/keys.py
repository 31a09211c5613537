"""API keys, found by the hash of their secret: a look-up tells nothing about other keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.domain.key import RUNNER_SCOPES, masked
from orchestrator.domain.role import bounded
from orchestrator.store.listings_reading import (
    LIMIT_DEFAULT,
    Reader,
    bad_cursor,
    cursor_of,
    place_in,
)
from orchestrator.store.transaction import Transaction
from schemas.device import Key
from schemas.page import Page
from schemas.words import KeyKind

_NO_MEMBER: Final = "this key is not valid any more: its user has left the project"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a key belongs to, and the scopes that it has now, with what those imply. `trouble`:
    why it is good for nothing any more."""

    key_id: UUID
    project_id: UUID
    user_id: UUID | None
    scopes: frozenset[str]
    kind: KeyKind
    trouble: str | None


# A key without a user was made by the server itself, and is bound by no role.
_USABLE: Final = """
    k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
        AND (k.user_id IS NULL OR m.role IS NOT NULL)
"""
_HELD: Final = """
    api_key k LEFT JOIN membership m ON m.user_id = k.user_id AND m.project_id = k.project_id
"""
_FIND: Final = text(
    f"""
    SELECT k.id, k.project_id, k.user_id, k.scopes, k.kind, k.expires_at, m.role,
        {_USABLE} AS usable
    FROM {_HELD} WHERE k.hash = :hash AND k.revoked_at IS NULL
    """
)
_ALIVE: Final = text(f"SELECT EXISTS (SELECT 1 FROM {_HELD} WHERE k.id = :id AND {_USABLE})")


def holder_of(connection: Reader, digest: bytes) -> Holder | None:
    """None for a key that never was, and for one that was revoked."""
    row = connection.execute(_FIND, {"hash": digest}).one_or_none()
    if row is None:
        return None
    kind, trouble = KeyKind(row.kind), None
    if not row.usable:
        lost = row.user_id is not None and row.role is None
        trouble = _NO_MEMBER if lost else f"this key expired at {row.expires_at.isoformat()}"
    scopes = RUNNER_SCOPES if kind is KeyKind.RUNNER else row.scopes
    allowed = bounded(scopes, row.role)
    return Holder(row.id, row.project_id, row.user_id, allowed, kind, trouble)


def is_valid(connection: Reader, key: UUID) -> bool:
    valid: bool = connection.execute(_ALIVE, {"id": key}).scalar_one()
    return valid


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """`prefix` and `last4` are what is shown of it."""

    id: UUID
    project_id: UUID
    user_id: UUID | None
    name: str
    kind: KeyKind
    prefix: str
    last4: str
    hash: bytes
    scopes: Sequence[str]
    expires_at: datetime | None = None


_INSERT: Final = text(
    """
    INSERT INTO api_key (id, project_id, user_id, name, kind, prefix, last4, hash, scopes,
        expires_at, created_at)
    VALUES (:id, :project_id, :user_id, :name, :kind, :prefix, :last4, :hash, :scopes,
        :expires_at, :at)
    """
)


def insert(tx: Transaction, new: NewKey) -> None:
    values = {name: getattr(new, name) for name in NewKey.__dataclass_fields__}
    tx.connection.execute(_INSERT, {**values, "scopes": list(new.scopes), "at": tx.at})


_REVOKE: Final = text(
    """
    UPDATE api_key SET revoked_at = COALESCE(revoked_at, :at)
    WHERE id = :id AND project_id = :project RETURNING id
    """
)


def revoke(tx: Transaction, project: UUID, key: UUID) -> bool:
    """False if the project has no such key."""
    given = {"id": key, "project": project, "at": tx.at}
    return tx.connection.execute(_REVOKE, given).one_or_none() is not None


_DELETE: Final = text(
    "DELETE FROM api_key WHERE id = :id AND project_id = :project AND revoked_at IS NOT NULL"
    " RETURNING id"
)


def delete_revoked(tx: Transaction, project: UUID, key: UUID) -> bool:
    """False if the project has no such key, or one that is still valid."""
    given = {"id": key, "project": project}
    return tx.connection.execute(_DELETE, given).one_or_none() is not None


_USED: Final = text(
    """
    UPDATE api_key SET last_used_at = :at
    WHERE id = ANY(:ids) AND COALESCE(last_used_at < :before, true)
    """
)


def mark_used(tx: Transaction, ids: Sequence[UUID], *, at_most_every: timedelta) -> None:
    given = {"ids": list(ids), "at": tx.at, "before": tx.at - at_most_every}
    tx.connection.execute(_USED, given)


_COLUMNS: Final = """
    SELECT id, name, kind, prefix, last4, scopes, user_id, created_at, last_used_at, expires_at,
        revoked_at
    FROM api_key
"""
_ONE: Final = text(f"{_COLUMNS} WHERE project_id = :project AND id = :id")
_PAGE: Final = text(
    f"{_COLUMNS} WHERE project_id = :project AND id > :place ORDER BY id LIMIT :limit"
)
_NONE: Final = UUID(int=0)


def get_key(connection: Reader, project: UUID, key: UUID) -> Key | None:
    row = connection.execute(_ONE, {"project": project, "id": key}).one_or_none()
    return None if row is None else _key(row)


def list_keys(
    connection: Reader, project: UUID, *, cursor: str | None = None, limit: int = LIMIT_DEFAULT
) -> Page[Key]:
    place = _NONE if cursor is None else _id_in(cursor)
    rows = connection.execute(_PAGE, {"project": project, "place": place, "limit": limit + 1}).all()
    return Page[Key](
        items=[_key(row) for row in rows[:limit]],
        next_cursor=cursor_of("keys", rows[limit - 1].id) if len(rows) > limit else None,
    )


def _key(row: Row[Any]) -> Key:
    shown = masked(row.prefix, row.last4)
    return Key.model_validate({**row._mapping, "prefix": shown})


def _id_in(cursor: str) -> UUID:
    try:
        return UUID(place_in("keys", cursor))
    except ValueError:
        raise bad_cursor("cursor") from None
