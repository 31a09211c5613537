"""Sessions of the portal, found by the hash of their cookie, as keys are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.domain.role import SCOPES_OF, bounded
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction
from schemas.words import Role


@dataclass(frozen=True, slots=True)
class Seen:
    """Whoever looks: `name` is the user's, or the key's where it has no user. `role` is None for
    a key that no user holds. `scopes` are what both the role and the key allow now."""

    project: UUID
    project_name: str
    user: UUID | None
    key: UUID | None
    name: str
    role: Role | None
    scopes: frozenset[str]


_INSERT: Final = text(
    """
    INSERT INTO portal_session (hash, project_id, user_id, key_id, created_at, expires_at)
    VALUES (:hash, :project, :user, :key, :at, :expires_at)
    """
)


def insert(
    tx: Transaction,
    digest: bytes,
    project: UUID,
    *,
    user: UUID | None,
    key: UUID | None,
    expires_at: datetime,
) -> None:
    given = {"hash": digest, "project": project, "user": user, "key": key, "at": tx.at}
    tx.connection.execute(_INSERT, {**given, "expires_at": expires_at})


_FIND: Final = text(
    """
    SELECT s.project_id, p.name AS project, s.user_id, s.key_id, m.role, k.scopes,
        COALESCE(u.username, k.name) AS name
    FROM portal_session s JOIN project p ON p.id = s.project_id
        LEFT JOIN "user" u ON u.id = s.user_id
        LEFT JOIN membership m ON m.user_id = s.user_id AND m.project_id = s.project_id
        LEFT JOIN api_key k ON k.id = s.key_id
    WHERE s.hash = :hash AND s.expires_at > clock_timestamp()
        AND (s.user_id IS NULL OR m.role IS NOT NULL)
        AND (s.key_id IS NULL OR (k.revoked_at IS NULL
            AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())))
    """
)


def seen(reader: Reader, digest: bytes) -> Seen | None:
    """None for a session that is over: signed out, too old, its key revoked, its user gone."""
    row = reader.execute(_FIND, {"hash": digest}).one_or_none()
    if row is None:
        return None
    role = None if row.role is None else Role(row.role)
    scopes = SCOPES_OF[role or Role.OWNER] if row.key_id is None else bounded(row.scopes, role)
    return Seen(row.project_id, row.project, row.user_id, row.key_id, row.name, role, scopes)


_SWITCH: Final = text(
    """
    UPDATE portal_session s SET project_id = :project
    WHERE hash = :hash AND key_id IS NULL AND EXISTS (
        SELECT FROM membership m WHERE m.user_id = s.user_id AND m.project_id = :project
    ) RETURNING hash
    """
)
_END: Final = text("DELETE FROM portal_session WHERE hash = :hash")
_PRUNE: Final = text("DELETE FROM portal_session WHERE expires_at < :at")


def switch(tx: Transaction, digest: bytes, project: UUID) -> bool:
    """False where its user is no member there, or it belongs to a key."""
    given = {"hash": digest, "project": project}
    return tx.connection.execute(_SWITCH, given).one_or_none() is not None


def end(tx: Transaction, digest: bytes) -> None:
    tx.connection.execute(_END, {"hash": digest})


def prune(tx: Transaction) -> None:
    tx.connection.execute(_PRUNE, {"at": tx.at})
