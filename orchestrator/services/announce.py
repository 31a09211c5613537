"""Tell whoever watches that something happened; what, they read from Postgres."""

from collections.abc import Iterable
from uuid import UUID

from orchestrator.services.core import Core
from orchestrator.store.batches import BatchRow
from orchestrator.store.transaction import Transaction


def announce(core: Core, tx: Transaction, project: UUID, batch: UUID) -> None:
    tx.after_commit(lambda: core.streams.announce([(project, batch)]))


def announce_all(core: Core, tx: Transaction, touched: Iterable[BatchRow]) -> None:
    news = {(batch.project_id, batch.id) for batch in touched}
    if news:
        tx.after_commit(lambda: core.streams.announce(news))
