"""Lanes: the devices of a controller, brought in line with who drives them and what is wanted."""

from orchestrator.domain.controller import journal_of, session_of
from orchestrator.services import device as devices
from orchestrator.services.advance import take_step
from orchestrator.services.announce import announce_all
from orchestrator.services.core import Core
from orchestrator.services.hello import Session, adopt, clear_up
from orchestrator.store import controllers
from orchestrator.store.controllers import ControllerRow, Lane
from orchestrator.store.listings_reading import reading

_TOO_MANY = "its controller runs fewer jobs at a time now"


def hear(core: Core, row: ControllerRow) -> None:
    """The controller has just spoken: its lanes are online, in its session. Harmless when
    repeated; what a dead process left undone is done by the next one that hears it."""
    with core.transaction() as tx:
        controllers.heard(tx, row)
        lanes = controllers.lanes_of(tx.connection, row.device_type)
    session = session_of(row.id, row.session)
    for lane in lanes:
        if not (lane.online and lane.session == session):
            _adopt(core, row, lane)
    _put_in_service(core, row, lanes)


def put_in_service(core: Core, row: ControllerRow) -> None:
    """Each lane as the state of its controller asks for."""
    with reading(core.engine) as connection:
        lanes = controllers.lanes_of(connection, row.device_type)
    _put_in_service(core, row, lanes)


def _put_in_service(core: Core, row: ControllerRow, lanes: list[Lane]) -> None:
    for lane in lanes:
        why = _TOO_MANY if lane.number >= row.lanes else row.reason or row.state
        wanted = "active" if row.state == "online" and lane.number < row.lanes else "paused"
        if lane.service == wanted:
            continue
        with core.transaction() as tx:
            if wanted == "active":
                devices.resume(core, tx, lane.name)
            else:
                devices.pause(core, tx, lane.name, why)


def _adopt(core: Core, row: ControllerRow, lane: Lane) -> None:
    """As if its worker had said hello. Not for a session that another has overtaken meanwhile."""
    with core.transaction() as tx:
        device = core.devices.lock(tx, lane.device)
        if device is None or device.service == "retired":
            return
        if controllers.state_of(tx, row.id, row.session) is None:
            return
        id, journal = session_of(row.id, row.session), journal_of(row.id, lane.number)
        session = Session(id, journal, host=row.name)
        adopted = adopt(core, tx, device, session)
        touched = clear_up(core, tx, adopted)
        take_step(core, tx, adopted)
        announce_all(core, tx, touched.values())
