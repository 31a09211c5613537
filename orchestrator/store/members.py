"""Who belongs to which project, and what their tokens are signed with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Project:
    id: UUID
    name: str


_OF_USER: Final = text("SELECT project_id FROM membership WHERE user_id = :user ORDER BY 1")
_NAMED: Final = text("SELECT id, name FROM project WHERE id = ANY(:ids) ORDER BY name")


def projects_of(connection: Reader, user: UUID) -> list[UUID]:
    return list(connection.execute(_OF_USER, {"user": user}).scalars())


def projects(connection: Reader, ids: Sequence[UUID]) -> list[Project]:
    return [Project(*row) for row in connection.execute(_NAMED, {"ids": list(ids)})]


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
