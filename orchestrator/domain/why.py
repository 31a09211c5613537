"""Why a batch is where it is: reasons for programs, and one sentence for its user.

A device of the pool tells what everybody may know of it: whose batch it holds is not among that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

DEVICES_MOST: Final = 20
Reason = dict[str, Any]
"""`code`, and facts beside it."""


@dataclass(frozen=True, slots=True)
class PoolDevice:
    """`idle_deadline`: of the open batch that holds it, for that one's own project only."""

    name: str
    service: str
    reason: str | None
    online: bool
    busy: bool
    held_open: bool
    idle_deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """`ahead`: None where it has no place in the queue. `free`: devices that could take it now."""

    device_type: str
    pinned: str | None
    lanes: int
    ahead: int | None
    higher_priority: int
    learned: bool
    is_twin: bool = False


def reasons(wait: Wait, pool: Sequence[PoolDevice]) -> list[Reason]:
    """The queue first, then the devices, then what is not known."""
    if wait.is_twin:
        return [{"code": "twin"}]
    found: list[Reason] = []
    if wait.ahead is not None:
        queued = {"ahead": wait.ahead, "higher_priority": wait.higher_priority}
        found.append({"code": "queued", **queued})
    if wait.pinned is not None:
        found.append({"code": "pinned", "device": wait.pinned})
    if not pool:
        found.append({"code": "no_device", "device_type": wait.device_type})
    found += of_devices(pool)
    if wait.lanes > 1:
        free = sum(_of_device(device) is None for device in pool)
        found.append({"code": "lanes", "wants": wait.lanes, "free": free})
    if not wait.learned:
        found.append({"code": "not_learned", "device_type": wait.device_type})
    return found


def of_devices(pool: Sequence[PoolDevice]) -> list[Reason]:
    """Of those that take no batch now."""
    return [why for device in pool if (why := _of_device(device))][:DEVICES_MOST]


def _of_device(device: PoolDevice) -> Reason | None:
    """None: it could take a batch now."""
    if device.service in ("paused", "draining"):
        code = f"device_{device.service}"
        return {"code": code, "device": device.name, "reason": device.reason}
    if not device.online:
        return {"code": "device_offline", "device": device.name}
    if device.held_open:
        named = {"device": device.name, "idle_deadline": device.idle_deadline}
        return {"code": "held_by_open_batch", **named}
    return {"code": "device_busy", "device": device.name} if device.busy else None


def sentence(found: Sequence[Reason], pool: Sequence[PoolDevice]) -> str:
    """For a batch that some device could take: it waits for its turn."""
    by_code = {each["code"]: each for each in found}
    parts = []
    if queued := by_code.get("queued"):
        parts.append(_queued(queued["ahead"], queued["higher_priority"]))
    parts.append(_devices(pool))
    if "not_learned" in by_code:
        parts.append("nothing of its type has been run yet to estimate by")
    return "; ".join(part for part in parts if part)


def _queued(ahead: int, higher: int) -> str:
    if ahead == 0:
        return "it is next"
    batches = "1 batch is" if ahead == 1 else f"{ahead} batches are"
    return f"{batches} ahead of it" + (f", {higher} of a higher priority" if higher else "")


def _devices(pool: Sequence[PoolDevice]) -> str:
    usable = [device for device in pool if device.service == "active" and device.online]
    if not usable or any(not device.busy for device in usable):
        return ""
    if len(usable) > 1:
        return f"all {len(usable)} devices that could take it are busy"
    (device,) = usable
    if not device.held_open:
        return f"device {device.name} is busy"
    until = device.idle_deadline
    clock = f", which times out at {until:%Y-%m-%d %H:%M:%S %Z} if left idle" if until else ""
    return f"device {device.name} is held by an open batch{clock}"
