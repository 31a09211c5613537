"""Devices: the seat, the fence, and the session of the worker that drives them."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from orchestrator.store import catalog
from orchestrator.store.transaction import Transaction


class DeviceRow(NamedTuple):
    """`service` is what the operator wants: active, draining, paused or retired. `transport`:
    `celery`, or `https` for the lane of a user's controller, which fetches what it is to do."""

    id: int
    name: str
    type: str
    service: str
    service_reason: str | None
    online: bool
    session: str | None
    journal: str | None
    heard_at: datetime | None
    seat: UUID | None
    fence: int
    yielding: bool
    window_size: int
    on_lost: str | None
    transport: str = "celery"


_COLUMNS: Final = """
    device.id, device.name, device.type, device.service, device.service_reason,
    device.online, device.session,
    device.journal, device.heard_at, device.seat, device.fence, device.yielding,
    device.window_size, device_type.on_lost, device.transport
"""
_LOCK: Final = text(
    f"""
    SELECT {_COLUMNS} FROM device JOIN device_type ON device_type.name = device.type
    WHERE device.id = :id FOR UPDATE OF device
    """
)
_LOCK_BY_NAME: Final = text(
    f"""
    SELECT {_COLUMNS}, "window".journal AS staged_for, clock_timestamp() AS now
    FROM device JOIN device_type ON device_type.name = device.type
    LEFT JOIN "window" ON "window".device_id = device.id AND "window".id = :window
    WHERE device.name = :name FOR UPDATE OF device
    """
)


def lock(tx: Transaction, device: int) -> DeviceRow | None:
    """Locks are always taken in the order device, batch, job."""
    row = tx.connection.execute(_LOCK, {"id": device}).one_or_none()
    return None if row is None else DeviceRow(*row)


def lock_by_name(tx: Transaction, name: str) -> DeviceRow | None:
    return lock_with_window(tx, name, None)[0]


def lock_with_window(
    tx: Transaction, name: str, window: int | None
) -> tuple[DeviceRow | None, str | None]:
    """With the journal that the window was staged for; None when it is not in flight."""
    row = tx.connection.execute(_LOCK_BY_NAME, {"name": name, "window": window}).one_or_none()
    if row is None:
        return None, None
    tx.set_clock(row.now)
    return DeviceRow(*row[:-2]), row.staged_for


_TAKE_SEAT: Final = text(
    """
    UPDATE device SET seat = :batch, fence = fence + 1, yielding = false, window_size = 1
    WHERE id = :device RETURNING fence
    """
)
_LEAVE_SEAT: Final = text(
    "UPDATE device SET seat = NULL, yielding = false WHERE id = :device AND seat IS NOT NULL"
)


def take_seat(tx: Transaction, device: int, batch: UUID) -> int:
    """The device row is locked, and whoever had the seat has let go. Returns the new fence."""
    fence: int = tx.connection.execute(_TAKE_SEAT, {"device": device, "batch": batch}).scalar_one()
    return fence


def leave_seat(tx: Transaction, device: int) -> None:
    tx.connection.execute(_LEAVE_SEAT, {"device": device})


def holders(tx: Transaction, batch: UUID) -> list[int]:
    """The devices whose seat the batch has."""
    rows = tx.connection.execute(
        text("SELECT id FROM device WHERE seat = :batch ORDER BY id"), {"batch": batch}
    )
    return [row.id for row in rows]


def vacant(tx: Transaction, device_type: str) -> list[int]:
    """Devices of the type that could take a batch now."""
    rows = tx.connection.execute(
        text(
            "SELECT id FROM device WHERE type = :type AND seat IS NULL AND online"
            " AND service = 'active' ORDER BY id"
        ),
        {"type": device_type},
    )
    return [row.id for row in rows]


def any_yielding(tx: Transaction, device_type: str) -> bool:
    found: bool = tx.connection.execute(
        text("SELECT EXISTS (SELECT 1 FROM device WHERE type = :type AND yielding AND online)"),
        {"type": device_type},
    ).scalar_one()
    return found


