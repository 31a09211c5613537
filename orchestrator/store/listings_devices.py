"""Devices as users read them."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from orchestrator.errors import NotFound
from orchestrator.store.listings_reading import LIMIT_DEFAULT, Reader, cursor_of, place_in
from schemas.device import Device
from schemas.page import Page
from schemas.words import DeviceStatus

# Which batch holds a device is told to its own project only; and so are its own controllers' lanes.
_SELECT: Final = """
    SELECT d.name, d.type, d.service, d.service_reason AS reason, d.online, t.executor,
        d.seat IS NOT NULL AS occupied,
        (SELECT b.id FROM batch b WHERE b.id = d.seat AND b.project_id = :project) AS batch_id,
        d.fence, d.heard_at, d.host, COALESCE(queue.length, 0) AS queue_length
    FROM device d JOIN device_type t ON t.name = d.type
        LEFT JOIN (
            SELECT device_type, count(*) AS length FROM batch WHERE status = 'PENDING'
            GROUP BY device_type
        ) AS queue ON queue.device_type = d.type
    WHERE d.service <> 'retired' AND (t.project_id IS NULL OR t.project_id = :project)
"""
_ONE: Final = text(f"{_SELECT} AND d.name = :name")
_PAGE: Final = text(f"{_SELECT} AND d.name > :place ORDER BY d.name LIMIT :limit")
_ONLINE: Final = text("SELECT count(*) FROM device WHERE online AND service <> 'retired'")


def get_device(connection: Reader, project: UUID, name: str) -> Device:
    row = connection.execute(_ONE, {"project": project, "name": name}).one_or_none()
    if row is None:
        raise NotFound(f"there is no device {name!r}")
    return _device(row)


def list_devices(
    connection: Reader, project: UUID, *, cursor: str | None = None, limit: int = LIMIT_DEFAULT
) -> Page[Device]:
    place = "" if cursor is None else place_in("devices", cursor)
    rows = connection.execute(_PAGE, {"project": project, "place": place, "limit": limit + 1}).all()
    return Page[Device](
        items=[_device(row) for row in rows[:limit]],
        next_cursor=cursor_of("devices", rows[limit - 1].name) if len(rows) > limit else None,
    )


def devices_online(connection: Reader) -> int:
    online: int = connection.execute(_ONLINE).scalar_one()
    return online


def _device(row: Row[Any]) -> Device:
    return Device.model_validate({**row._mapping, "status": status_of(row.service, row.online)})


def status_of(service: str, online: bool) -> DeviceStatus:
    """What an operator decided is worth more to a reader than that the worker is silent."""
    if service == "paused":
        return DeviceStatus.PAUSED
    if not online:
        return DeviceStatus.OFFLINE
    return DeviceStatus.DRAINING if service == "draining" else DeviceStatus.ONLINE
