"""The first project, user and key of a database, and its devices. Safe to run at every start."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from orchestrator.domain.credit import CREDIT
from orchestrator.services.keys import digest_of, made
from orchestrator.services.passwords import hashed, opens
from orchestrator.store import catalog, keys, ledger, members, migrations
from orchestrator.store import devices as device_rows
from orchestrator.store.catalog import DeviceType
from orchestrator.store.jobs import new_id
from orchestrator.store.transaction import Transaction, connect, transaction
from schemas.words import Role, Scope

SCOPES: Final = tuple(Scope)


class DeviceSeed(Protocol):
    """A device that is to exist, whether or not its worker has ever started."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def executor(self) -> str: ...


@dataclass(frozen=True)
class Credentials:
    """In the clear: the database keeps only hashes, so whoever calls must keep these."""

    project_id: str
    username: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)


def migrate(database_url: str, types: Sequence[DeviceType]) -> None:
    """To the newest tables, with the operator's device types in them."""
    migrations.upgrade(database_url)
    if not types:
        return
    engine = connect(database_url, pool_size=1)
    try:
        with transaction(engine) as tx:
            for kind in types:
                catalog.define(tx, kind)
    finally:
        engine.dispose()


def prepare(
    database_url: str,
    devices: Iterable[DeviceSeed],
    known: Credentials | None = None,
    *,
    project: str = "default",
    username: str = "dev",
    types: Sequence[DeviceType] = (),
    credits: int = 0,
) -> Credentials:
    """Migrate, then seed what is missing. What is `known` is kept as long as it still works. The
    project is given so many credits once."""
    migrate(database_url, types)
    engine = connect(database_url, pool_size=1)
    try:
        with transaction(engine) as tx:
            credentials = _seed(tx, known, project, username)
            project_id = UUID(credentials.project_id)
            ledger.grant(tx, project_id, credits * CREDIT, f"bootstrap:{project_id}")
            for device in devices:
                device_rows.register(tx, device.name, device.type, device.executor)
    finally:
        engine.dispose()
    return credentials


def _seed(tx: Transaction, known: Credentials | None, project: str, username: str) -> Credentials:
    project_id = members.ensure_project(tx, new_id(), project)
    name = known.username if known else username
    user_id, password = _user(tx, name, known.password if known else None)
    members.set_role(tx, project_id, user_id, Role.OWNER)
    key = known.api_key if known else None
    if key is None or not _key_works(tx, project_id, key):
        key = made(tx, project_id, user_id, "bootstrap", SCOPES).secret
    return Credentials(str(project_id), name, password, key)


def _user(tx: Transaction, name: str, password: str | None) -> tuple[UUID, str]:
    """A password that no longer opens is replaced."""
    row = members.password_of(tx.connection, name)
    if row is not None and password is not None and opens(row[1], password):
        return row[0], password
    fresh = password or secrets.token_urlsafe(18)
    new = members.add_user(tx, new_id(), name, hashed(fresh)) if row is None else None
    return new or members.set_password(tx, name, hashed(fresh)), fresh


def _key_works(tx: Transaction, project: UUID, key: str) -> bool:
    holder = keys.holder_of(tx.connection, digest_of(key))
    return (
        holder is not None
        and holder.trouble is None
        and holder.project_id == project
        and holder.scopes >= frozenset(SCOPES)
    )
