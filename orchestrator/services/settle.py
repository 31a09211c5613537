"""Settle: one window came back. One transaction makes its outcomes true and sends what is next."""

import logging
from collections.abc import Mapping

from orchestrator.domain.window import next_size
from orchestrator.errors import Unavailable
from orchestrator.services.advance import take_step
from orchestrator.services.announce import announce_all
from orchestrator.services.core import Core
from orchestrator.services.outcomes import record, start_batch
from orchestrator.services.recall import recall
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from schemas import logs, trace
from schemas.task import Began, Canceled, Done, Failed, Settle

logger = logging.getLogger(__name__)


def settle(core: Core, message: Settle) -> None:
    """Harmless when it comes twice, late, or for a window that nobody knows any more.

    What came back counts even if the device's next step fails: that may be another's batch.
    """
    try:
        _settle(core, message, go_on=True)
    except Unavailable:
        raise
    except Exception:
        logger.exception("%s settles window %d alone", message.device, message.window)
        _settle(core, message, go_on=False)


def _settle(core: Core, message: Settle, *, go_on: bool) -> None:
    with core.transaction() as tx:
        device, journal = core.devices.lock_with_window(tx, message.device, message.window)
        if device is None:
            return
        staged_for = {} if journal is None else {message.window: journal}
        settle_locked(core, tx, device, message, staged_for, go_on=go_on)


def settle_locked(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    message: Settle,
    staged_for: Mapping[int, str],
    *,
    go_on: bool = True,
) -> None:
    """The device row is locked; `staged_for` maps its windows to the journal that they are for."""
    known = record(
        core, tx, device, message.outcomes, journal=message.journal, staged_for=staged_for
    )
    if known.returned:
        recall(core, tx, device, core.windows.in_flight(tx, device.id))
    seated = known.touched.get(device.seat) if device.seat else None
    if seated is not None:
        logs.note(project=seated.project_id, batch=seated.id)
        trace.note(project=seated.project_id, batch=seated.id)
    if seated is not None and seated.jobs_left:
        device = _adapted(core, tx, device, message)
    if go_on:
        take_step(core, tx, device, known=known.touched)
    announce_all(core, tx, known.touched.values())


def _adapted(core: Core, tx: Transaction, device: DeviceRow, message: Settle) -> DeviceRow:
    """The device with the window size that its last window suggests. A controller starts each
    job by itself, so that its windows stay at one."""
    if device.transport == "https":
        return device
    ran = [o for o in message.outcomes if isinstance(o, Done | Failed | Canceled)]
    if not ran:
        return device
    took = max(o.ended_at for o in ran) - min(o.began_at for o in ran)
    size = next_size(device.window_size, len(ran), took)
    if size == device.window_size:
        return device
    core.devices.set_window_size(tx, device.id, size)
    return device._replace(window_size=size)


def began(core: Core, message: Began) -> None:
    """A job has been running for a moment: show it. Its end may already have overtaken this."""
    with core.transaction() as tx:
        device = core.devices.lock_by_name(tx, message.device)
        if device is None:
            return
        touched = core.batches.lock_concerned(tx, device.id, device.seat, [message.job])
        if core.moves.start_job(tx, device.id, message.job, message.run, message.began_at):
            seated = touched.get(device.seat) if device.seat else None
            if seated is not None:
                start_batch(core, tx, device, seated, message.began_at)
        announce_all(core, tx, touched.values())
