"""Tag: labels of a batch, replaced as a whole."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.errors import NotFound
from orchestrator.services.core import Core
from orchestrator.store.transaction import Transaction


def tag(core: Core, tx: Transaction, project: UUID, batch: UUID, tags: Sequence[str]) -> None:
    if core.batches.lock(tx, batch, project=project) is None:
        raise NotFound(f"there is no batch {batch}")
    core.batches.set_tags(tx, batch, list(dict.fromkeys(tags)))
