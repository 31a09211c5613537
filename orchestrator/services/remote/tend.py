"""Tend: the part of the sweep that looks after users' controllers.

Every decision is made anew under the lock of the lane: between the look and the lock a heartbeat,
an end or a start may have come in.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from orchestrator.domain.controller import is_later, is_lost_for_good
from orchestrator.errors import Unavailable
from orchestrator.services.core import Core
from orchestrator.services.outcomes import AnyOutcome
from orchestrator.services.remote.endings import CONTROLLER_LOST, PAST_DEADLINE
from orchestrator.services.settle import settle_locked
from orchestrator.services.silence import go_offline, let_go
from orchestrator.store import assignments, controllers
from orchestrator.store.assignments import Assigned
from orchestrator.store.controllers import ControllerRow
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from schemas import logs
from schemas.controller import GRACE_S
from schemas.task import Failed, Lost, Settle, Skipped

logger = logging.getLogger(__name__)

Judge = Callable[[Core, Transaction, DeviceRow, Assigned], AnyOutcome | None]


def tend(core: Core) -> None:
    """Jobs first, so that nothing is left that a silent lane could take with it unjudged."""
    silent_after = timedelta(seconds=core.settings.controller_lease_s + 1)
    try:
        with core.transaction() as tx:
            due = assignments.due(tx, _wall(core))
            silent = controllers.silent(tx, silent_after)
    except Unavailable as error:
        logger.warning("controllers are not looked after: %s", error)
        return
    for job, device_type in due:
        with logs.about(job=job):
            _try(end_job, core, job, device_type, _judged)
    for device in silent:
        _try(_fall_silent, core, device, silent_after)


def _try(part: Callable[..., object], *args: object) -> None:
    try:
        part(*args)
    except Unavailable as error:
        logger.warning("controllers: %s: %s", part.__name__, error)
    except Exception:
        logger.exception("controllers: %s failed", part.__name__)


def end_job(core: Core, job: str, device_type: str, judge: Judge) -> None:
    """Give the job, if it is still on a lane, the outcome that `judge` finds."""
    with core.transaction() as tx:
        known = assignments.find(tx, device_type, [job]).get(job)
        if known is None or known.device_id is None:
            return
        device = core.devices.lock(tx, known.device_id)
        found = assignments.find(tx, device_type, [job])[job]
        if device is None or found.device_id != device.id or found.window is None:
            return
        outcome = judge(core, tx, device, found)
        if outcome is None:
            return
        journal = found.journal or ""
        message = Settle(
            window=found.window,
            device=device.name,
            session=found.session or "",
            journal=journal,
            outcomes=[outcome],
        )
        settle_locked(core, tx, device, message, {found.window: journal})


def _judged(core: Core, tx: Transaction, device: DeviceRow, found: Assigned) -> AnyOutcome | None:
    if found.status == "PENDING":
        # Only a start under this lock could begin it, and it did not.
        idle = device.service == "paused" or not device.online
        never = Skipped(job=found.job, run=found.run, gone=True)
        return never if found.unwanted or idle else None
    if found.started_at is not None and tx.at > found.started_at + _wall(core):
        why = f"{PAST_DEADLINE} of {core.settings.job_wall_s:g} s"
        return _failed(tx, found, why)
    if found.window is not None and assignments.has_lapsed(tx, found.window):
        return lost(core, tx, device, found)
    return None


def lost(core: Core, tx: Transaction, device: DeviceRow, found: Assigned) -> AnyOutcome | None:
    """Nobody is heard of it any more: it runs again, unless that has happened too often."""
    silent = assignments.losses(tx, found.batch_id, found.job).silent + 1
    if is_lost_for_good(silent):
        return _failed(tx, found, f"{CONTROLLER_LOST} {silent} times while it ran")
    return Lost(job=found.job, run=found.run)


def _failed(tx: Transaction, found: Assigned, why: str) -> Failed:
    began = (found.started_at or tx.at).timestamp()
    ended = max(began, tx.at.timestamp())
    return Failed(job=found.job, run=found.run, began_at=began, ended_at=ended, reason=why)


def _wall(core: Core) -> timedelta:
    return timedelta(seconds=core.settings.job_wall_s + GRACE_S)


def _fall_silent(core: Core, device: int, after: timedelta) -> None:
    with core.transaction() as tx:
        row = core.devices.lock(tx, device)
        if row is None or (row.online and row.heard_at and row.heard_at >= tx.at - after):
            return
    go_offline(core, device)
    let_go(core, device)


def forsake(core: Core, row: ControllerRow) -> None:
    """It is gone for good, or has said good-bye: nothing is waited for. What a later session has
    taken over meanwhile is left to that one."""

    def judge(core: Core, tx: Transaction, device: DeviceRow, found: Assigned) -> AnyOutcome | None:
        later = is_later(found.session, row.session)
        return None if later else lost(core, tx, device, found)

    with core.transaction() as tx:
        running = assignments.running(tx, row.device_type)
        lanes = controllers.lanes_of(tx.connection, row.device_type)
    for job in running:
        end_job(core, job, row.device_type, judge)
    for lane in lanes:
        if not is_later(lane.session, row.session):
            go_offline(core, lane.device)
            let_go(core, lane.device)
