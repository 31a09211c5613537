"""Sessions of the portal: begun with a password or a key, ended by whoever began them."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from orchestrator.domain.key import is_mistyped, looks_like_key
from orchestrator.errors import Forbidden, NotFound, Unauthorized
from orchestrator.services.core import Core
from orchestrator.services.keys import digest_of
from orchestrator.services.tokens import check_patience, opened, remember_wrong
from orchestrator.store import keys, members, sessions
from orchestrator.store.listings_reading import reading
from schemas.words import KeyKind

LASTS: Final = timedelta(hours=12)
_WRONG_KEY: Final = "this key is not valid here: it is mistyped, expired or was revoked"


def with_password(core: Core, username: str, password: str, address: str) -> str:
    """The secret of a new session. Raises Unauthorized, TooOften, and Forbidden for a user who
    is a member of no project."""
    user = opened(core, username, password, address)
    if user is None:
        raise Unauthorized("wrong user name or password")
    projects = of_user(core, user)
    if not projects:
        raise Forbidden("you are a member of no project yet: ask an owner of one to add you")
    return _begun(core, projects[0].id, user=user, key=None)


def with_key(core: Core, secret: str, address: str) -> str:
    """The secret of a new session, which may do what the key may. Raises Unauthorized, TooOften,
    and Forbidden for a runner key."""
    digest, holder = digest_of(secret), None
    check_patience(core, digest.hex(), address)
    if looks_like_key(secret) and not is_mistyped(secret):
        with reading(core.engine) as connection:
            holder = keys.holder_of(connection, digest)
    if holder is None or holder.trouble is not None:
        remember_wrong(core, digest.hex(), address)
        raise Unauthorized(_WRONG_KEY if holder is None else str(holder.trouble))
    if holder.kind is KeyKind.RUNNER:
        raise Forbidden("this is a runner key: it registers controllers; use a workspace key")
    core.uses.note(holder.key_id)
    return _begun(core, holder.project_id, user=holder.user_id, key=holder.key_id)


def _begun(core: Core, project: UUID, *, user: UUID | None, key: UUID | None) -> str:
    secret = secrets.token_urlsafe(32)
    with core.transaction() as tx:
        sessions.prune(tx)
        expires_at = tx.at + LASTS
        sessions.insert(tx, digest_of(secret), project, user=user, key=key, expires_at=expires_at)
    return secret


def of_user(core: Core, user: UUID) -> Sequence[members.Project]:
    """The projects that the user is a member of, by name."""
    with reading(core.engine) as connection:
        return members.projects(connection, list(members.roles_of(connection, user)))


def switch(core: Core, digest: bytes, project: UUID) -> None:
    """To another project of the same user. Raises NotFound."""
    with core.transaction() as tx:
        if not sessions.switch(tx, digest, project):
            raise NotFound(f"there is no project {project} that you are in")


def end(core: Core, digest: bytes) -> None:
    with core.transaction() as tx:
        sessions.end(tx, digest)
