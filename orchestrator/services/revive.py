"""Revive: a batch that was canceled or broke runs its unfinished jobs, under the same id."""

from uuid import UUID

from orchestrator.domain.transitions import BatchEvent
from orchestrator.errors import Conflict, NotFound
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.hold import hold
from orchestrator.services.place import place_later
from orchestrator.store.entries import SHARED
from orchestrator.store.transaction import Transaction


def revive(core: Core, tx: Transaction, project: UUID, batch: UUID) -> None:
    """Results that are there stay; jobs without one wait again, and are paid for anew."""
    row = core.batches.lock(tx, batch, project=project)
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    if row.device_type == SHARED:
        raise Conflict("these jobs take the results of others: submit them again instead")
    if core.devices.holders(tx, batch):
        raise Conflict("the batch still has a job on a device: revive it when that has ended")
    if core.moves.move_batch(tx, batch, BatchEvent.REVIVED) is None:
        raise Conflict(f"the batch is {row.status}: only CANCELED and ERROR can be revived")
    revived = core.moves.revive_jobs(tx, batch)
    hold(core, tx, project, batch, row.device_type, revived)
    place_later(core, tx, row.device_type, batch, row.lanes)
    announce(core, tx, project, batch)
