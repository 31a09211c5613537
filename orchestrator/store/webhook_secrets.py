"""What a project's messages are signed with. Kept as it is: a signature needs the secret itself."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.transaction import Transaction

_ADD: Final = text(
    """
    INSERT INTO webhook_secret (project_id, secret, created_at) VALUES (:project, :secret, :at)
    ON CONFLICT DO NOTHING
    """
)
_VALID: Final = text(
    """
    SELECT secret FROM webhook_secret
    WHERE project_id = :project AND (expires_at IS NULL OR expires_at > :at) ORDER BY id DESC
    """
)
_RETIRE: Final = text(
    """
    UPDATE webhook_secret SET expires_at = CAST(:at AS timestamptz) + :keep
    WHERE project_id = :project AND expires_at IS NULL
    """
)
_FORGET: Final = text("DELETE FROM webhook_secret WHERE project_id = :project AND expires_at < :at")


def valid(tx: Transaction, project: UUID) -> list[str]:
    """The current one first, then those that were replaced and still count. May be empty."""
    rows = tx.connection.execute(_VALID, {"project": project, "at": tx.at})
    return [row.secret for row in rows]


def ensure(tx: Transaction, project: UUID, fresh: str) -> None:
    """`fresh` becomes the project's secret if it has none."""
    tx.connection.execute(_ADD, {"project": project, "secret": fresh, "at": tx.at})


def replace(tx: Transaction, project: UUID, fresh: str, *, keep: timedelta) -> None:
    """The one until now counts for `keep` longer; those that count no more are deleted."""
    tx.connection.execute(_FORGET, {"project": project, "at": tx.at})
    tx.connection.execute(_RETIRE, {"project": project, "keep": keep, "at": tx.at})
    ensure(tx, project, fresh)
