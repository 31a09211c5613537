"""Devices: what each type can do, and whether it is there."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from orchestrator.api.auth import core_of
from orchestrator.api.pasqal.callers import Reads
from orchestrator.api.pasqal.envelope import success
from orchestrator.errors import NotFound
from orchestrator.store import catalog
from orchestrator.store.listings_reading import reading

router = APIRouter(tags=["devices"])
STATUSES: Final = {True: "ACTIVE", False: "INACTIVE"}


@router.get("/api/v1/devices/specs")
def get_specs(caller: Reads) -> Response:
    """Each device type with its serialized Pulser device."""
    with reading(caller.core.engine) as connection:
        return success(catalog.specs(connection, public_only=False))


@router.get("/api/v1/devices/public-specs")
def get_public_specs(request: Request) -> Response:
    """The same for everybody, without a token."""
    with reading(core_of(request).engine) as connection:
        found = catalog.specs(connection, public_only=True)
    return success([{"device_type": name, "specs": spec} for name, spec in found.items()])


@router.get("/api/v1/devices/specs/{device_type}")
def get_spec(request: Request, device_type: str) -> Response:
    """One public type's, without a token, as QRMI asks for it."""
    with reading(core_of(request).engine) as connection:
        found = catalog.specs(connection, public_only=True)
    if device_type not in found:
        raise NotFound(f"there is no device type {device_type!r}; there are {', '.join(found)}")
    return success({"device_type": device_type, "specs": found[device_type]})


@router.get("/api/v1/devices")
def get_devices(
    request: Request, device_type: Annotated[list[str] | None, Query()] = None
) -> Response:
    """Whether the devices of a public type take work now, without a token, as QRMI asks."""
    with reading(core_of(request).engine) as connection:
        found = catalog.available(connection)
    return success(
        [
            {"device_type": name, "status": STATUSES[ready], "availability": STATUSES[ready]}
            for name, ready in found.items()
            if device_type is None or name in device_type
        ]
    )
