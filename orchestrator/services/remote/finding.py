"""What a controller means by an assignment; others' are not there."""

from orchestrator.domain.controller import Assignment
from orchestrator.errors import Conflict, NotFound
from orchestrator.store import assignments
from orchestrator.store.assignments import Assigned
from orchestrator.store.controllers import ControllerRow
from orchestrator.store.transaction import Transaction


def find(tx: Transaction, row: ControllerRow, named: Assignment) -> Assigned:
    """Raises NotFound. Whether the run is still the job's own is for the caller to ask."""
    found = assignments.find(tx, row.device_type, [named.job]).get(named.job)
    if found is None or named.run > found.run or named.run < 1:
        raise NotFound("there is no such assignment")
    return found


def is_current(found: Assigned, named: Assignment, epoch: int) -> bool:
    return named.run == epoch == found.run


def stale(found: Assigned, epoch: int) -> Conflict:
    return Conflict(f"stale lease epoch {epoch}: the job is at {found.run}, and {found.status}")
