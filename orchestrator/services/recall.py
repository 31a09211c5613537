"""Recall: windows on their way come back, because what is before them has to run first, or
because nobody answers for them.

What has not begun is staged again, in order. The rest is sent again, run for run: the journal
answers for what it has begun, and says of the others that they never were.
"""

from collections.abc import Sequence

from orchestrator.services.core import Core
from orchestrator.services.stage import send
from orchestrator.store.batches import BatchRow
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from orchestrator.store.windows import InFlight


def recall(core: Core, tx: Transaction, device: DeviceRow, flying: Sequence[InFlight]) -> None:
    """The device row is locked. Until these windows are settled nothing is staged behind them."""
    if not flying:
        return
    revoke(core, tx, flying)
    asked = {window.id for window in flying}
    left = core.windows.in_flight(tx, device.id)
    for window in left:
        if window.id in asked:
            # The journal must not forget what the oldest one out there will ask it for.
            _send_again(core, tx, device, window, settled_below=left[0].id)


def revoke(core: Core, tx: Transaction, flying: Sequence[InFlight]) -> list[BatchRow]:
    """The device row is locked. Whatever permit is still there is taken back; a job whose permit
    is gone has begun, or its permit was lost: its window stays.

    Returns the batches of these windows, locked.
    """
    found = [core.batches.lock(tx, batch) for batch in sorted({w.batch_id for w in flying})]
    waiting = [
        (job.id, job.run)
        for job in core.windows.jobs_of(tx, [window.id for window in flying])
        if job.status == "PENDING"
    ]
    taken = core.permits.take_back(waiting)
    if taken:
        core.windows.unstage(tx, [job for job, _ in taken])
    return [batch for batch in found if batch is not None]


def _send_again(
    core: Core, tx: Transaction, device: DeviceRow, window: InFlight, *, settled_below: int
) -> None:
    batch = core.batches.lock(tx, window.batch_id)
    if batch is None:
        return
    left = core.windows.content(tx, window.id)
    core.windows.mark_sent(tx, window.id, device.session or "")
    send(core, tx, device, batch, left, settled_below=settled_below, after=None)
