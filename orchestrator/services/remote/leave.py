"""How a controller goes: by itself, or because its owner removes it."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.errors import Conflict, NotFound
from orchestrator.services import device as devices
from orchestrator.services.cancel import cancel_batch
from orchestrator.services.core import Core
from orchestrator.services.remote.lanes import put_in_service
from orchestrator.services.remote.tend import forsake
from orchestrator.store import controllers
from orchestrator.store.controllers import ControllerRow
from orchestrator.store.transaction import Transaction


def deregister(core: Core, row: ControllerRow) -> None:
    """It said good-bye: what it still ran begins again once the name is back. Not if that is back
    already, in other hands: what goes on there is not its own."""
    with core.transaction() as tx:
        left = controllers.leave(tx, row, removed=False)
    if left:
        forsake(core, row)


def set_state(core: Core, project: UUID, name: str, state: str, reason: str | None) -> None:
    """`paused` and `draining`: what runs is left to end, nothing else begins; a controller that
    drains then leaves. `online`: it takes work again. Raises NotFound."""
    with core.transaction() as tx:
        row = _locked(tx, project, name)
        controllers.set_state(tx, row.id, state, reason)
    put_in_service(core, row._replace(state=state, reason=reason))
    core.streams.announce([(row.id, row.id)])


def remove(core: Core, project: UUID, name: str, *, force: bool) -> None:
    """Gone for good; its name is free. Raises Conflict while it has jobs, unless they may be
    canceled."""
    with core.transaction() as tx:
        row = _locked(tx, project, name)
        left = controllers.jobs_left(tx.connection, row)
        if left and not force:
            raise Conflict(
                f"{name} has {left} jobs that are not over; cancel them first, or say force=true"
            )
        batches = controllers.open_batches(tx.connection, row)
        controllers.leave(tx, row, removed=False)
    _empty(core, row, batches)
    # Only now: whoever meets a half of this can ask for it again.
    while batches := _gone_unless_used(core, project, name):
        _empty(core, row, batches)
    with core.transaction() as tx:
        lanes = controllers.lanes_of(tx.connection, row.device_type)
    for lane in lanes:
        with core.transaction() as tx:
            devices.retire(core, tx, lane.name, f"{name} was removed")


def _empty(core: Core, row: ControllerRow, batches: Sequence[UUID]) -> None:
    for batch in batches:
        _cancel(core, row.project_id, batch)
    forsake(core, row)


def _gone_unless_used(core: Core, project: UUID, name: str) -> list[UUID]:
    """The batches that were submitted to it meanwhile; none: it is gone."""
    with core.transaction() as tx:
        row = _locked(tx, project, name)
        batches = controllers.open_batches(tx.connection, row)
        if not batches:
            controllers.leave(tx, row, removed=True)
        return batches


def _cancel(core: Core, project: UUID, batch: UUID) -> None:
    try:
        with core.transaction() as tx:
            cancel_batch(core, tx, project, batch, interrupt=True)
    except Conflict:
        return


def _locked(tx: Transaction, project: UUID, name: str) -> ControllerRow:
    row = controllers.lock(tx, project, name)
    if row is None:
        raise NotFound(f"there is no compute target {name!r} of yours")
    return row
