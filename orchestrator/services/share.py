"""Share: twins of a job get its end. And what cancel means for a job that others wait for.

Whoever decides for a computation has locked it, and takes the locks of batches after that.
"""

import logging
from uuid import UUID

from orchestrator.domain.entries import Sequel, name_flaw, sequel, state_of
from orchestrator.domain.transitions import JOB_ENDS, BatchEvent
from orchestrator.errors import (
    Conflict,
    Flaw,
    HoldfastError,
    InsufficientBalance,
    NotFound,
    Rejected,
    Unavailable,
)
from orchestrator.services.announce import announce
from orchestrator.services.cancel import cancel_job
from orchestrator.services.core import Core
from orchestrator.services.plan import Submitter
from orchestrator.services.submit import accept
from orchestrator.services.submit_many import new_batch
from orchestrator.store import computations, entries
from orchestrator.store.computations import Led
from orchestrator.store.entries import Follower, Own
from orchestrator.store.jobs import NewJob, new_id
from orchestrator.store.moves_answered import answer_jobs
from orchestrator.store.transaction import Transaction

logger = logging.getLogger(__name__)

_AT_ONCE = 200
_MOST = 1000
"""Followers told in one go; each gets a copy of the result. The others' turn comes in a second."""


def share(core: Core) -> None:
    """Called by the sweep. Each computation stands alone: one that fails is logged."""
    try:
        with core.transaction() as tx:
            found = computations.unshared(tx, _AT_ONCE)
    except Unavailable as error:
        logger.warning("share: %s", error)
        return
    for each in found:
        try:
            _share(core, each)
        except HoldfastError as error:
            logger.warning("share: %s", error)
        except Exception:
            logger.exception("share: computation %s failed", each)


def _share(core: Core, computation: UUID) -> None:
    try:
        with core.transaction() as tx:
            _decide(core, tx, computation, replace=True)
    except InsufficientBalance:
        with core.transaction() as tx:
            _decide(core, tx, computation, replace=False)


def _decide(core: Core, tx: Transaction, computation: UUID, *, replace: bool) -> None:
    """`replace`: whether another job may run where the leader was canceled."""
    led = computations.lock(tx, computation)
    waiting = _waiting(tx, computation)
    step = sequel(led.status, led.batch_status)
    if step is Sequel.WAIT:
        _stop_if_unwanted(core, tx, led, waiting)
    elif waiting and step is Sequel.REPLACE and replace and _may_run(tx, led):
        _replace(core, tx, led)
    elif waiting:
        _answer(core, tx, led, waiting[:_MOST])


def _waiting(tx: Transaction, computation: UUID) -> list[Follower]:
    """Those that still follow; whoever has ended in another way follows no more."""
    followers = entries.followers(tx, computation)
    entries.unfollow(tx, [each.job_id for each in followers if each.has_ended])
    return [each for each in followers if not each.has_ended]


def _may_run(tx: Transaction, led: Led) -> bool:
    """A controller may have been removed, and its jobs canceled with it."""
    if led.controller is not None:
        return entries.lock_targets(tx, [led.controller])
    return entries.pool(tx.connection, led.device_type).devices > 0


def _stop_if_unwanted(core: Core, tx: Transaction, led: Led, waiting: list[Follower]) -> None:
    if led.left and not waiting and led.status not in JOB_ENDS:
        cancel_job(core, tx, led.project_id, led.leader, interrupt=True)


def _answer(core: Core, tx: Transaction, led: Led, waiting: list[Follower]) -> None:
    jobs = [each.job_id for each in waiting]
    for batch in answer_jobs(tx, jobs, [led.leader] * len(jobs)):
        core.moves.move_batch(tx, batch, BatchEvent.DRAINED)
    for batch in {each.batch_id for each in waiting}:
        announce(core, tx, led.project_id, batch)


def _replace(core: Core, tx: Transaction, led: Led) -> None:
    """A job of nobody's own runs for those that still want the result."""
    job = new_id()
    who = Submitter(led.project_id, led.user_id, led.key_id)
    new = new_batch(core, who, led.device_type, 1)
    accept(core, tx, new, [NewJob(led.payload, id=job)])
    entries.succeed(tx, led.leader, job)
    computations.set_leaders(tx, {led.id: job})


def cancel_own(core: Core, tx: Transaction, project: UUID, job: UUID) -> None:
    """As its owner sees it, the job is canceled; what others wait for runs on for them. One that
    is over stays as it is."""
    own = _own(tx, project, job)
    if own.computation_id is None:
        cancel_job(core, tx, project, job, interrupt=True)
        return
    led = computations.lock(tx, own.computation_id)
    own = _own(tx, project, job)
    waiting = _waiting(tx, led.id)
    if led.leader == job and waiting:
        if own.status not in JOB_ENDS:
            entries.leave(tx, job)
        return
    cancel_job(core, tx, project, job, interrupt=True)
    if own.follows:
        # In a transaction of its own: batches are locked in the order of their ids, if several
        # are, and the leader's may come first.
        tx.after_commit(lambda: _share(core, led.id))


def delete_own(tx: Transaction, project: UUID, job: UUID) -> None:
    """Not shown any more. Only what is over can be deleted."""
    own = _own(tx, project, job)
    if own.status not in JOB_ENDS and not own.left:
        raise Conflict(f"the job is {state_of(own.status, left=False)}: cancel it first")
    entries.delete(tx, job)


def rename_own(tx: Transaction, project: UUID, job: UUID, name: str) -> None:
    _own(tx, project, job)
    if flaw := name_flaw(name):
        raise Rejected([Flaw("name", flaw)])
    entries.rename(tx, job, name.strip())


def _own(tx: Transaction, project: UUID, job: UUID) -> Own:
    found = entries.own(tx, project, job)
    if found is None:
        raise NotFound(f"there is no job {job}")
    return found
