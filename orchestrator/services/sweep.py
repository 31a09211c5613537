"""Sweep: the safety net. Whatever a lost message or a dead process left undone is done here."""

import logging
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from orchestrator import counts
from orchestrator.domain.idle import is_idle
from orchestrator.domain.transitions import BatchEvent
from orchestrator.errors import Unavailable
from orchestrator.services.advance import advance, requeue, reseat
from orchestrator.services.announce import announce
from orchestrator.services.cancel import cancel_leftovers
from orchestrator.services.core import Core
from orchestrator.services.device import resume_batch
from orchestrator.services.extend import extend
from orchestrator.services.place import preempt, vacate
from orchestrator.services.silence import listen
from schemas import logs

logger = logging.getLogger(__name__)


def sweep(core: Core) -> None:
    """Each part stands alone: one that fails is logged and the others are still done."""
    try:
        with core.transaction() as tx:
            rows, due = core.watch.devices(tx), core.watch.due(tx)
    except Unavailable as error:
        logger.warning("sweep: %s", error)
        return
    # Deadlines first: to listen may take a while, where a device is locked by a process that froze.
    _each(core, ("idle", _time_out_idle, due.idle), ("overrun", _stop_overrun, due.overrun))
    _try(listen, core, rows)
    _each(
        core,
        ("preempted", requeue, due.preempted),
        ("resumable", resume_batch, due.resumable),
        ("unseated", reseat, due.unseated),
        ("stuck", advance, due.stuck),
        ("outranked", preempt, due.outranked),
        ("unheeded", _interrupt, due.unheeded),
        ("overheld", extend, due.overheld),
    )


def _each(core: Core, *parts: tuple[str, Callable[[Core, Any], object], Sequence[Any]]) -> None:
    for kind, part, things in parts:
        counts.findings.labels(kind).inc(len(things))
        for thing in things:
            with logs.about(batch=thing if isinstance(thing, UUID) else None):
                _try(part, core, thing)


def _try(part: Callable[..., object], *args: object) -> None:
    try:
        part(*args)
    except Unavailable as error:
        logger.warning("sweep: %s: %s", part.__name__, error)
    except Exception:
        counts.failures.labels(part.__name__.lstrip("_")).inc()
        logger.exception("sweep: %s failed", part.__name__)


def _interrupt(core: Core, unheeded: str) -> None:
    """Again: the first time, the broker may have been away, or have forgotten it since."""
    job, run = unheeded.split()
    core.permits.interrupt([(job, int(run))])


def _time_out_idle(core: Core, batch: UUID) -> None:
    with core.transaction() as tx:
        row = core.batches.lock(tx, batch)
        if row is None or not is_idle(row.open, row.jobs_left, row.idle_deadline, tx.at):
            return
        if core.moves.move_batch(tx, batch, BatchEvent.IDLED, reason="open and idle too long"):
            vacate(core, tx, core.devices.holders(tx, batch))
            announce(core, tx, row.project_id, batch)


def _stop_overrun(core: Core, batch: UUID) -> None:
    with core.transaction() as tx:
        row = core.batches.lock(tx, batch)
        if row is None or row.overrun_deadline is None or row.overrun_deadline >= tx.at:
            return
        why = "longer than its max_duration_s"
        if core.moves.move_batch(tx, batch, BatchEvent.OVERRAN, reason=why):
            cancel_leftovers(core, tx, batch, interrupt=True, reason="its batch timed out")
            vacate(core, tx, core.devices.holders(tx, batch))
            announce(core, tx, row.project_id, batch)
