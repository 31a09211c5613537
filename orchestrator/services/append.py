"""Append: more jobs for an open batch. If it holds a device, they are on their way at once."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.domain.transitions import BATCH_ENDS
from orchestrator.errors import BatchClosed, NotFound, Rejected
from orchestrator.services.admission import check_count, check_jobs, facts_of, new_jobs
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.hold import hold
from orchestrator.services.place import place_later, vacate
from orchestrator.store import catalog
from orchestrator.store.batches import BatchRow
from orchestrator.store.jobs import NewJob
from orchestrator.store.transaction import Transaction
from schemas.job import JobIn


def append(
    core: Core, tx: Transaction, project: UUID, batch: UUID, new: Sequence[JobIn]
) -> list[UUID]:
    """The new jobs, in the order given."""
    row = open_batch(core, tx, project, batch)
    flaws = check_count(len(new), core.settings, least=1)
    kind = catalog.device_type(tx, row.device_type, project)
    if not flaws and kind is not None:
        shared = core.windows.shared_payload(tx, batch)
        flaws = check_jobs(new, facts_of(shared, kind, core.settings), kind, core.settings)
    if flaws:
        raise Rejected(flaws)
    return add(core, tx, row, new_jobs(new))


def retry(core: Core, tx: Transaction, project: UUID, job: UUID) -> UUID:
    """A new job in the same open batch, with what the given one had. Returns the new job."""
    found = core.jobs.get(tx, project, job)
    if found is None:
        raise NotFound(f"there is no job {job}")
    row = open_batch(core, tx, project, found.batch_id)
    return add(core, tx, row, [NewJob(found.payload, parent_id=job)])[0]


def open_batch(core: Core, tx: Transaction, project: UUID, batch: UUID) -> BatchRow:
    row = core.batches.lock(tx, batch, project=project)
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    if row.status in BATCH_ENDS:
        raise BatchClosed(f"the batch is {row.status}: it takes no more jobs; rebatch instead")
    if not row.open:
        raise BatchClosed("the batch is closed: it takes no more jobs; rebatch instead")
    return row


def add(core: Core, tx: Transaction, row: BatchRow, new: Sequence[NewJob]) -> list[UUID]:
    """What has been found right, for a batch that is locked and open."""
    ids = core.jobs.add(tx, row, new)
    hold(core, tx, row.project_id, row.id, row.device_type, ids)
    vacate(core, tx, core.devices.holders(tx, row.id))
    if row.lanes > 1:
        place_later(core, tx, row.device_type, row.id, row.lanes)
    announce(core, tx, row.project_id, row.id)
    return ids
