"""Where an entry of the submit-batch door may go: managed devices, or one of a user's machines."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from orchestrator.config import Settings
from orchestrator.domain.entries import Room
from orchestrator.store import entries
from orchestrator.store.entries import TargetRow
from orchestrator.store.listings_reading import Reader
from schemas.chemistry import JOB_TYPES
from schemas.controller import PATTERN

MANAGED: Final = "managed"
LOCAL: Final = "local"
PROGRAM: Final = "tblite"
"""What computes energies. Its version is part of what a result is the result of."""
_WARNINGS: Final = {"draining": "controller draining", "paused": "controller paused"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """`lanes`: how many of its jobs run at the same time. `controller`: None for managed."""

    name: str
    device_type: str
    backend: str
    lanes: int
    job_types: frozenset[str] = frozenset(JOB_TYPES)
    controller: UUID | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The targets that entries name, or why there is none; and the room on those that have a
    bound, by device type."""

    targets: Mapping[str | None, Target | str]
    rooms: Mapping[str, Room]


def find(
    connection: Reader,
    settings: Settings,
    project: UUID,
    user: UUID | None,
    wanted: Iterable[str | None],
) -> Found:
    """Nothing is locked, and nothing counted yet."""
    names = set(wanted)
    local = entries.local_target(connection, project, user) if LOCAL in names else None
    known = [name for name in names if name is not None and _may_be_a_name(name)]
    rows = entries.targets(connection, project, known) if known else []
    by_name: dict[str | None, TargetRow] = {row.name: row for row in rows}
    if local is not None:
        by_name[LOCAL] = local
    found: dict[str | None, Target | str] = {}
    for name in names:
        row = by_name.get(name)
        if name in (None, MANAGED):
            found[name] = _managed(connection, settings)
        else:
            found[name] = _unknown(name) if row is None else _controller(row)
    return Found(found, {row.device_type: _room(row) for row in by_name.values()})


def _may_be_a_name(name: str) -> bool:
    return name not in (MANAGED, LOCAL) and re.fullmatch(PATTERN, name) is not None


def _unknown(name: str | None) -> str:
    if name == LOCAL:
        return "No local controller is online"
    return f"Unknown compute target {name!r}".encode("utf-8", "replace").decode()


def _managed(connection: Reader, settings: Settings) -> Target | str:
    pool = entries.pool(connection, settings.managed_type)
    if not settings.managed or not pool.devices:
        return "Managed compute is disabled"
    return Target(
        name=MANAGED,
        device_type=settings.managed_type,
        backend=f"{PROGRAM}/{pool.versions.get(PROGRAM, 'unknown')}",
        lanes=pool.devices,
    )


def _controller(row: TargetRow) -> Target:
    versions = [each["version"] for each in row.backends if each["name"] == PROGRAM]
    return Target(
        name=row.name,
        device_type=row.device_type,
        backend=f"{PROGRAM}/{versions[0] if versions else 'unknown'}",
        lanes=row.lanes,
        job_types=frozenset(kind for each in row.backends for kind in each["job_types"]),
        controller=row.id,
        warning=_WARNINGS.get(row.state) or (None if row.online else "controller offline"),
    )


def _room(row: TargetRow) -> Room:
    return Room(name=row.name, cores=row.cores, memory_mb=row.memory_mb, slots=row.slots)
