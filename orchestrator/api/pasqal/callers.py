"""Who calls: the holder of an API key, or a user whose token was issued here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request

from orchestrator.api.auth import asked_twice, core_of, holder_of, secret_in
from orchestrator.errors import Forbidden, NotFound, Unauthorized
from orchestrator.services.core import Core
from orchestrator.services.keys import KEY_PREFIX, may
from orchestrator.services.tokens import user_of
from orchestrator.store import members
from schemas.words import Scope

LONGEST_TOKEN: Final = 4096
USERS_MAY: Final = (Scope.READ, Scope.SUBMIT)
_WHERE: Final = "send a token in the header: Authorization: Bearer ..."


@dataclass(frozen=True, slots=True)
class Caller:
    """`projects` are those that the caller may act in: one for a key, a user's own for a token."""

    core: Core
    projects: tuple[UUID, ...]
    user: UUID | None
    scopes: frozenset[str]

    def project(self, wanted: UUID) -> UUID:
        """Raises NotFound: whether another's project exists is not told."""
        if wanted not in self.projects:
            raise NotFound(f"there is no project {wanted} that you are in")
        return wanted


@cache
def requires(scope: Scope) -> Callable[[Request], Caller]:
    def caller(request: Request) -> Caller:
        core = core_of(request)
        found = _caller(core, secret_in(request, LONGEST_TOKEN, _WHERE))
        if scope not in found.scopes:
            raise Forbidden(f"this key lacks the scope {scope.value!r}; use one that has it")
        return found

    return caller


Reads = Annotated[Caller, Depends(requires(Scope.READ))]
Submits = Annotated[Caller, Depends(requires(Scope.SUBMIT))]


def _caller(core: Core, secret: str) -> Caller:
    # Read once and kept: now, while no other connection is held.
    core.signing_secret  # noqa: B018
    if not secret.startswith(KEY_PREFIX):
        user = user_of(core, secret)
        projects = asked_twice(core, lambda reader: members.projects_of(reader, user))
        if not projects:
            raise Unauthorized("this token's user is in no project")
        return Caller(core, tuple(projects), user, may(USERS_MAY))
    holder = holder_of(core, secret)
    return Caller(core, (holder.project_id,), holder.user_id, may(holder.scopes))
