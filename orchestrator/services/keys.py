"""Keys: made, shown once, revoked at once."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from orchestrator.errors import Flaw, NotFound, Rejected
from orchestrator.services.core import Core
from orchestrator.store import keys
from orchestrator.store.jobs import new_id
from orchestrator.store.keys import NewKey
from orchestrator.store.transaction import Transaction
from schemas.words import Scope

KEY_PREFIX: Final = "hf_"
SHOWN: Final = len(KEY_PREFIX) + 6
"""How much of a key is kept readable, so that its owner can tell it from others."""


@dataclass(frozen=True)
class MadeKey:
    id: UUID
    secret: str = field(repr=False)


def digest_of(secret: str) -> bytes:
    """One round is enough: nobody guesses 32 random bytes."""
    return hashlib.sha256(secret.encode()).digest()


def may(scopes: Iterable[str]) -> frozenset[str]:
    """What these scopes allow; whoever may submit may also read."""
    held = frozenset(scopes)
    return held | {Scope.READ} if Scope.SUBMIT in held else held


def create(
    core: Core,
    tx: Transaction,
    project: UUID,
    user: UUID | None,
    name: str,
    scopes: Sequence[Scope],
    *,
    granted_by: Iterable[str],
) -> MadeKey:
    """Raises Rejected for a scope that the creator lacks."""
    lacking = [scope for scope in dict.fromkeys(scopes) if scope not in may(granted_by)]
    if lacking:
        words = ", ".join(lacking)
        raise Rejected([Flaw("scopes", f"must not include {words}: your own key lacks it")])
    made = MadeKey(new_id(), KEY_PREFIX + secrets.token_urlsafe(32))
    keys.insert(
        tx,
        NewKey(
            id=made.id,
            project_id=project,
            user_id=user,
            name=name,
            prefix=made.secret[:SHOWN],
            hash=digest_of(made.secret),
            scopes=[scope.value for scope in dict.fromkeys(scopes)],
        ),
    )
    return made


def revoke(core: Core, tx: Transaction, project: UUID, key: UUID) -> None:
    """Revoking a revoked key changes nothing."""
    if not keys.revoke(tx, project, key):
        raise NotFound(f"there is no key {key}")
