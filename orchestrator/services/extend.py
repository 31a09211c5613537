"""Extend: a job that runs for longer than is held for it is given another hour, or stopped."""

from typing import Final
from uuid import UUID

from orchestrator.services.cancel import cancel_jobs
from orchestrator.services.core import Core
from orchestrator.store import ledger
from orchestrator.store.transaction import Transaction
from schemas.job import JobFilter

EXHAUSTED: Final = "balance exhausted"


def extend(core: Core, due: str) -> None:
    """Harmless when repeated. `due`: a job, and its batch, whose lock comes before its money."""
    job, batch = map(UUID, due.split())
    with core.transaction() as tx:
        core.batches.lock(tx, batch)
        found = ledger.overheld(tx, job)
        if found is None:
            return
        if found.hour <= ledger.lock_available(tx, found.project):
            ledger.extend(tx, job, found)
        elif not core.settings.overdraft:
            _stop(core, tx, found, job)


def _stop(core: Core, tx: Transaction, found: ledger.Overheld, job: UUID) -> None:
    chosen = JobFilter(ids=[job])
    cancel_jobs(core, tx, found.project, found.batch, chosen, interrupt=True, reason=EXHAUSTED)
