"""Complete: a controller says how a run ended. Said twice, it counts once; said too late, never."""

import hashlib
from datetime import datetime

from orchestrator.domain.controller import Assignment, is_broken_for_good
from orchestrator.domain.transitions import JOB_ENDS
from orchestrator.errors import Conflict, Flaw, Rejected
from orchestrator.services.core import Core
from orchestrator.services.outcomes import AnyOutcome, as_text
from orchestrator.services.remote.endings import is_ours
from orchestrator.services.remote.finding import find, is_current, stale
from orchestrator.services.settle import settle
from orchestrator.store import assignments, checkpoints
from orchestrator.store.assignments import Assigned
from orchestrator.store.controllers import ControllerRow
from orchestrator.store.objects import write_object
from orchestrator.store.transaction import Transaction
from schemas.controller import CompleteIn
from schemas.task import INLINE_LIMIT, Canceled, Done, Failed, Lost, Result, Settle


def complete(core: Core, row: ControllerRow, named: Assignment, body: CompleteIn) -> bool:
    """True when it was known before. Raises NotFound, or Conflict for what comes too late."""
    with core.transaction() as tx:
        found, at = find(tx, row, named), tx.at
    if _is_over(found, named, body.epoch):
        _clear_up(core, found, body)
        return True
    if not is_current(found, named, body.epoch) or found.window is None:
        _keep_evidence(core, found, named, body.epoch)
        raise stale(found, body.epoch)
    if found.status != "RUNNING":
        raise Conflict("it was not started: start it first, and run it then")
    broken = body.outcome == "failed" and body.error is not None and body.error.kind != "user"
    judge = _tried_again if broken else _outcome
    outcome = judge(core, found, body, at)
    settle(core, _message(found, outcome))
    with core.transaction() as tx:
        after = find(tx, row, named)
    returned = broken or isinstance(outcome, Canceled)
    if returned and after.status not in JOB_ENDS:
        return False
    if not _is_over(after, named, body.epoch):
        raise stale(after, body.epoch)
    _clear_up(core, found, body)
    return False


def _clear_up(core: Core, found: Assigned, body: CompleteIn) -> None:
    """Also for who comes again: whoever settled it may have died before this."""
    with core.transaction() as tx:
        assignments.keep_usage(tx, found.job, body.usage)
        checkpoints.forget(tx, found.job)


def _is_over(found: Assigned, named: Assignment, epoch: int) -> bool:
    """By a word of its controller. Raises Conflict where the server did not wait for it."""
    if found.status not in JOB_ENDS or not is_current(found, named, epoch):
        return False
    if is_ours(found.reason):
        raise Conflict(f"it comes too late: {found.reason}")
    return True


def _message(found: Assigned, outcome: AnyOutcome) -> Settle:
    assert found.window is not None
    return Settle(
        window=found.window,
        device=found.device or "",
        session=found.session or "",
        journal=found.journal or "",
        outcomes=[outcome],
    )


def _outcome(core: Core, found: Assigned, body: CompleteIn, at: datetime) -> AnyOutcome:
    """By the server's clock: a controller's may say anything."""
    began = (found.started_at or at).timestamp()
    ended = max(began, at.timestamp())
    job, run = found.job, found.run
    if body.outcome == "cancelled":
        return Canceled(job=job, run=run, began_at=began, ended_at=ended)
    if body.outcome == "failed":
        reason = "its controller gave no reason" if body.error is None else body.error.message
        return Failed(job=job, run=run, began_at=began, ended_at=ended, reason=reason)
    return Done(job=job, run=run, began_at=began, ended_at=ended, result=_result(core, found, body))


def _result(core: Core, found: Assigned, body: CompleteIn) -> Result:
    """What is large lies in the object store before anybody is told of it, as a worker's does."""
    try:
        text = as_text(body.result).encode()
    except (ValueError, RecursionError) as error:
        raise Rejected([Flaw("result", f"cannot be kept as JSON: {error}")]) from error
    size, sha256 = len(text), hashlib.sha256(text).hexdigest()
    if size <= INLINE_LIMIT:
        return Result(value=body.result, size=size, sha256=sha256)
    key = f"results/{found.job}/{found.run}.json"
    write_object(core.settings.store_url, core.settings.s3, key, text)
    return Result(ref=key, size=size, sha256=sha256)


def _tried_again(core: Core, found: Assigned, body: CompleteIn, at: datetime) -> AnyOutcome:
    """Not the job's fault: it may run again, a few times."""
    message = "" if body.error is None else body.error.message
    with core.transaction() as tx:
        _note(core, tx, found, message)
        broken = assignments.losses(tx, found.batch_id, found.job).broken
    if is_broken_for_good(broken):
        return _outcome(core, found, body, at)
    return Lost(job=found.job, run=found.run)


def _note(core: Core, tx: Transaction, found: Assigned, message: str) -> None:
    assert found.device_id is not None
    detail = {"job": found.job, "run": found.run, "message": message.replace("\0", "")[:1000]}
    core.devices.log(tx, found.device_id, "infrastructure", batch=found.batch_id, detail=detail)


def _keep_evidence(core: Core, found: Assigned, named: Assignment, epoch: int) -> None:
    """The result is dropped; that it came is worth a line of history, however often it does."""
    if epoch != named.run or named.run >= found.run or found.device is None:
        return
    with core.transaction() as tx:
        if assignments.came_late(tx, found.batch_id, named.job, named.run):
            return
    late = Lost(job=found.job, run=named.run)
    settle(core, _message(found, late).model_copy(update={"outcomes": [late]}))
