"""Who calls, and what they may do. Keys are never logged, nor kept beyond their hash."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar
from uuid import UUID

from fastapi import Request

from orchestrator.errors import Forbidden, Unauthorized, Unavailable
from orchestrator.services.core import Core
from orchestrator.services.keys import digest_of, may
from orchestrator.store import keys
from orchestrator.store.keys import Holder
from orchestrator.store.listings_reading import Reader, reading
from schemas.words import Scope

LONGEST_KEY: Final = 200
_WHERE: Final = "send an API key in the header: Authorization: Bearer hf_..."
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Caller:
    """`scopes` is what the key allows, with what its scopes imply."""

    key_id: UUID
    project: UUID
    user: UUID | None
    scopes: frozenset[str]


def core_of(request: Request) -> Core:
    core: Core = request.app.state.core
    return core


@cache
def requires(scope: Scope) -> Callable[[Request], Caller]:
    """A dependency: the caller, if the key has the scope."""

    def caller(request: Request) -> Caller:
        holder = holder_of(core_of(request), secret_in(request, LONGEST_KEY, _WHERE))
        allowed = may(holder.scopes)
        if scope not in allowed:
            raise Forbidden(f"this key lacks the scope {scope.value!r}; use one that has it")
        return Caller(holder.key_id, holder.project_id, holder.user_id, allowed)

    caller.scope = scope  # type: ignore[attr-defined]
    return caller


def secret_in(request: Request, longest: int, where: str) -> str:
    """Raises Unauthorized, with `where` to put it."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > longest:
        raise Unauthorized(where)
    return secret


def holder_of(core: Core, secret: str) -> Holder:
    digest = digest_of(secret)
    holder = asked_twice(core, lambda reader: keys.holder_of(reader, digest))
    if holder is None:
        raise Unauthorized("this key is not valid here: it is unknown or was revoked")
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
