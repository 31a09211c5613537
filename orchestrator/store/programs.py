"""What the jobs of a batch share, where it is shown: large, so read by itself."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from orchestrator.store.listings_reading import Reader


@dataclass(frozen=True, slots=True)
class Program:
    """As they were sent: texts, or objects. `jobs` are the ids, in the order of submission."""

    sequence: Any
    backend_configuration: Any
    jobs: list[UUID]


_PROGRAM: Final = text(
    """
    SELECT shared->'sequence', shared->'backend_configuration',
        ARRAY(SELECT id FROM job WHERE batch_id = batch.id ORDER BY ordinal)
    FROM batch WHERE id = :id
    """
)
_CONFIGURATION: Final = text("SELECT shared->'backend_configuration' FROM batch WHERE id = :id")


def program_of(connection: Reader, batch: UUID) -> Program:
    return Program(*connection.execute(_PROGRAM, {"id": batch}).one())


def configuration_of(connection: Reader, batch: UUID) -> Any:
    return connection.execute(_CONFIGURATION, {"id": batch}).scalar_one()
