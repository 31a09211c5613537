"""The first project, user and key of a database, and its devices. Safe to run at every start."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from orchestrator.services.keys import KEY_PREFIX, SHOWN, digest_of, may
from orchestrator.services.passwords import hashed, opens
from orchestrator.store import catalog, keys, migrations
from orchestrator.store import devices as device_rows
from orchestrator.store.catalog import DeviceType
from orchestrator.store.jobs import new_id
from orchestrator.store.keys import NewKey
from orchestrator.store.transaction import Transaction, connect, transaction
from schemas.words import Scope

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
) -> Credentials:
    """Migrate, then seed what is missing. What is `known` is kept as long as it still works."""
    migrate(database_url, types)
    engine = connect(database_url, pool_size=1)
    try:
        with transaction(engine) as tx:
            credentials = _seed(tx, known, project, username)
            for device in devices:
                device_rows.register(tx, device.name, device.type, device.executor)
    finally:
        engine.dispose()
    return credentials


def _seed(tx: Transaction, known: Credentials | None, project: str, username: str) -> Credentials:
    project_id = keys.ensure_project(tx, new_id(), project)
    name = known.username if known else username
    user_id, password = _user(tx, project_id, name, known.password if known else None)
    key = known.api_key if known else None
    if key is None or not _key_works(tx, project_id, key):
        key = _new_key(tx, project_id, user_id)
    return Credentials(str(project_id), name, password, key)


def _user(tx: Transaction, project: UUID, name: str, password: str | None) -> tuple[UUID, str]:
    """A password that no longer opens is replaced."""
    row = keys.password_of(tx.connection, name)
    if row is not None and password is not None and opens(row[1], password):
        return row[0], password
    fresh = password or secrets.token_urlsafe(18)
    return keys.set_user(tx, new_id(), name, hashed(fresh), project), fresh


def _key_works(tx: Transaction, project: UUID, key: str) -> bool:
    holder = keys.holder_of(tx.connection, digest_of(key))
    return (
        holder is not None
        and holder.project_id == project
        and may(holder.scopes) >= frozenset(SCOPES)
    )


def _new_key(tx: Transaction, project: UUID, user: UUID) -> str:
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    keys.insert(
        tx,
        NewKey(
            id=new_id(),
            project_id=project,
            user_id=user,
            name="bootstrap",
            prefix=key[:SHOWN],
            hash=digest_of(key),
            scopes=[scope.value for scope in SCOPES],
        ),
    )
    return key