def set_window_size(tx: Transaction, device: int, size: int) -> None:
    tx.connection.execute(
        text("UPDATE device SET window_size = :size WHERE id = :device"),
        {"device": device, "size": size},
    )


def set_yielding(tx: Transaction, device: int, yielding: bool) -> None:
    tx.connection.execute(
        text("UPDATE device SET yielding = :yielding WHERE id = :device"),
        {"device": device, "yielding": yielding},
    )


def set_service(tx: Transaction, device: int, service: str, reason: str | None) -> None:
    tx.connection.execute(
        text(
            "UPDATE device SET service = :service, service_reason = :reason, service_since = :at"
            " WHERE id = :device"
        ),
        {"device": device, "service": service, "reason": reason, "at": tx.at},
    )


_MEET: Final = text(
    """
    INSERT INTO device (name, type) VALUES (:name, :type) ON CONFLICT (name) DO NOTHING
    """
)
_HEAR: Final = text(
    """
    UPDATE device SET online = true, session = :session, journal = :journal,
        host = COALESCE(:host, host), versions = COALESCE(CAST(:versions AS json), versions),
        heard_at = :at WHERE id = :device
    """
)


def register(tx: Transaction, name: str, device_type: str, executor: str) -> None:
    """A device and its type exist from now on; nothing changes if they do already."""
    catalog.meet(tx, device_type, executor)
    tx.connection.execute(_MEET, {"name": name, "type": device_type})


def take_session(
    tx: Transaction,
    device: int,
    *,
    session: str,
    journal: str,
    host: str | None,
    versions: Mapping[str, str] | None,
) -> None:
    tx.connection.execute(
        _HEAR,
        {
            "device": device,
            "session": session,
            "journal": journal,
            "host": host,
            "versions": versions and json.dumps(dict(versions)),
            "at": tx.at,
        },
    )


def set_offline(tx: Transaction, device: int) -> None:
    tx.connection.execute(
        text("UPDATE device SET online = false WHERE id = :device"), {"device": device}
    )


def pool_size(tx: Transaction, device_type: str) -> int:
    size: int = tx.connection.execute(
        text("SELECT count(*) FROM device WHERE type = :type AND service <> 'retired'"),
        {"type": device_type},
    ).scalar_one()
    return size


_EVENT: Final = text(
    """
    INSERT INTO event (device_id, batch_id, project_id, kind, status, at, detail)
    SELECT :device, :batch, (SELECT project_id FROM batch WHERE id = :batch), :kind, :status,
        :at, CAST(:detail AS json)
    """
)


def log(
    tx: Transaction,
    device: int,
    kind: str,
    *,
    status: str | None = None,
    batch: UUID | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """An event of the device itself, with no change of a batch's or a job's status."""
    tx.connection.execute(
        _EVENT,
        {
            "device": device,
            "batch": batch,
            "kind": kind,
            "status": status,
            "at": tx.at,
            "detail": None if detail is None else json.dumps(dict(detail)),
        },
    )


# In one order, as every statement that locks more than one device.
_HEARD: Final = text(
    """
    WITH given AS (
        SELECT id, :at - age * interval '1 second' AS heard
        FROM unnest(CAST(:devices AS int[]), CAST(:ages AS float8[])) AS given (id, age)
    ), due AS (
        SELECT device.id, given.heard FROM device JOIN given ON given.id = device.id
        WHERE device.online AND device.heard_at < given.heard - :lag
        ORDER BY device.id FOR NO KEY UPDATE OF device
    )
    UPDATE device SET heard_at = due.heard FROM due WHERE device.id = due.id
    """
)


def heard(tx: Transaction, ages_s: Mapping[int, float], *, lag: timedelta) -> None:
    """How old the last heartbeat of each device is. `lag`: how much older `heard_at` may be than
    the truth, to spare writes."""
    ages = {"devices": list(ages_s.keys()), "ages": list(ages_s.values())}
    tx.connection.execute(_HEARD, {**ages, "at": tx.at, "lag": lag})
