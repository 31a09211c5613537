"""API keys, found by the hash of their secret: a look-up tells nothing about other keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

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


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a key belongs to, and what it may do."""

    key_id: UUID
    project_id: UUID
    user_id: UUID | None
    scopes: tuple[str, ...]


_FIND: Final = text(
    "SELECT id, project_id, user_id, scopes FROM api_key WHERE hash = :hash AND revoked_at IS NULL"
)
_ALIVE: Final = text("SELECT EXISTS (SELECT 1 FROM api_key WHERE id = :id AND revoked_at IS NULL)")


def holder_of(connection: Reader, digest: bytes) -> Holder | None:
    """None for a key that never was, and for one that was revoked."""
    row = connection.execute(_FIND, {"hash": digest}).one_or_none()
    if row is None:
        return None
    return Holder(row.id, row.project_id, row.user_id, tuple(row.scopes))


def is_valid(connection: Reader, key: UUID) -> bool:
    valid: bool = connection.execute(_ALIVE, {"id": key}).scalar_one()
    return valid


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    id: UUID
    project_id: UUID
    user_id: UUID | None
    name: str
    prefix: str
    hash: bytes
    scopes: Sequence[str]


_INSERT: Final = text(
    """
    INSERT INTO api_key (id, project_id, user_id, name, prefix, hash, scopes, created_at)
    VALUES (:id, :project_id, :user_id, :name, :prefix, :hash, :scopes, :at)
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


_COLUMNS: Final = "SELECT id, name, prefix, scopes, created_at, revoked_at FROM api_key"
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
    return Key.model_validate(dict(row._mapping))


def _id_in(cursor: str) -> UUID:
    try:
        return UUID(place_in("keys", cursor))
    except ValueError:
        raise bad_cursor("cursor") from None


_PROJECT: Final = text(
    """
    INSERT INTO project (id, name) VALUES (:id, :name)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
    """
)
_USER: Final = text(
    """
    INSERT INTO "user" (id, username, password_hash) VALUES (:id, :name, :password_hash)
    ON CONFLICT (username) DO UPDATE SET password_hash = excluded.password_hash RETURNING id
    """
)
_MEMBER: Final = text(
    "INSERT INTO membership (user_id, project_id) VALUES (:user, :project) ON CONFLICT DO NOTHING"
)
_PASSWORD: Final = text('SELECT id, password_hash FROM "user" WHERE username = :name')


def ensure_project(tx: Transaction, fresh: UUID, name: str) -> UUID:
    """The project of that name; `fresh` is its id if it is new."""
    project: UUID = tx.connection.execute(_PROJECT, {"id": fresh, "name": name}).scalar_one()
    return project


def set_user(tx: Transaction, fresh: UUID, name: str, password_hash: str, project: UUID) -> UUID:
    """A member of the project with that password, whether new or known."""
    given = {"id": fresh, "name": name, "password_hash": password_hash}
    user: UUID = tx.connection.execute(_USER, given).scalar_one()
    tx.connection.execute(_MEMBER, {"user": user, "project": project})
    return user


def password_of(connection: Reader, name: str) -> tuple[UUID, str] | None:
    """The user's id and the hash of the password."""
    row = connection.execute(_PASSWORD, {"name": name}).one_or_none()
    return None if row is None else (row.id, row.password_hash)
