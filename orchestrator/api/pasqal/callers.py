"""Who calls: the holder of an API key, or a user whose token was issued here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request

from orchestrator.api.auth import A_RUNNER, asked_twice, core_of, holder_of, lacks, secret_in
from orchestrator.domain.key import TOKEN_PREFIX, looks_like_key
from orchestrator.domain.role import SCOPES_OF
from orchestrator.errors import Forbidden, NotFound, Unauthorized
from orchestrator.services.core import Core
from orchestrator.services.tokens import user_of
from orchestrator.store import members
from schemas import logs
from schemas.words import KeyKind, Scope

LONGEST_TOKEN: Final = 4096
_WHERE: Final = "send a token in the header: Authorization: Bearer ..."


@dataclass(frozen=True, slots=True)
class Caller:
    """`projects` are those that the caller may act in, in the way that the route asks for: one
    for a key, for a token those where the user's role allows it."""

    core: Core
    projects: tuple[UUID, ...]
    user: UUID | None
    key: UUID | None = None

    @property
    def only(self) -> UUID | None:
        """The one project, where there are no others."""
        return self.projects[0] if len(self.projects) == 1 else None

    def project(self, wanted: UUID) -> UUID:
        """Raises NotFound: whether another's project exists is not told."""
        if wanted not in self.projects:
            raise NotFound(f"there is no project {wanted} that you are in")
        return wanted


@cache
def requires(scope: Scope) -> Callable[[Request], Caller]:
    def caller(request: Request) -> Caller:
        core = core_of(request)
        return _caller(core, secret_in(request, LONGEST_TOKEN, _WHERE), scope)

    return caller


Reads = Annotated[Caller, Depends(requires(Scope.READ))]
Submits = Annotated[Caller, Depends(requires(Scope.SUBMIT))]


def _caller(core: Core, secret: str, scope: Scope) -> Caller:
    # Read once and kept: now, while no other connection is held.
    core.signing_secret  # noqa: B018
    if not looks_like_key(secret) and not secret.startswith(TOKEN_PREFIX):
        return _user(core, user_of(core, secret), scope)
    holder = holder_of(core, secret)
    if holder.kind is KeyKind.RUNNER:
        raise Forbidden(A_RUNNER)
    if scope not in holder.scopes:
        raise Forbidden(lacks(scope))
    return Caller(core, (holder.project_id,), holder.user_id, holder.key_id)


def _user(core: Core, user: UUID, scope: Scope) -> Caller:
    roles = asked_twice(core, lambda reader: members.roles_of(reader, user))
    if not roles:
        raise Unauthorized("this token's user is in no project")
    projects = tuple(each for each, role in roles.items() if scope in SCOPES_OF[role])
    if not projects:
        raise Forbidden(f"your role in your projects does not allow {scope.value!r}")
    if len(projects) == 1:
        logs.note(project=projects[0])
    return Caller(core, projects, user)
