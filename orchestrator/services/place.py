"""Place: find a batch a device now, if there is one for it; if not, see whether it may take one."""

from collections.abc import Iterable
from uuid import UUID

from orchestrator.domain.seat import may_preempt
from orchestrator.services.advance import advance, take_step
from orchestrator.services.core import Core
from orchestrator.services.recall import revoke
from orchestrator.store.batches import Seated
from orchestrator.store.transaction import Transaction
from schemas import logs


def place(core: Core, device_type: str, batch: UUID, lanes: int) -> None:
    """Called after a batch began to wait. The sweep does the same a moment later."""
    with logs.about(batch=batch):
        _place(core, device_type, batch, lanes)


def _place(core: Core, device_type: str, batch: UUID, lanes: int) -> None:
    with core.transaction() as tx:
        vacant = core.devices.vacant(tx, device_type)
    for taken, device in enumerate(vacant, 1):
        advance(core, device)
        if taken >= lanes and not _waits(core, batch):
            return
    if _waits(core, batch):
        preempt(core, device_type)


def _waits(core: Core, batch: UUID) -> bool:
    with core.transaction() as tx:
        return core.batches.is_pending(tx, batch)


def place_later(core: Core, tx: Transaction, device_type: str, batch: UUID, lanes: int) -> None:
    tx.after_commit(lambda: place(core, device_type, batch, lanes))


def preempt(core: Core, device_type: str) -> None:
    """Ask one batch to give its seat to a strictly higher priority that waits: the lowest
    priority that allows it, and of those the youngest. It leaves at its next job boundary; until
    then no other is asked."""
    with core.transaction() as tx:
        candidates = core.batches.preemptible(tx, device_type)
    for seated in candidates:
        if not _goes_on(core, seated):
            return


def _goes_on(core: Core, seated: Seated) -> bool:
    """Whether another one is still to be asked. Each has a transaction of its own: who locks one
    device after another may meet somebody who comes the other way."""
    with core.transaction() as tx:
        device = core.devices.lock(tx, seated.device_id)
        if device is None or core.devices.any_yielding(tx, device.type):
            return False
        waiting = core.batches.top_priority(tx, device.type, device.name)
        outranked = may_preempt(preemptible=True, running=seated.priority, waiting=waiting)
        if device.seat != seated.batch_id or not outranked:
            return True
        core.devices.set_yielding(tx, device.id, True)
        revoke(core, tx, core.windows.in_flight(tx, device.id))
        take_step(core, tx, device._replace(yielding=True))
        return False


def vacate(core: Core, tx: Transaction, device_ids: Iterable[int]) -> None:
    """After the commit, let these devices see that their batch is over."""
    for device in device_ids:
        tx.after_commit(lambda d=device: advance(core, d))  # type: ignore[misc]
