"""Close: an open batch takes no more jobs, and ends when those it has are over."""

from uuid import UUID

from orchestrator.domain.transitions import BATCH_ENDS, BatchEvent
from orchestrator.errors import Conflict, NotFound
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.place import vacate
from orchestrator.store.transaction import Transaction


def close(core: Core, tx: Transaction, project: UUID, batch: UUID) -> None:
    """Closing a closed batch changes nothing; closing one that is over is a conflict."""
    row = core.batches.lock(tx, batch, project=project)
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    if row.status in BATCH_ENDS and row.open:
        raise Conflict(f"the batch is {row.status}: it is over and cannot be closed")
    if not row.open:
        return
    core.batches.close(tx, batch)
    holders = core.devices.holders(tx, batch)
    if row.jobs_left == 0:
        # Here and now, so that whoever closed it reads DONE; its devices see so at their next step.
        core.moves.move_batch(tx, batch, BatchEvent.DRAINED)
    vacate(core, tx, holders)
    announce(core, tx, project, batch)
