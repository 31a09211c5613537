"""Start: the one moment from which a job runs on a controller.

The decision is made in Postgres, under the locks that every canceller takes too. The permit is
taken as well, so that whoever looks for it there finds it gone.
"""

from datetime import datetime, timedelta

from orchestrator.domain.controller import Assignment, was_offered
from orchestrator.domain.transitions import BatchEvent
from orchestrator.errors import Conflict, Gone
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.remote.finding import find, stale
from orchestrator.store import assignments
from orchestrator.store.assignments import Assigned
from orchestrator.store.batches import BatchRow
from orchestrator.store.controllers import ControllerRow, state_of
from orchestrator.store.transaction import Transaction


def start(core: Core, row: ControllerRow, named: Assignment, epoch: int) -> datetime:
    """By when the job has to be over. Again, for a start whose answer was lost. Raises NotFound,
    Conflict, or Gone for a job that is canceled."""
    with core.transaction() as tx:
        known = find(tx, row, named)
        device = None if known.device_id is None else core.devices.lock(tx, known.device_id)
        batch = core.batches.lock(tx, known.batch_id)
        found = find(tx, row, named)
        if found.status == "CANCELED" or (found.status == "PENDING" and found.unwanted):
            raise Gone("the job was canceled before it began")
        if device is None or batch is None or found.device_id != device.id:
            raise stale(found, epoch)
        if _has_moved_on(tx, row) or not was_offered(found.offer, row.session):
            raise Conflict("acquire it first: it was not given to this session")
        if epoch != found.run or named.run != found.run:
            raise stale(found, epoch)
        if found.status == "PENDING":
            _begin(core, tx, batch, found)
        at = found.started_at or tx.at
    return at + timedelta(seconds=core.settings.job_wall_s)


def _has_moved_on(tx: Transaction, row: ControllerRow) -> bool:
    """Somebody took the name since this request was let in."""
    return state_of(tx, row.id, row.session) is None


def _begin(core: Core, tx: Transaction, batch: BatchRow, found: Assigned) -> None:
    if not found.first:
        raise Conflict("the jobs of a lane are run one after another: an earlier one is not over")
    assert found.window is not None and found.device_id is not None
    core.permits.take_back([(found.job, found.run)])
    assignments.lease(tx, found.window, tx.at + timedelta(seconds=core.settings.controller_lease_s))
    core.moves.start_job(tx, found.device_id, found.job, found.run, tx.at.timestamp())
    core.moves.move_batch(tx, batch.id, BatchEvent.STARTED, device=found.device_id)
    announce(core, tx, batch.project_id, batch.id)
