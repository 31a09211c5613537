"""Cancel: a job, filtered jobs, a batch, many batches.

Before its start a job is canceled for certain: it was never staged, or its permit is taken back.
After that it runs: it is left to end, or killed on the device if the caller asks for that.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from orchestrator.domain.transitions import JOB_ENDS, BatchEvent
from orchestrator.errors import Conflict, NotFound
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.place import vacate
from orchestrator.store.batches import BatchRow
from orchestrator.store.jobs import JobRow
from orchestrator.store.transaction import Transaction
from schemas.job import JobFilter
from schemas.words import JobStatus

Verdicts = list[tuple[UUID, str]]
LEFT: Final = JobFilter(statuses=[word for word in JobStatus if word not in JOB_ENDS])


def cancel_batch(
    core: Core, tx: Transaction, project: UUID, batch: UUID, *, interrupt: bool
) -> None:
    """Its waiting jobs never begin. Without `interrupt`, what runs now is left to end."""
    row = _own(core, tx, project, batch)
    if core.moves.move_batch(tx, batch, BatchEvent.CANCELED) is None:
        raise Conflict(f"the batch is {row.status}: it is over and cannot be canceled")
    cancel_leftovers(core, tx, batch, interrupt=interrupt)
    vacate(core, tx, core.devices.holders(tx, batch))
    announce(core, tx, project, batch)


def cancel_batches(
    core: Core, tx: Transaction, project: UUID, ids: Sequence[UUID], *, interrupt: bool
) -> Verdicts:
    """One verdict per entry, in the order given. Locks are taken in the order of ids."""
    verdicts: dict[UUID, str] = {}
    for batch in sorted(set(ids)):
        try:
            cancel_batch(core, tx, project, batch, interrupt=interrupt)
        except NotFound:
            verdicts[batch] = "not_found"
        except Conflict:
            verdicts[batch] = "ended"
        else:
            verdicts[batch] = "canceled"
    return [(batch, verdicts[batch]) for batch in ids]


def cancel_jobs(
    core: Core,
    tx: Transaction,
    project: UUID,
    batch: UUID,
    chosen: JobFilter,
    *,
    interrupt: bool,
    reason: str | None = None,
) -> Verdicts:
    """One verdict per job that the filter names; ids it does not find are `not_found`."""
    _own(core, tx, project, batch)
    rows = core.jobs.filtered(tx, batch, chosen)
    verdicts = dict(_cancel(core, tx, rows, interrupt=interrupt, reason=reason))
    if "canceled" in verdicts.values():
        _after(core, tx, batch)
    announce(core, tx, project, batch)
    if chosen.ids is None:
        return list(verdicts.items())
    return [(job, verdicts.get(job, "not_found")) for job in chosen.ids]


def cancel_job(core: Core, tx: Transaction, project: UUID, job: UUID, *, interrupt: bool) -> str:
    found = core.jobs.get(tx, project, job)
    if found is None:
        raise NotFound(f"there is no job {job}")
    verdicts = cancel_jobs(
        core, tx, project, found.batch_id, JobFilter(ids=[job]), interrupt=interrupt
    )
    return verdicts[0][1]


def cancel_leftovers(
    core: Core, tx: Transaction, batch: UUID, *, interrupt: bool, reason: str | None = None
) -> None:
    """The batch is over and locked: none of its jobs may begin any more."""
    left = core.jobs.filtered(tx, batch, LEFT)
    _cancel(core, tx, left, interrupt=interrupt, reason=reason)


def _own(core: Core, tx: Transaction, project: UUID, batch: UUID) -> BatchRow:
    row = core.batches.lock(tx, batch, project=project)
    if row is None:
        raise NotFound(f"there is no batch {batch}")
    return row


def _cancel(
    core: Core,
    tx: Transaction,
    rows: Sequence[JobRow],
    *,
    interrupt: bool,
    reason: str | None = None,
) -> Verdicts:
    """The batch of these jobs is locked, so that none is staged meanwhile."""
    alive = [row for row in rows if row.status not in JOB_ENDS]
    staged = [(str(row.id), row.run) for row in alive if row.window_id is not None]
    taken = {job for job, _ in core.permits.take_back(staged)}
    certain = {str(row.id) for row in alive if row.window_id is None} | taken
    if certain:
        core.moves.cancel_jobs(tx, sorted(certain), reason=reason)
    running = [run for run in staged if run[0] not in taken]
    if running and interrupt:
        core.jobs.request_cancel(tx, [job for job, _ in running], reason=reason)
        tx.after_commit(lambda: core.permits.interrupt(running))
    left = "interrupting" if interrupt else "running"
    return [(row.id, _verdict(row, certain, left)) for row in rows]


def _verdict(row: JobRow, certain: set[str], left: str) -> str:
    if row.status in JOB_ENDS:
        return "ended"
    return "canceled" if str(row.id) in certain else left


def _after(core: Core, tx: Transaction, batch: UUID) -> None:
    """A closed batch that has lost its last job is done, on a device or before it has one."""
    row = core.batches.lock(tx, batch)
    if row is None or row.jobs_left:
        return
    if not row.open:
        core.moves.move_batch(tx, batch, BatchEvent.DRAINED)
    vacate(core, tx, core.devices.holders(tx, batch))
