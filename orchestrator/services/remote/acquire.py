"""Acquire: what the lanes of a controller could begin now, offered to whoever asks first."""

from datetime import timedelta

from orchestrator.domain.controller import Assignment, offer_of, session_of
from orchestrator.errors import Unauthorized
from orchestrator.services.core import Core
from orchestrator.services.stage import for_executor
from orchestrator.store import assignments, checkpoints, controllers
from orchestrator.store.assignments import Offered
from orchestrator.store.controllers import ControllerRow
from orchestrator.store.transaction import Transaction
from schemas.controller import START_WITHIN_S, Acquired, AcquireIn, Checkpoint, Lease

UNNAMED = "workload"
"""The type of a job that came by a door which knows no types."""


def acquire(core: Core, row: ControllerRow, body: AcquireIn) -> Acquired:
    """The same request gets the same leases again, as long as they are not started. Raises
    Unauthorized once somebody else has the name."""
    with core.transaction() as tx:
        state = controllers.state_of(tx, row.id, row.session)
        if state is None:
            raise Unauthorized("this token is dead: the name was registered again, or removed")
        leases = _leases(core, tx, row, body) if state == "online" else []
    return Acquired.model_validate({"leases": leases, "state": state})


def _leases(core: Core, tx: Transaction, row: ControllerRow, body: AcquireIn) -> list[Lease]:
    session, offer = session_of(row.id, row.session), offer_of(row.session, body.request_id)
    chosen = _fitting(assignments.offerable(tx, row.device_type, session, offer), body)
    if not chosen:
        return []
    until = tx.at + timedelta(seconds=START_WITHIN_S)
    won = assignments.claim(tx, [one.window for one in chosen], offer, until)
    kept = checkpoints.of_jobs(tx, [one.job for one in chosen])
    wall_s = core.settings.job_wall_s
    return [_lease(one, wall_s, kept.get(one.job)) for one in chosen if one.window in won]


def type_of(one: Offered) -> str:
    return one.job_type or str(one.stored.get("payload", {}).get("job_type") or UNNAMED)


def _fitting(found: list[Offered], body: AcquireIn) -> list[Offered]:
    """What there is room for. Each lane waits with its first job for that."""
    free = dict(body.free)
    cores, memory = body.free_cores, body.free_memory_mb
    chosen: list[Offered] = []
    for one in found:
        kind = type_of(one)
        if body.free and free.get(kind, 0) < 1:
            continue
        if (cores is not None and cores < one.cores) or (
            memory is not None and memory < one.memory_mb
        ):
            continue
        free[kind] = free.get(kind, 0) - 1
        cores = None if cores is None else cores - one.cores
        memory = None if memory is None else memory - one.memory_mb
        chosen.append(one)
    return chosen


def _lease(one: Offered, wall_s: float, checkpoint: Checkpoint | None) -> Lease:
    return Lease(
        assignment_id=str(Assignment(str(one.job), one.run)),
        job_id=str(one.job),
        lane=one.lane,
        job_type=type_of(one),
        payload=for_executor(one.stored),
        shared=one.shared,
        epoch=one.run,
        lease_s=START_WITHIN_S,
        wall_s=wall_s,
        checkpoint=checkpoint,
    )
