"""Silence: who is not heard goes offline; what it had begun waits for it, or is lost."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from orchestrator import counts
from orchestrator.domain.outcome import on_lost_of
from orchestrator.domain.transitions import BatchEvent
from orchestrator.errors import Unavailable
from orchestrator.services.advance import advance_all, requeue, take_step
from orchestrator.services.announce import announce_all
from orchestrator.services.core import Core
from orchestrator.services.hello import Session, adopt, clear_up
from orchestrator.services.outcomes import give_up
from orchestrator.services.recall import recall, revoke
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from orchestrator.store.watch import Silent, Watched
from schemas import logs
from schemas.task import Beat
from schemas.words import OnLost

logger = logging.getLogger(__name__)

LAG: Final = timedelta(seconds=1)
"""How much older `heard_at` may be than the last heartbeat that was read, to spare writes."""
STALE: Final = timedelta(seconds=2)
"""A window that nobody has held for this long is sent again."""


def listen(core: Core, rows: Sequence[Watched]) -> None:
    """Read every heartbeat; follow up what each says, and what the missing ones do not."""
    heard = core.permits.beats([row.name for row in rows])
    forgotten = core.permits.has_forgotten()
    ages = {row.id: heard[row.name].age_s for row in rows if row.name in heard}
    silent = _take_note(core, ages, forgotten=forgotten)
    for row in rows:
        beat = heard[row.name].beat if row.name in heard else None
        if beat is not None and not (row.online and row.session == beat.session):
            _alone(_meet, core, row.id, beat)
        elif beat is not None:
            _alone(_look_after, core, row, beat)
    counts.findings.labels("unheard").inc(len(silent.unheard))
    counts.findings.labels("gone").inc(len(silent.gone))
    for device in silent.unheard:
        _alone(go_offline, core, device)
    for device in silent.gone:
        _alone(let_go, core, device)


def _alone(part: Callable[..., None], *args: object) -> None:
    """What breaks for one device does not keep the others from being seen to. A server that is
    away is away for all."""
    try:
        part(*args)
    except Unavailable:
        raise
    except Exception:
        name = part.__name__.lstrip("_")
        counts.failures.labels(name).inc()
        logger.exception("sweep: %s failed", name)


def _take_note(core: Core, ages_s: Mapping[int, float], *, forgotten: bool) -> Silent:
    # Never before the lease is over that its worker counts from its last heartbeat.
    after = timedelta(seconds=core.settings.lease_s) + LAG
    with core.transaction() as tx:
        if core.watch.beats_read(tx, restart=forgotten):
            logger.warning("silence is counted anew: nobody had listened, or Redis has forgotten")
        core.devices.heard(tx, ages_s, lag=LAG)
        grace = timedelta(seconds=core.settings.grace_s)
        return core.watch.silent(tx, after=after, gone_after=after + grace)


def _meet(core: Core, device: int, beat: Beat) -> None:
    """Its hello was lost, or it was taken for silent: what it says now is as good."""
    with core.transaction() as tx:
        row = core.devices.lock(tx, device)
        if row is None or row.service == "retired" or row.type != beat.type:
            return
        # It was read a while ago: another may have the device by now.
        if core.permits.session_of(row.name) not in (None, beat.session):
            return
        session = Session(beat.session, beat.journal)
        adopted = adopt(core, tx, row, session)
        touched = clear_up(core, tx, adopted)
        take_step(core, tx, adopted)
        announce_all(core, tx, touched.values())


def _look_after(core: Core, row: Watched, beat: Beat) -> None:
    """A window staged a while ago and held by nobody: its message or its answer was lost. While
    its worker is at a later one, only the answer can be."""
    overtaken = beat.window is not None and row.oldest is not None and row.oldest < beat.window
    idle = beat.window is None and timedelta(seconds=beat.idle_s) >= STALE
    if row.oldest is None or not (idle or overtaken):
        return
    with core.transaction() as tx:
        device = core.devices.lock(tx, row.id)
        if device is None or device.session != beat.session:
            return
        flying = core.windows.in_flight(tx, device.id)
        stale = [window.id for window in flying if tx.at - window.sent_at >= STALE]
        if idle and stale:
            with logs.about(device=device.name, batch=device.seat):
                logger.info("%d windows of %s are recalled", len(flying), device.name)
            recall(core, tx, device, flying)
            tx.after_commit(lambda: counts.findings.labels("unheld").inc(len(flying)))
            take_step(core, tx, device)
        elif beat.window is not None and any(window < beat.window for window in stale):
            core.permits.have_greet(device.name)


def go_offline(core: Core, device: int) -> None:
    with core.transaction() as tx:
        row = core.devices.lock(tx, device)
        if row is None or not row.online:
            return
        core.devices.set_offline(tx, device)
        core.devices.log(tx, device, "offline", status="OFFLINE", batch=row.seat)
        flying = core.windows.in_flight(tx, device)
        announce_all(core, tx, revoke(core, tx, flying))


def let_go(core: Core, device: int) -> None:
    """The grace is over. A unique device is waited for; elsewhere the batch moves on."""
    with core.transaction() as tx:
        row = core.devices.lock(tx, device)
        if row is None or row.online:
            return
        pool = core.devices.pool_size(tx, row.type)
        retired = row.service == "retired"
        if on_lost_of(row.on_lost, pool) is OnLost.WAIT and not retired:
            return
        touched = give_up(core, tx, row, core.windows.in_flight(tx, device))
        if retired:
            take_step(core, tx, row)
        elif pool > 1:
            _leave_silent(core, tx, row)
        announce_all(core, tx, touched.values())


def _leave_silent(core: Core, tx: Transaction, device: DeviceRow) -> None:
    batch = None if device.seat is None else core.batches.lock(tx, device.seat)
    if batch is None or batch.device_name is not None:
        return
    core.devices.leave_seat(tx, device.id)
    others = core.devices.holders(tx, batch.id)
    if others:
        tx.after_commit(lambda: advance_all(core, others))
        return
    reason = f"device {device.name} fell silent"
    if core.moves.move_batch(tx, batch.id, BatchEvent.PREEMPTED, device=device.id, reason=reason):
        tx.after_commit(lambda: requeue(core, batch.id))
