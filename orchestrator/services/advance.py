"""The one step that a device takes, whoever asks: settle, submit, append, hello, sweep.

It looks at what is, not at what happened, so that a lost or doubled request changes nothing.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final
from uuid import UUID

from orchestrator.domain import seat as rules
from orchestrator.domain.idle import idle_deadline
from orchestrator.domain.seat import Step
from orchestrator.domain.transitions import BatchEvent
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.stage import stage
from orchestrator.store.batches import BatchRow
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from orchestrator.store.windows import InFlight
from schemas import logs
from schemas.words import BatchStatus

_LET_GO: Final = "its devices let go of it"


def advance(core: Core, device: int) -> None:
    """Let one device take its next step, in a transaction of its own."""
    with core.transaction() as tx:
        row = core.devices.lock(tx, device)
        if row is not None:
            with logs.about(device=row.name, batch=row.seat):
                take_step(core, tx, row)


def advance_all(core: Core, device_ids: Iterable[int]) -> None:
    for device in device_ids:
        advance(core, device)


def take_step(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    *,
    known: Mapping[UUID, BatchRow] = MappingProxyType({}),
) -> None:
    """The device row is locked. Leaves the seat if it is time to, then fills it if it is free.

    `known` are batches that are locked already, as they are now.
    """
    if device.seat is not None:
        batch = known.get(device.seat) or core.batches.lock(tx, device.seat)
        flying = core.windows.in_flight(tx, device.id)
        if batch is None or not _serve(core, tx, device, batch, flying):
            return
    usable = device.online and device.service == "active" and device.session is not None
    if not (usable and _admit(core, tx, device)) and device.seat is not None:
        core.devices.leave_seat(tx, device.id)


def _serve(
    core: Core, tx: Transaction, device: DeviceRow, batch: BatchRow, flying: list[InFlight]
) -> bool:
    """True when the seat is free afterwards."""
    step = rules.next_step(_seat(core, tx, device, batch, flying))
    if step in (Step.WAIT, Step.IDLE, Step.STAGE):
        return _stay(core, tx, device, batch, flying, step)
    if step is Step.DRAIN:
        core.moves.move_batch(tx, batch.id, BatchEvent.DRAINED, device=device.id)
    _leave(core, tx, device, batch, step)
    return True


def _seat(
    core: Core, tx: Transaction, device: DeviceRow, batch: BatchRow, flying: list[InFlight]
) -> rules.Seat:
    return rules.Seat(
        status=BatchStatus(batch.status),
        open=batch.open,
        jobs_left=batch.jobs_left,
        in_flight=len(flying),
        paused=device.service in ("paused", "retired"),
        online=device.online,
        outranked=device.yielding and _outranked(core, tx, device, batch),
    )


def _outranked(core: Core, tx: Transaction, device: DeviceRow, batch: BatchRow) -> bool:
    waiting = core.batches.top_priority(tx, device.type, device.name)
    outranked = rules.may_preempt(
        preemptible=batch.preemptible, running=batch.priority, waiting=waiting
    )
    if not outranked:
        core.devices.set_yielding(tx, device.id, False)
    return outranked


def _stay(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    batch: BatchRow,
    flying: list[InFlight],
    step: Step,
) -> bool:
    if step is Step.IDLE and batch.idle_deadline is None:
        deadline = idle_deadline(tx.at, batch.idle_timeout_s)
        core.batches.set_idle_deadline(tx, batch.id, deadline)
    if step is Step.STAGE:
        staged = stage(core, tx, device, batch, flying)
        if staged == 0 and not flying and batch.lanes > 1 and not batch.open:
            _leave(core, tx, device, batch, Step.LEAVE)
            return True
    return False


def _leave(core: Core, tx: Transaction, device: DeviceRow, batch: BatchRow, step: Step) -> None:
    """What leaving means for the batch; the seat itself goes to whoever comes next."""
    holders = core.devices.holders(tx, batch.id) if batch.lanes > 1 else []
    others = [holder for holder in holders if holder != device.id]
    if others:
        # The other lanes of a batch that is over let go by their own step.
        tx.after_commit(lambda: advance_all(core, others))
        return
    if step is Step.PAUSE:
        why = _why(device)
        core.moves.move_batch(tx, batch.id, BatchEvent.PAUSED, device=device.id, reason=why)
    if step is Step.YIELD:
        core.moves.move_batch(tx, batch.id, BatchEvent.PREEMPTED, device=device.id)
        tx.after_commit(lambda: requeue(core, batch.id))


def _why(device: DeviceRow) -> str:
    return (
        f"device {device.name} was taken out of service: {device.service_reason or device.service}"
    )


def _admit(core: Core, tx: Transaction, device: DeviceRow) -> bool:
    """True when the seat has been given away."""
    batch = core.batches.next_for(tx, device.type, device.name)
    if batch is None or _has_all_lanes(core, tx, batch):
        return False
    fence = core.devices.take_seat(tx, device.id, batch.id)
    detail = {"device": device.name, "fence": fence}
    if batch.status == BatchStatus.PENDING:
        core.moves.move_batch(tx, batch.id, BatchEvent.ADMITTED, device=device.id, detail=detail)
        batch = batch._replace(status=BatchStatus.ADMITTED)
    else:
        core.devices.log(tx, device.id, "joined", batch=batch.id, detail=detail)
    seated = device._replace(seat=batch.id, fence=fence, yielding=False, window_size=1)
    announce(core, tx, batch.project_id, batch.id)
    if _serve(core, tx, seated, batch, []):
        core.devices.leave_seat(tx, device.id)
    return True


def _has_all_lanes(core: Core, tx: Transaction, batch: BatchRow) -> bool:
    """Counted again now that the batch is locked: another device may just have joined it."""
    seated = batch.status != BatchStatus.PENDING
    return seated and len(core.devices.holders(tx, batch.id)) >= batch.lanes


def requeue(core: Core, batch: UUID) -> None:
    """A preempted batch waits again, at the front of its priority: its age has not changed."""
    with core.transaction() as tx:
        row = core.batches.lock(tx, batch)
        if row is not None and core.moves.move_batch(tx, batch, BatchEvent.REQUEUED):
            drain_if_over(core, tx, row)
            announce(core, tx, row.project_id, batch)
            vacant = core.devices.vacant(tx, row.device_type)
            tx.after_commit(lambda: advance_all(core, vacant))


def drain_if_over(core: Core, tx: Transaction, batch: BatchRow) -> None:
    """Its last job may have been canceled while it could not be done."""
    if batch.jobs_left == 0 and not batch.open:
        core.moves.move_batch(tx, batch.id, BatchEvent.DRAINED)


def reseat(core: Core, batch: UUID) -> None:
    """A batch that nobody holds any more is done if nothing is left of it, or waits again."""
    with core.transaction() as tx:
        row = core.batches.lock(tx, batch)
        if row is None or core.devices.holders(tx, batch):
            return
        if row.jobs_left == 0 and not row.open:
            core.moves.move_batch(tx, batch, BatchEvent.DRAINED)
        elif core.moves.move_batch(tx, batch, BatchEvent.PREEMPTED, reason=_LET_GO):
            tx.after_commit(lambda: requeue(core, batch))
        announce(core, tx, row.project_id, batch)
