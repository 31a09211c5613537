"""Rebatch: a new batch from those jobs of another that a filter names."""

from uuid import UUID

from orchestrator.domain.transitions import BATCH_ENDS
from orchestrator.errors import Conflict, Flaw, NotFound, Rejected
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.hold import hold
from orchestrator.services.place import place_later
from orchestrator.store.entries import SHARED
from orchestrator.store.jobs import NewJob, new_id
from orchestrator.store.transaction import Transaction
from schemas import logs, trace
from schemas.batch import RebatchIn


def rebatch(
    core: Core,
    tx: Transaction,
    project: UUID,
    user: UUID | None,
    batch: UUID,
    body: RebatchIn,
    *,
    key: UUID | None = None,
) -> UUID:
    """The new batch: a child of the given one, with everything else as it was."""
    row = core.batches.lock(tx, batch, project=project)
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    if row.device_type == SHARED:
        raise Conflict("these jobs take the results of others: submit them again instead")
    if row.open and row.status not in BATCH_ENDS:
        raise Conflict("the batch is open: close it first, or retry single jobs in it")
    chosen = core.jobs.filtered(tx, batch, body.filter)
    if not chosen and not body.open:
        raise Rejected([Flaw("filter", "names no job of this batch")])
    if len(chosen) > core.settings.max_batch_size:
        most = core.settings.max_batch_size
        raise Rejected([Flaw("filter", f"names {len(chosen)} jobs; at most {most} make a batch")])
    new = new_id()
    known = {"project": project, "batch": new}
    with (
        logs.about(**known),
        trace.span("submit", **known, device_type=row.device_type, jobs=len(chosen)),
    ):
        core.batches.insert_copy(
            tx, new, batch, user=user, key=key, is_open=body.open, name=body.name, jobs=len(chosen)
        )
        copies = [NewJob(job.payload, parent_id=job.id) for job in chosen]
        ids = core.jobs.insert(tx, new, project, copies)
        hold(core, tx, project, new, row.device_type, ids)
        announce(core, tx, project, new)
        place_later(core, tx, row.device_type, new, row.lanes)
    return new
