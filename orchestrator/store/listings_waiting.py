"""Why a batch waits, in words that its user can act upon."""

from collections.abc import Sequence
from typing import Final, TypedDict

from orchestrator.store.entries import SHARED

NAMED: Final = 3


class PoolDevice(TypedDict):
    name: str
    service: str
    reason: str | None
    online: bool


def why_waiting(device_type: str, pinned: str | None, pool: Sequence[PoolDevice]) -> str | None:
    """None while some device could take it: then it only waits for its turn."""
    if device_type == SHARED:
        return "its jobs wait for the results of their twins"
    if any(device["service"] == "active" and device["online"] for device in pool):
        return None
    if not pool:
        return (
            f"there is no device {pinned} any more"
            if pinned
            else (f"there is no device of type {device_type}")
        )
    if all(device["service"] == "active" for device in pool):
        return (
            f"device {pinned} is not online"
            if pinned
            else (f"no device of type {device_type} is online")
        )
    more = f" (and {len(pool) - NAMED} more)" if len(pool) > NAMED else ""
    return "; ".join(_state(device) for device in pool[:NAMED]) + more


def _state(device: PoolDevice) -> str:
    if device["service"] == "active":
        return f"device {device['name']} is not online"
    reason = f": {device['reason']}" if device["reason"] else ""
    return f"device {device['name']} is {device['service']}{reason}"
