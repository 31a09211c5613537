"""Revive: a batch that was canceled or broke runs its unfinished jobs, under the same id."""

from uuid import UUID

from orchestrator.domain.transitions import BatchEvent
from orchestrator.errors import Conflict, NotFound
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.place import place_later
from orchestrator.store.transaction import Transaction


def revive(core: Core, tx: Transaction, project: UUID, batch: UUID) -> None:
    """Results that are there stay; jobs without one wait again."""
    row = core.batches.lock(tx, batch, project=project)
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    if core.devices.holders(tx, batch):
        raise Conflict("the batch still has a job on a device: revive it when that has ended")
    if core.moves.move_batch(tx, batch, BatchEvent.REVIVED) is None:
        raise Conflict(f"the batch is {row.status}: only CANCELED and ERROR can be revived")
    core.moves.revive_jobs(tx, batch)
    place_later(core, tx, row.device_type, batch, row.lanes)
    announce(core, tx, project, batch)
