"""Projects, their users and what role each has; and what tokens are signed with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction
from schemas.member import Member
from schemas.words import Role


@dataclass(frozen=True, slots=True)
class Project:
    id: UUID
    name: str


_OF_USER: Final = text("SELECT project_id, role FROM membership WHERE user_id = :user ORDER BY 1")
_NAMED: Final = text("SELECT id, name FROM project WHERE id = ANY(:ids) ORDER BY name")


def roles_of(connection: Reader, user: UUID) -> dict[UUID, Role]:
    """By project."""
    rows = connection.execute(_OF_USER, {"user": user})
    return {row.project_id: Role(row.role) for row in rows}


def projects(connection: Reader, ids: Sequence[UUID]) -> list[Project]:
    return [Project(*row) for row in connection.execute(_NAMED, {"ids": list(ids)})]


_PROJECT: Final = text(
    """
    INSERT INTO project (id, name) VALUES (:id, :name)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
    """
)
_USER: Final = text(
    """
    INSERT INTO "user" (id, username, password_hash) VALUES (:id, :name, :password_hash)
    ON CONFLICT (username) DO NOTHING RETURNING id
    """
)
_SET_PASSWORD: Final = text(
    'UPDATE "user" SET password_hash = :password_hash WHERE username = :name RETURNING id'
)
_PASSWORD: Final = text('SELECT id, password_hash FROM "user" WHERE username = :name')


def ensure_project(tx: Transaction, fresh: UUID, name: str) -> UUID:
    """The project of that name; `fresh` is its id if it is new."""
    project: UUID = tx.connection.execute(_PROJECT, {"id": fresh, "name": name}).scalar_one()
    return project


def add_user(tx: Transaction, fresh: UUID, name: str, password_hash: str) -> UUID | None:
    """None if the name is taken."""
    given = {"id": fresh, "name": name, "password_hash": password_hash}
    return tx.connection.execute(_USER, given).scalar_one_or_none()


def set_password(tx: Transaction, name: str, password_hash: str) -> UUID:
    given = {"name": name, "password_hash": password_hash}
    user: UUID = tx.connection.execute(_SET_PASSWORD, given).scalar_one()
    return user


def password_of(connection: Reader, name: str) -> tuple[UUID, str] | None:
    """The user's id and the hash of the password."""
    row = connection.execute(_PASSWORD, {"name": name}).one_or_none()
    return None if row is None else (row.id, row.password_hash)


_SELECT: Final = """
    SELECT u.id AS user_id, u.username, m.role FROM membership m JOIN "user" u ON u.id = m.user_id
    WHERE m.project_id = :project
"""
_ALL: Final = text(f"{_SELECT} ORDER BY u.username")
_ONE: Final = text(f"{_SELECT} AND u.id = :user")


def list_members(connection: Reader, project: UUID) -> list[Member]:
    rows = connection.execute(_ALL, {"project": project})
    return [Member.model_validate(dict(row._mapping)) for row in rows]


def get_member(connection: Reader, project: UUID, user: UUID) -> Member | None:
    row = connection.execute(_ONE, {"project": project, "user": user}).one_or_none()
    return None if row is None else Member.model_validate(dict(row._mapping))


# Keys refer to projects: only a lock on what is not the key lets them be made meanwhile.
_LOCK: Final = text("SELECT 1 FROM project WHERE id = :project FOR NO KEY UPDATE")
_OWNERS: Final = text(
    "SELECT user_id FROM membership WHERE project_id = :project AND role = 'owner'"
)
_JOIN: Final = text(
    """
    INSERT INTO membership (user_id, project_id, role) VALUES (:user, :project, :role)
    ON CONFLICT DO NOTHING RETURNING user_id
    """
)
_SET_ROLE: Final = text(
    """
    INSERT INTO membership (user_id, project_id, role) VALUES (:user, :project, :role)
    ON CONFLICT (user_id, project_id) DO UPDATE SET role = excluded.role
    """
)
_LEAVE: Final = text("DELETE FROM membership WHERE user_id = :user AND project_id = :project")
_REVOKE: Final = text(
    """
    UPDATE api_key SET revoked_at = :at
    WHERE user_id = :user AND project_id = :project AND revoked_at IS NULL
    """
)


def owners(tx: Transaction, project: UUID) -> set[UUID]:
    """Locks the project's members against every other change first: two owners who leave at once
    must see each other."""
    tx.connection.execute(_LOCK, {"project": project})
    return set(tx.connection.execute(_OWNERS, {"project": project}).scalars())


def join(tx: Transaction, project: UUID, user: UUID, role: Role) -> bool:
    """False for one who is a member already, and stays what they are."""
    given = {"user": user, "project": project, "role": role.value}
    return tx.connection.execute(_JOIN, given).one_or_none() is not None


def set_role(tx: Transaction, project: UUID, user: UUID, role: Role) -> None:
    given = {"user": user, "project": project, "role": role.value}
    tx.connection.execute(_SET_ROLE, given)


def leave(tx: Transaction, project: UUID, user: UUID) -> None:
    """With all keys of theirs in the project: they would come back with a second membership."""
    given = {"user": user, "project": project}
    tx.connection.execute(_REVOKE, {**given, "at": tx.at})
    tx.connection.execute(_LEAVE, given)


_MAKE_SECRET: Final = text(
    "INSERT INTO signing_key (id, secret, created_at) VALUES (1, :fresh, :at)"
    " ON CONFLICT DO NOTHING"
)
_SECRET: Final = text("SELECT secret FROM signing_key WHERE id = 1")


def signing_secret(tx: Transaction, fresh: bytes) -> bytes:
    """The database's own; `fresh` becomes it where there is none yet."""
    known = tx.connection.execute(_SECRET).scalar_one_or_none()
    if known is None:
        tx.connection.execute(_MAKE_SECRET, {"fresh": fresh, "at": tx.at})
        known = tx.connection.execute(_SECRET).scalar_one()
    return bytes(known)
