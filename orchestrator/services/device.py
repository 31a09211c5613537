"""What an operator does with a device: pause, drain, interrupt, resume, retire."""

from typing import Final
from uuid import UUID

from orchestrator.domain.transitions import BatchEvent
from orchestrator.errors import Conflict, NotFound
from orchestrator.services.advance import advance, drain_if_over
from orchestrator.services.announce import announce, announce_all
from orchestrator.services.cancel import cancel_leftovers
from orchestrator.services.core import Core
from orchestrator.services.place import place_later
from orchestrator.services.recall import revoke
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from schemas.words import DrainWhen


def check_is_operators(core: Core, tx: Transaction, name: str) -> None:
    """Raises Conflict for the lane of a controller, which is in service as its controller is."""
    device = core.devices.lock_by_name(tx, name)
    if device is not None and device.transport != "celery":
        raise Conflict(f"{name} is a lane of a controller: pause or drain its compute target")


def pause(core: Core, tx: Transaction, name: str, reason: str) -> None:
    """Out of service from the next job boundary on; its batch is PAUSED until it is back."""
    device = _set(core, tx, name, "paused", reason)
    revoke(core, tx, core.windows.in_flight(tx, device.id))
    tx.after_commit(lambda: advance(core, device.id))


def drain(core: Core, tx: Transaction, name: str, reason: str) -> None:
    """The batch that it has runs to its end; it takes no other."""
    _set(core, tx, name, "draining", reason)


def interrupt(core: Core, tx: Transaction, name: str, reason: str) -> None:
    """Out of service now: what runs is stopped, and waits for another run of the same job. What
    has just ended counts."""
    device = _set(core, tx, name, "paused", reason)
    flying = core.windows.in_flight(tx, device.id)
    revoke(core, tx, flying)
    windows = [window.id for window in flying]
    begun = [(job.id, job.run) for job in core.windows.jobs_of(tx, windows)]
    if begun:
        core.windows.interrupt(tx, windows)
        tx.after_commit(lambda: core.permits.interrupt(begun))
    tx.after_commit(lambda: advance(core, device.id))


TAKE_OUT: Final = {
    DrainWhen.AFTER_JOB: pause,
    DrainWhen.AFTER_BATCH: drain,
    DrainWhen.NOW: interrupt,
}


def resume(core: Core, tx: Transaction, name: str) -> None:
    device = _set(core, tx, name, "active", None)
    for batch in core.batches.paused_for(tx, device.type, device.name):
        tx.after_commit(lambda b=batch: resume_batch(core, b))  # type: ignore[misc]
    tx.after_commit(lambda: advance(core, device.id))


def resume_batch(core: Core, batch: UUID) -> None:
    """Waits again, where its age puts it."""
    with core.transaction() as tx:
        row = core.batches.lock(tx, batch)
        if row is not None and core.moves.move_batch(tx, batch, BatchEvent.RESUMED):
            drain_if_over(core, tx, row)
            place_later(core, tx, row.device_type, batch, row.lanes)
            announce(core, tx, row.project_id, batch)


def retire(core: Core, tx: Transaction, name: str, reason: str) -> None:
    """Gone for good: the batch that holds only this device is in ERROR, and can be revived."""
    device = _set(core, tx, name, "retired", reason)
    revoke(core, tx, core.windows.in_flight(tx, device.id))
    seat = device.seat
    if seat is not None and core.devices.holders(tx, seat) == [device.id]:
        row = core.batches.lock(tx, seat)
        why = f"device {name} was retired: {reason}"
        if core.moves.move_batch(tx, seat, BatchEvent.BROKE, device=device.id, reason=why):
            cancel_leftovers(core, tx, seat, interrupt=True, reason=why)
        announce_all(core, tx, [row] if row is not None else [])
    tx.after_commit(lambda: advance(core, device.id))


def _set(core: Core, tx: Transaction, name: str, service: str, reason: str | None) -> DeviceRow:
    device = core.devices.lock_by_name(tx, name)
    if device is None or device.service == "retired":
        raise NotFound(f"there is no device {name!r}")
    detail = {"device": name, "reason": reason, "was": device.service}
    core.devices.set_service(tx, device.id, service, reason)
    core.devices.log(tx, device.id, service, detail=detail)
    return device
