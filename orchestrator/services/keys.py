"""Keys: made, shown once, revoked at once."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from orchestrator.domain.key import PREFIXES, RUNNER_SCOPES, sealed
from orchestrator.domain.role import may
from orchestrator.errors import Flaw, Forbidden, NotFound, Rejected
from orchestrator.services.core import Core
from orchestrator.store import keys
from orchestrator.store.jobs import new_id
from orchestrator.store.keys import NewKey
from orchestrator.store.transaction import Transaction
from schemas.words import KeyKind, Scope

LONGEST: Final = timedelta(days=36525)
"""The database keeps later moments than can be read back."""


@dataclass(frozen=True)
class MadeKey:
    id: UUID
    secret: str = field(repr=False)


def digest_of(secret: str) -> bytes:
    """One round is enough: nobody guesses 32 random bytes."""
    return hashlib.sha256(secret.encode()).digest()


def create(
    core: Core,
    tx: Transaction,
    project: UUID,
    user: UUID | None,
    name: str,
    scopes: Sequence[Scope],
    *,
    granted_by: Iterable[str],
    kind: KeyKind = KeyKind.WORKSPACE,
    expires_at: datetime | None = None,
) -> MadeKey:
    """Raises Rejected for a scope that the creator lacks, or that is not the kind's, and
    Forbidden for a workspace key by a creator without `admin`, a runner key by one without
    `submit`."""
    granted = may(granted_by)
    if kind is KeyKind.RUNNER and scopes:
        raise Rejected([Flaw("scopes", "must be left out: a runner key has none")])
    if kind is KeyKind.RUNNER and not granted.issuperset(RUNNER_SCOPES):
        raise Forbidden("this key lacks the scope 'submit': it can make no runner key")
    if kind is KeyKind.WORKSPACE:
        _check(scopes, granted)
    if expires_at is not None and not tx.at < expires_at < tx.at + LONGEST:
        raise Rejected([Flaw("expires_at", "must be later than now, within 100 years")])
    return made(tx, project, user, name, scopes, kind=kind, expires_at=expires_at)


def _check(scopes: Sequence[Scope], granted: frozenset[str]) -> None:
    if Scope.ADMIN not in granted:
        raise Forbidden("this key lacks the scope 'admin': it can make runner keys only")
    if not scopes:
        raise Rejected([Flaw("scopes", "must name at least one scope")])
    lacking = [scope for scope in dict.fromkeys(scopes) if scope not in granted]
    if lacking:
        words = ", ".join(lacking)
        raise Rejected([Flaw("scopes", f"must not include {words}: your own key lacks it")])


def made(
    tx: Transaction,
    project: UUID,
    user: UUID | None,
    name: str,
    scopes: Sequence[Scope],
    *,
    kind: KeyKind = KeyKind.WORKSPACE,
    expires_at: datetime | None = None,
) -> MadeKey:
    """A new key; whether it may be made is asked elsewhere."""
    key = MadeKey(new_id(), sealed(kind, secrets.token_urlsafe(32)))
    keys.insert(
        tx,
        NewKey(
            id=key.id,
            project_id=project,
            user_id=user,
            name=name,
            kind=kind,
            prefix=PREFIXES[kind],
            last4=key.secret[-4:],
            hash=digest_of(key.secret),
            scopes=[scope.value for scope in dict.fromkeys(scopes)],
            expires_at=expires_at,
        ),
    )
    return key


def revoke(core: Core, tx: Transaction, project: UUID, key: UUID) -> None:
    """Revoking a revoked key changes nothing."""
    if not keys.revoke(tx, project, key):
        raise NotFound(f"there is no key {key}")


def remove(core: Core, tx: Transaction, project: UUID, key: UUID) -> None:
    """A valid key is revoked; one that was revoked before is forgotten."""
    if not keys.delete_revoked(tx, project, key):
        revoke(core, tx, project, key)
