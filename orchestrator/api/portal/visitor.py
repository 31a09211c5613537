"""Who looks at a page: the holder of a session, known by a cookie."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request

from orchestrator.api.auth import asked_twice, core_of
from orchestrator.errors import Forbidden, Unauthorized
from orchestrator.services.keys import digest_of
from orchestrator.store import sessions
from schemas import logs
from schemas.words import Role, Scope

COOKIE: Final = "holdfast_session"
LONGEST: Final = 200


class NotSignedIn(Unauthorized):
    """There is no session, or it is over."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """`session` is the hash that it is stored under, `secret` what the cookie holds. `name` is
    the user's, or the key's where it has no user; `key` is set where a key signed in."""

    session: bytes
    secret: str = field(repr=False)
    project: UUID
    project_name: str
    user: UUID | None
    key: UUID | None
    name: str
    role: Role | None
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    @property
    def csrf(self) -> str:
        return csrf_of(self.secret)


def csrf_of(secret: str) -> str:
    """What every form must send back: made from the cookie, which no other site can read."""
    return hmac.new(secret.encode(), b"holdfast form", hashlib.sha256).hexdigest()


@cache
def visiting(scope: Scope) -> Callable[[Request], Visitor]:
    """A dependency: the visitor, if what they may do includes the scope. Raises NotSignedIn,
    which a page answers with the way to sign in, and Forbidden."""

    def visitor(request: Request) -> Visitor:
        secret = request.cookies.get(COOKIE, "")
        if not 0 < len(secret) <= LONGEST:
            raise NotSignedIn("sign in first")
        digest = digest_of(secret)
        seen = asked_twice(core_of(request), lambda reader: sessions.seen(reader, digest))
        if seen is None:
            raise NotSignedIn("your session is over: sign in again")
        found = Visitor(
            digest,
            secret,
            seen.project,
            seen.project_name,
            seen.user,
            seen.key,
            seen.name,
            seen.role,
            seen.scopes,
        )
        request.state.visitor = found
        logs.note(project=found.project)
        if scope not in found.scopes:
            raise Forbidden(
                f"this needs the right to {scope.value}, which you do not have in the project"
                f" {found.project_name}: ask an owner of it for another role"
            )
        return found

    visitor.scope = scope  # type: ignore[attr-defined]
    return visitor


Visits = Annotated[Visitor, Depends(visiting(Scope.READ))]
Submits = Annotated[Visitor, Depends(visiting(Scope.SUBMIT))]
Operates = Annotated[Visitor, Depends(visiting(Scope.OPERATE))]
Administers = Annotated[Visitor, Depends(visiting(Scope.ADMIN))]
