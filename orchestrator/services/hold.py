"""Hold: an hour's worth of credits for every job that is not free, before it may wait.

It is done last in the transaction that accepts the jobs, for all of them together: whoever lacks
the credits leaves nothing behind, and no two can spend the same.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from orchestrator.domain import credit
from orchestrator.domain.credit import Quote, hold_for
from orchestrator.errors import InsufficientBalance
from orchestrator.services.core import Core
from orchestrator.store import ledger
from orchestrator.store.ledger import Price
from orchestrator.store.listings_reading import Reader
from orchestrator.store.transaction import Transaction


class _Due(NamedTuple):
    project: UUID
    batch: UUID
    jobs: Sequence[UUID]
    price: Price

    @property
    def amount(self) -> int:
        return hold_for(*self.price) * len(self.jobs)


def hold(
    core: Core,
    tx: Transaction,
    project: UUID,
    batch: UUID,
    device_type: str,
    jobs: Sequence[UUID],
) -> None:
    """For jobs that are in their batch already. What is missing is told where the transaction
    ends, by InsufficientBalance."""
    price = core.ledger.price(tx, device_type) if jobs else None
    if price is not None:
        tx.at_last(_hold_all, [_Due(project, batch, jobs, price)])


def _hold_all(tx: Transaction, dues: Sequence[_Due]) -> None:
    for project in sorted({due.project for due in dues}):
        own = [due for due in dues if due.project == project]
        required = sum(due.amount for due in own)
        available = ledger.lock_available(tx, project)
        if required > available:
            raise InsufficientBalance(
                required=required,
                available=available,
                billable_jobs=sum(len(due.jobs) for due in own),
                runtime_s=credit.HOUR_S,
            )
        for due in own:
            ledger.hold(tx, project, due.batch, due.jobs, due.price)


def quote(connection: Reader, project: UUID, prices: Iterable[tuple[int, int]]) -> Quote:
    """What would be held for jobs of these rates and cores; nothing is."""
    return credit.quote(prices, ledger.available(connection, project))
