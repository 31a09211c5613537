"""Who calls, and what they may do. Keys are never logged, nor kept beyond their hash."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar
from uuid import UUID

from fastapi import Request

from orchestrator.domain.key import TOKEN_PREFIX, is_mistyped, looks_like_key
from orchestrator.errors import Forbidden, Unauthorized, Unavailable
from orchestrator.services.core import Core
from orchestrator.services.keys import digest_of
from orchestrator.store import keys
from orchestrator.store.keys import Holder
from orchestrator.store.listings_reading import Reader, reading
from schemas import logs
from schemas.words import KeyKind, Scope

LONGEST_KEY: Final = 200
_WHERE: Final = "send an API key in the header: Authorization: Bearer av_..."
A_RUNNER: Final = (
    "this is a runner key: it registers controllers at /api/v1/controllers/register and may do"
    " nothing else; use a workspace key (av_...)"
)
_NO_RUNNER: Final = (
    "this is a workspace key: controllers register with a runner key (rn_...); make one with"
    " `holdfast keys create NAME --kind runner`"
)
_A_TOKEN: Final = (
    "this is a controller's token: it is good for that controller's own leases only; use an API"
    " key (av_...)"
)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Caller:
    """`scopes` is what the key allows now, with what its scopes imply: never more than the role
    of its user does."""

    key_id: UUID
    project: UUID
    user: UUID | None
    scopes: frozenset[str]
    kind: KeyKind = KeyKind.WORKSPACE


def core_of(request: Request) -> Core:
    core: Core = request.app.state.core
    return core


@cache
def requires(scope: Scope, or_else: Scope | None = None) -> Callable[[Request], Caller]:
    """A dependency: the caller, if the key has the scope, or the other one."""

    def caller(request: Request) -> Caller:
        holder = holder_of(core_of(request), secret_in(request, LONGEST_KEY, _WHERE))
        if holder.kind is KeyKind.RUNNER:
            raise Forbidden(A_RUNNER)
        other = or_else if or_else in holder.scopes else None
        return _with_scope(holder, other or scope)

    caller.scope = scope  # type: ignore[attr-defined]
    return caller


@cache
def requires_runner() -> Callable[[Request], Caller]:
    """A dependency: the caller, if the key is a runner key."""

    def caller(request: Request) -> Caller:
        holder = holder_of(core_of(request), secret_in(request, LONGEST_KEY, _WHERE))
        if holder.kind is not KeyKind.RUNNER:
            raise Forbidden(_NO_RUNNER)
        return _with_scope(holder, Scope.SUBMIT)

    caller.scope = Scope.SUBMIT  # type: ignore[attr-defined]
    return caller


def _with_scope(holder: Holder, scope: Scope) -> Caller:
    if scope not in holder.scopes:
        raise Forbidden(lacks(scope))
    return Caller(holder.key_id, holder.project_id, holder.user_id, holder.scopes, holder.kind)


def lacks(scope: Scope) -> str:
    return (
        f"this key lacks the scope {scope.value!r}, or its user's role does not allow it;"
        " use one that has it"
    )


def secret_in(request: Request, longest: int, where: str) -> str:
    """Raises Unauthorized, with `where` to put it."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > longest:
        raise Unauthorized(where)
    return secret


def holder_of(core: Core, secret: str) -> Holder:
    """Whoever holds the key, whatever its kind. Raises Unauthorized with the reason."""
    if secret.startswith(TOKEN_PREFIX):
        raise Unauthorized(_A_TOKEN)
    if not looks_like_key(secret):
        raise Unauthorized("this is no API key: one begins with av_ (or rn_, or hf_)")
    if is_mistyped(secret):
        raise Unauthorized("this key is mistyped: its end does not fit the rest; copy it again")
    digest = digest_of(secret)
    holder = asked_twice(core, lambda reader: keys.holder_of(reader, digest))
    if holder is None:
        raise Unauthorized("this key is not valid here: it is unknown or was revoked")
    if holder.trouble is not None:
        raise Unauthorized(holder.trouble)
    core.uses.note(holder.key_id)
    logs.note(project=holder.project_id)
    return holder


def asked_twice(core: Core, question: Callable[[Reader], Answer]) -> Answer:
    """Every request comes by here first, so a connection that broke while it lay in the pool is
    found out here, where trying again is harmless."""
    try:
        with reading(core.engine) as connection:
            return question(connection)
    except Unavailable as error:
        if not getattr(error.__cause__, "connection_invalidated", False):
            raise
    with reading(core.engine) as connection:
        return question(connection)
