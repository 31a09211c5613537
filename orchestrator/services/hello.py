"""Hello: a worker has taken its device's session. What the former one left is cleared up."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from orchestrator.services.advance import take_step
from orchestrator.services.announce import announce_all
from orchestrator.services.core import Core
from orchestrator.services.outcomes import give_up, record
from orchestrator.services.recall import recall, revoke
from orchestrator.store.batches import BatchRow
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from orchestrator.store.windows import InFlight
from schemas.task import Hello

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """Who drives a device from now on; the journal outlives sessions."""

    id: str
    journal: str
    host: str | None = None
    versions: Mapping[str, str] | None = None


def hello(core: Core, message: Hello) -> None:
    """Harmless when repeated: outcomes that were settled long ago change nothing."""
    with core.transaction() as tx:
        core.devices.register(tx, message.device, message.type, message.executor)
        device = core.devices.lock_by_name(tx, message.device)
        if device is None or not _welcome(core, device, message):
            return
        versions = {**message.versions, "executors": ", ".join(message.executors)}
        session = Session(message.session, message.journal, message.host, versions)
        staged_for = {w.id: w.journal for w in core.windows.in_flight(tx, device.id)}
        adopted = adopt(core, tx, device, session)
        known = record(
            core, tx, adopted, message.outcomes, journal=message.journal, staged_for=staged_for
        )
        touched = known.touched | clear_up(core, tx, adopted)
        take_step(core, tx, adopted)
        announce_all(core, tx, touched.values())


def _welcome(core: Core, device: DeviceRow, message: Hello) -> bool:
    if core.permits.session_of(device.name) not in (None, message.session):
        # An old hello, overtaken by that of a newer session.
        return False
    remote = device.transport != "celery"
    if remote or device.service == "retired" or device.type != message.type:
        logger.error(
            "worker %s of device %s is refused: the device is %s of type %s, not %s",
            message.session,
            device.name,
            device.service,
            device.type,
            message.type,
        )
        return False
    return True


def adopt(core: Core, tx: Transaction, device: DeviceRow, session: Session) -> DeviceRow:
    """The device as it is with this session; logged when it was not online with it before."""
    if not device.online or device.session != session.id:
        before = "online" if device.online else "new" if device.session is None else "offline"
        detail = {"device": device.name, "was": before}
        core.devices.log(tx, device.id, "online", status="ONLINE", detail=detail)
    core.devices.take_session(
        tx,
        device.id,
        session=session.id,
        journal=session.journal,
        host=session.host,
        versions=session.versions,
    )
    tx.after_commit(lambda: core.permits.meet(device.name, session.id))
    return device._replace(online=True, session=session.id, journal=session.journal)


def clear_up(core: Core, tx: Transaction, device: DeviceRow) -> dict[UUID, BatchRow]:
    """Windows of an earlier session: with the same journal they are recalled, and it answers for
    what was begun; with another one, what was begun is lost."""
    earlier = [w for w in core.windows.in_flight(tx, device.id) if w.session != device.session]
    ours = [window for window in earlier if window.journal == device.journal]
    others: Sequence[InFlight] = [w for w in earlier if w.journal != device.journal]
    touched: dict[UUID, BatchRow] = {}
    if others:
        revoke(core, tx, others)
        touched = give_up(core, tx, device, others)
    recall(core, tx, device, ours)
    return touched
