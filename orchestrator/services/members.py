"""Members: who is in a project, and as what. A project always keeps an owner."""

from collections.abc import Iterable
from uuid import UUID

from orchestrator.domain.role import SCOPES_OF
from orchestrator.errors import Conflict, Flaw, NotFound, Rejected
from orchestrator.services.core import Core
from orchestrator.services.passwords import hashed
from orchestrator.store import members
from orchestrator.store.jobs import new_id
from orchestrator.store.transaction import Transaction
from schemas.words import Role


def add(
    core: Core,
    tx: Transaction,
    project: UUID,
    username: str,
    role: Role,
    password_hash: str | None,
    *,
    granted_by: Iterable[str],
) -> UUID:
    """Raises Rejected where a password is missing, or given for a user who has one."""
    _check(role, granted_by)
    user = _user(tx, username, password_hash)
    if not members.join(tx, project, user, role):
        raise Conflict(f"{username} is a member already: change the role instead")
    return user


def change(
    core: Core,
    tx: Transaction,
    project: UUID,
    user: UUID,
    role: Role,
    *,
    granted_by: Iterable[str],
) -> None:
    """From the next request on, for every key of theirs too."""
    _check(role, granted_by)
    owners = members.owners(tx, project)
    _known(tx, project, user)
    if role is not Role.OWNER:
        _check_not_last(owners, user)
    members.set_role(tx, project, user, role)


def remove(core: Core, tx: Transaction, project: UUID, user: UUID) -> None:
    """Their keys in the project are revoked; what they submitted stays."""
    owners = members.owners(tx, project)
    _known(tx, project, user)
    _check_not_last(owners, user)
    members.leave(tx, project, user)


def hash_of(password: str | None) -> str | None:
    """Slow: to be made before a transaction is begun."""
    return None if password is None else hashed(password)


def _check(role: Role, granted_by: Iterable[str]) -> None:
    if lacking := sorted(SCOPES_OF[role] - frozenset(granted_by)):
        words = ", ".join(lacking)
        raise Rejected([Flaw("role", f"must not allow {words}: your own key lacks it")])


def _user(tx: Transaction, username: str, password_hash: str | None) -> UUID:
    known = members.password_of(tx.connection, username)
    if known is not None:
        if password_hash is not None:
            raise Rejected([Flaw("password", "must be left out: there is such a user already")])
        return known[0]
    if password_hash is None:
        raise Rejected([Flaw("password", "is missing: there is no such user yet")])
    made = members.add_user(tx, new_id(), username, password_hash)
    if made is None:
        raise Conflict(f"{username} was made by another call just now: try again")
    return made


def _known(tx: Transaction, project: UUID, user: UUID) -> None:
    if members.get_member(tx.connection, project, user) is None:
        raise NotFound(f"there is no member {user}")


def _check_not_last(owners: set[UUID], user: UUID) -> None:
    if owners == {user}:
        raise Conflict("this is the project's last owner: make another one first")
