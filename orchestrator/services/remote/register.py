"""Register: a controller takes its name, and whoever had it before is out."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from orchestrator.domain.controller import is_too_old
from orchestrator.domain.key import TOKEN_PREFIX
from orchestrator.errors import Conflict, Flaw, Rejected, TooOld
from orchestrator.services.core import Core
from orchestrator.services.remote.lanes import hear
from orchestrator.store import controllers
from orchestrator.store.controllers import ControllerRow
from orchestrator.store.jobs import new_id
from orchestrator.store.transaction import Transaction
from schemas.controller import MIN_VERSION, RESERVED, RegisterIn

MOST: Final = 1000
"""Controllers of one project: each has devices, which everybody's sweep looks at."""


@dataclass(frozen=True)
class Newcomer:
    row: ControllerRow
    token: str = field(repr=False)


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def register(
    core: Core, project: UUID, user: UUID | None, body: RegisterIn, *, takeover: bool
) -> Newcomer:
    """The token of an earlier registration of the name is dead once this returns. Raises
    Conflict where that one is online and must not be taken over."""
    if is_too_old(body.version, MIN_VERSION):
        raise TooOld(f"version {body.version} is too old here: at least {MIN_VERSION} is needed")
    if body.name in RESERVED:
        raise Rejected([Flaw("name", f"must not be {body.name!r}: that word means something else")])
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    with core.transaction() as tx:
        known = controllers.lock_name(tx, project, body.name)
        if known is not None and not takeover and _is_online(tx, known):
            raise Conflict(f"{body.name} is online already, and must not be taken over")
        controller = new_id() if known is None else known.id
        if known is None:
            if controllers.count(tx, project) >= MOST:
                raise Conflict(f"the project has {MOST} controllers: remove one first")
            controllers.insert(tx, controller, project, body.name)
        row = controllers.register(tx, controller, user, body, digest_of(token))
    hear(core, row)
    return Newcomer(row, token)


def _is_online(tx: Transaction, row: ControllerRow) -> bool:
    return any(lane.online for lane in controllers.lanes_of(tx.connection, row.device_type))
