"""Submit many: up to a thousand jobs in one call, a verdict for each, and one batch per target.

Locks are taken in one order by everybody: the keys of contents, controllers by id, the account.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from orchestrator.domain.credit import Quote
from orchestrator.domain.entries import Course
from orchestrator.domain.transitions import BatchEvent
from orchestrator.errors import Deadlocked
from orchestrator.services.announce import announce
from orchestrator.services.core import Core
from orchestrator.services.hold import quote
from orchestrator.services.plan import Draft, Drafts, Planned, Submitter, draft, fill, plan
from orchestrator.services.submit import accept
from orchestrator.services.targets import Target
from orchestrator.store import computations, entries, ledger
from orchestrator.store.batches import NewBatch
from orchestrator.store.computations import Computation
from orchestrator.store.entries import NewEntry
from orchestrator.store.jobs import NewJob, new_id
from orchestrator.store.moves_answered import Hit, add_hits
from orchestrator.store.transaction import Transaction
from schemas.words import JobStatus

Verdict = dict[str, Any]
"""A `schemas.submit.EntryOut`, as JSON."""


def submit_many(core: Core, tx: Transaction, who: Submitter, given: Sequence[Any]) -> list[Verdict]:
    """One verdict for each entry, in the order given. Raises InsufficientBalance, and then
    nothing is written at all."""
    drafts = draft(tx.connection, core.settings, who, given)
    known = _known(tx, who, drafts)
    targets = [each.target.controller for each in drafts.valid]
    controllers = {each for each in targets if each is not None}
    if not entries.lock_targets(tx, controllers):
        raise Deadlocked("a compute target was removed at the same moment; try again")
    fill(tx.connection, who, drafts.rooms)
    planned = plan(drafts.entries, known, drafts.rooms)
    _write(core, tx, who, [each for each in planned if not isinstance(each, str)], known)
    return [_verdict(each) for each in planned]


def _known(tx: Transaction, who: Submitter, drafts: Drafts) -> dict[bytes, Computation]:
    """What has its result stays as it is; only the others are locked."""
    first = drafts.first_of_key
    found = computations.find(tx.connection, who.project, list(first))
    done = {key: each for key, each in found.items() if each.status == JobStatus.DONE}
    rest = {key: job for key, job in first.items() if key not in done}
    return done | computations.claim(tx, who.project, rest)


def estimate(core: Core, tx: Transaction, who: Submitter, given: Sequence[Any]) -> Quote:
    """What would be held if the same were submitted now. Writes nothing."""
    planned = _as_if(core, tx, who, draft(tx.connection, core.settings, who, given))
    types = [
        each.draft.target.device_type
        for each in planned
        if isinstance(each, Planned) and each.course is Course.RUN
    ]
    prices = {name: ledger.price(tx, name) for name in set(types)}
    costs = [price for name in types if (price := prices[name]) is not None]
    return quote(tx.connection, who.project, costs)


def fit(core: Core, tx: Transaction, who: Submitter, given: Sequence[Any]) -> list[Verdict]:
    """The verdicts that there would be now. Writes nothing."""
    planned = _as_if(core, tx, who, draft(tx.connection, core.settings, who, given))
    return [{**_verdict(each), "job_id": None} for each in planned]


def _as_if(core: Core, tx: Transaction, who: Submitter, drafts: Drafts) -> list[Planned | str]:
    known = computations.find(tx.connection, who.project, list(drafts.first_of_key))
    fill(tx.connection, who, drafts.rooms)
    return plan(drafts.entries, known, drafts.rooms)


def _verdict(each: Planned | str) -> Verdict:
    if isinstance(each, str):
        return {"job_id": None, "state": None, "status": "failed", "error": each}
    hit = each.course is Course.HIT
    state, status = ("done", "cache_hit") if hit else ("pending", "submitted")
    said = {"job_id": str(each.draft.job), "state": state, "status": status, "error": None}
    warning = each.draft.target.warning
    return said if hit or warning is None else {**said, "warning": warning}


def _write(
    core: Core,
    tx: Transaction,
    who: Submitter,
    planned: Sequence[Planned],
    known: dict[bytes, Computation],
) -> None:
    _lead(tx, planned, known)
    hits = [each for each in planned if each.course is Course.HIT]
    following = [each for each in planned if each.course is Course.FOLLOW]
    running: dict[str, list[Draft]] = defaultdict(list)
    for each in planned:
        if each.course is Course.RUN:
            running[each.draft.target.device_type].append(each.draft)
    if hits or following:
        entries.need_shared_type(tx)
    if hits:
        _answer(core, tx, who, hits)
    if following:
        _share(core, tx, who, following)
    # The account is locked by the first that costs something: those go last.
    for drafts in sorted(running.values(), key=lambda these: these[0].target.controller is None):
        target, jobs = drafts[0].target, [_job(each) for each in drafts]
        accept(core, tx, _batch(core, who, target, len(jobs)), jobs)
    rest = [each for each in planned if each.course is not Course.HIT]
    entries.insert(tx, [_entry(who, each, known) for each in rest])


def _lead(tx: Transaction, planned: Sequence[Planned], known: dict[bytes, Computation]) -> None:
    """Whoever was to lead may have been refused, or its leader may be over."""
    leaders = {each.draft.key: each.draft.job for each in planned if each.leads}
    computations.set_leaders(
        tx,
        {
            found.id: leaders[key]
            for key, found in known.items()
            if key in leaders and leaders[key] != found.leader
        },
    )
    computations.drop(
        tx,
        [found.id for key, found in known.items() if found.status is None and key not in leaders],
    )


def _share(core: Core, tx: Transaction, who: Submitter, shared: Sequence[Planned]) -> None:
    """Jobs that never take a seat, in a batch of their own."""
    new = new_batch(core, who, entries.SHARED, 1)
    core.batches.insert(tx, new, len(shared))
    core.jobs.insert(tx, new.id, who.project, [_job(each.draft) for each in shared])
    announce(core, tx, who.project, new.id)


def _answer(core: Core, tx: Transaction, who: Submitter, hits: Sequence[Planned]) -> None:
    """Jobs that are done as soon as they are there."""
    new = new_batch(core, who, entries.SHARED, 1)
    core.batches.insert(tx, new, len(hits))
    add_hits(tx, new.id, who.project, [_hit(each) for each in hits])
    core.moves.move_batch(tx, new.id, BatchEvent.DRAINED)
    announce(core, tx, who.project, new.id)


def _hit(each: Planned) -> Hit:
    draft = each.draft
    return Hit(draft.job, each.leader or draft.job, draft.asked.name, draft.target.name)


def _batch(core: Core, who: Submitter, target: Target, jobs: int) -> NewBatch:
    lanes = min(target.lanes, jobs, core.settings.max_lanes)
    return new_batch(core, who, target.device_type, lanes)


def new_batch(core: Core, who: Submitter, device_type: str, lanes: int) -> NewBatch:
    return NewBatch(
        id=new_id(),
        project_id=who.project,
        user_id=who.user,
        key_id=who.key,
        parent_id=None,
        name=None,
        device_type=device_type,
        device_name=None,
        open=False,
        priority=0,
        preemptible=True,
        lanes=lanes,
        idle_timeout_s=core.settings.idle_timeout_s,
        max_duration_s=core.settings.max_duration_s or None,
        tags=[],
        shared={},
    )


def _job(draft: Draft) -> NewJob:
    return NewJob({"payload": draft.asked.payload}, id=draft.job)


def _entry(who: Submitter, each: Planned, known: dict[bytes, Computation]) -> NewEntry:
    draft = each.draft
    shares = each.leads or each.course is not Course.RUN
    found = known.get(draft.key) if shares and draft.key is not None else None
    return NewEntry(
        job_id=draft.job,
        project_id=who.project,
        name=draft.asked.name,
        job_type=draft.asked.job_type,
        target=draft.target.name,
        cores=draft.needs.cores,
        memory_mb=draft.needs.memory_mb,
        computation_id=found.id if found else None,
        follows=each.course is not Course.RUN,
    )
