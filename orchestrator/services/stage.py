"""Stage: the next jobs of a batch, on their way to the device that it holds."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.window import MAX_IN_FLIGHT
from orchestrator.errors import Unavailable
from orchestrator.services.core import Core
from orchestrator.store.batches import BatchRow
from orchestrator.store.controllers import controller_of
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from orchestrator.store.windows import InFlight, Staged
from schemas import logs, trace
from schemas.task import PROJECT, JobTask, Window

logger = logging.getLogger(__name__)


def stage(
    core: Core, tx: Transaction, device: DeviceRow, batch: BatchRow, flying: list[InFlight]
) -> int | None:
    """Device and batch are locked. How many windows are on their way now that were not before;
    None: it cannot be said yet whether there is anything to stage.

    Nothing is staged behind a window that is being asked about, is of an earlier session or was
    interrupted: what became of that one must be known first, or jobs would begin out of order.
    """
    if any(w.session != device.session or w.sent_at != w.staged_at for w in flying):
        return None
    if any(window.interrupted for window in flying):
        return None
    began_ns = time.time_ns()
    staged: list[Staged] = []
    left = batch.jobs_left
    # What a controller may not begin yet would only be kept from its other lanes.
    room = 1 if device.transport == "https" else MAX_IN_FLIGHT
    for _ in range(room - len(flying)):
        more = core.windows.stage(tx, device, batch.id, device.window_size) if left > 0 else None
        if more is None:
            break
        staged.append(more)
        left -= len(more.jobs)
    if not staged:
        return 0
    known = {"batch": batch.id, "device": device.name}
    jobs = sum(len(window.jobs) for window in staged)
    with (
        logs.about(project=batch.project_id, **known),
        trace.span("stage", batch.trace or trace.NEW, began_ns, **known, jobs=jobs),
    ):
        return _hand_over(core, tx, device, batch, flying, staged)


def _hand_over(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    batch: BatchRow,
    flying: list[InFlight],
    staged: list[Staged],
) -> int | None:
    if not _grant(core, tx, staged):
        return None
    ids = [window.id for window in flying]
    for window in staged:
        below, after = min([*ids, window.window]), ids[-1] if ids else None
        send(core, tx, device, batch, window, settled_below=below, after=after, parent=trace.here())
        ids.append(window.window)
    return len(staged)


def _grant(core: Core, tx: Transaction, staged: list[Staged]) -> bool:
    """Permits are there before the commit, so that a cancel that comes after it finds them."""
    runs = [(str(job.id), job.run) for window in staged for job in window.jobs]
    try:
        core.permits.grant(runs)
    except Unavailable:
        logger.warning("no permits for %d jobs: the broker does not answer", len(runs))
        core.windows.unstage(tx, [job for job, _ in runs])
        return False
    return True


def send(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    batch: BatchRow,
    window: Staged,
    *,
    settled_below: int,
    after: int | None,
    parent: str | None = None,
) -> None:
    """After the commit. A controller fetches its work itself, and is only woken. `parent`: the
    trace that it continues, if it is not simply the batch's."""
    if device.transport == "https":
        controller = controller_of(device.type)
        tx.after_commit(lambda: core.streams.announce([(controller, batch.id)]))
        return
    message = message_of(core, tx, device, batch, window, settled_below=settled_below, after=after)
    headers = {PROJECT: str(batch.project_id)}
    if traced := parent or batch.trace:
        headers[trace.HEADER] = traced
    tx.after_commit(lambda: core.chains.send(message, headers))


def message_of(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    batch: BatchRow,
    window: Staged,
    *,
    settled_below: int,
    after: int | None,
) -> Window:
    return Window(
        window=window.window,
        device=device.name,
        session=device.session or "",
        fence=device.fence,
        batch=str(batch.id),
        shared=core.windows.shared_payload(tx, batch.id),
        jobs=[
            JobTask(
                job=str(job.id), run=job.run, ordinal=job.ordinal, payload=for_executor(job.payload)
            )
            for job in window.jobs
        ],
        settled_below=settled_below,
        after=after,
    )


def for_executor(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A job as its executor sees it: what the user put in `payload`, with `runs` and `variables`
    beside it."""
    beside = {name: value for name, value in stored.items() if name != "payload"}
    return {**stored.get("payload", {}), **beside}
