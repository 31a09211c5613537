"""Outcomes become states. Used by settle (one window) and hello (whatever was never settled)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from orchestrator import counts
from orchestrator.broker.permits import Run
from orchestrator.domain.outcome import EVENT, Fate, fate, on_lost_of
from orchestrator.domain.transitions import BATCH_ENDS, BatchEvent, JobEvent
from orchestrator.errors import Unavailable
from orchestrator.services.core import Core
from orchestrator.store.batches import BatchRow
from orchestrator.store.devices import DeviceRow
from orchestrator.store.endings import Ending
from orchestrator.store.transaction import Transaction
from orchestrator.store.windows import InFlight, StagedJob
from schemas.task import Canceled, Done, Failed, Lost, Skipped
from schemas.words import BatchStatus, OnLost

AnyOutcome = Done | Failed | Canceled | Lost | Skipped
_RETURNED: Final = (Fate.AGAIN, Fate.LOST, Fate.PREEMPTED)

LOST_REASON = "its device may have begun it, and cannot say how it ended"
TAKEN_REASON = "its device was taken out of service while it ran"


@dataclass(frozen=True)
class Recorded:
    """`touched`: the batches concerned, locked, as they are afterwards. `returned`: some job has
    to run (again) before those staged behind it."""

    touched: dict[UUID, BatchRow]
    returned: bool


@dataclass(frozen=True)
class Judged:
    """One outcome with the job that it is about, and what it means for it."""

    job: StagedJob
    outcome: AnyOutcome
    fate: Fate


def record(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    outcomes: Sequence[AnyOutcome],
    *,
    journal: str,
    staged_for: Mapping[int, str],
) -> Recorded:
    """The device row is locked.

    `staged_for` maps windows to the journal that they were staged for.
    """
    touched = core.batches.lock_concerned(tx, device.id, device.seat, [o.job for o in outcomes])
    staged = {job.id: job for job in core.windows.staged_jobs(tx, [o.job for o in outcomes])}
    current: list[Judged] = []
    late: list[AnyOutcome] = []
    policy = _policy(core, tx, device, outcomes)
    retaken = _retake(core, outcomes)
    interrupted = _interrupted(core, tx, outcomes, staged)
    for outcome in outcomes:
        job = staged.get(outcome.job)
        if job is None or job.run != outcome.run:
            late.append(outcome)
            continue
        same = staged_for.get(job.window) == journal
        verdict = fate(
            outcome,
            unwanted=_unwanted(job, touched[job.batch_id]),
            retaken=(outcome.job, outcome.run) in retaken,
            same_journal=same,
            on_lost=policy,
            interrupted=job.window in interrupted,
        )
        current.append(Judged(job, outcome, verdict))
    _apply(core, tx, device, touched, current)
    _tell_counts(tx, device, current, late)
    if late:
        _keep_evidence(core, tx, device, late)
    returned = any(one.fate in _RETURNED for one in current)
    return Recorded(touched, returned)


def _tell_counts(
    tx: Transaction, device: DeviceRow, judged: Sequence[Judged], late: Sequence[AnyOutcome]
) -> None:
    known = counts.Settled(
        counts.kind(device.type, device.transport),
        Counter(one.fate.value for one in judged),
        len(late),
        sum(isinstance(one.outcome, Skipped) and one.outcome.gone for one in judged),
    )
    tx.after_commit(lambda: counts.settled(known, Fate))


def _retake(core: Core, outcomes: Sequence[AnyOutcome]) -> set[Run]:
    """The runs that were skipped with their permit untouched, and now can never begin."""
    skipped = [(o.job, o.run) for o in outcomes if isinstance(o, Skipped) and not o.gone]
    try:
        return core.permits.take_back(skipped)
    except Unavailable:
        return set()


def _interrupted(
    core: Core, tx: Transaction, outcomes: Sequence[AnyOutcome], staged: Mapping[str, StagedJob]
) -> set[int]:
    """Their windows that were interrupted for the sake of the device. Seldom asked: few are."""
    stopped = [o.job for o in outcomes if isinstance(o, Canceled) and o.job in staged]
    return core.windows.interrupted(tx, {staged[job].window for job in stopped})


def give_up(
    core: Core, tx: Transaction, device: DeviceRow, flying: Sequence[InFlight]
) -> dict[UUID, BatchRow]:
    """What was begun on a device that is gone, or whose journal is another now, is lost."""
    rows = core.windows.jobs_of(tx, [window.id for window in flying])
    lost = [Lost(job=row.id, run=row.run) for row in rows]
    return record(core, tx, device, lost, journal="", staged_for={}).touched


def _policy(
    core: Core, tx: Transaction, device: DeviceRow, outcomes: Iterable[AnyOutcome]
) -> OnLost:
    if not any(isinstance(outcome, Lost | Skipped) for outcome in outcomes):
        return OnLost.RETRY
    return on_lost_of(device.on_lost, core.devices.pool_size(tx, device.type))


def _unwanted(job: StagedJob, batch: BatchRow) -> bool:
    return job.cancel_requested or batch.status in BATCH_ENDS


def _apply(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    touched: dict[UUID, BatchRow],
    judged: Sequence[Judged],
) -> None:
    by_fate: dict[Fate, list[Judged]] = defaultdict(list)
    for one in judged:
        by_fate[one.fate].append(one)
    endings = [_ending(tx, one) for one in judged if _has_ended(one)]
    if endings:
        _start(core, tx, device, touched, judged)
        _count(touched, core.moves.finish_jobs(tx, device.id, endings))
    never = [
        one.job.id for one in by_fate[Fate.CANCELED] if isinstance(one.outcome, Lost | Skipped)
    ]
    if never:
        _count(touched, core.moves.cancel_jobs(tx, never))
    lost = [*by_fate[Fate.AGAIN], *by_fate[Fate.LOST]]
    _return(core, tx, lost, JobEvent.LOST, LOST_REASON)
    _return(core, tx, by_fate[Fate.PREEMPTED], JobEvent.PREEMPTED, TAKEN_REASON)


def _return(
    core: Core, tx: Transaction, judged: Sequence[Judged], event: JobEvent, reason: str
) -> None:
    again = [one.job.id for one in judged]
    if again:
        core.moves.return_jobs(tx, again, event, reason=reason)
        core.windows.unstage(tx, again)


def _start(
    core: Core,
    tx: Transaction,
    device: DeviceRow,
    touched: dict[UUID, BatchRow],
    judged: Sequence[Judged],
) -> None:
    """Its first job began: nobody may have told so before, when jobs are short."""
    for batch in {one.job.batch_id for one in judged if _has_ended(one)}:
        if touched[batch].status == BatchStatus.ADMITTED:
            ended = (one.outcome for one in judged if one.job.batch_id == batch)
            ran = [each.began_at for each in ended if isinstance(each, Done | Failed | Canceled)]
            start_batch(core, tx, device, touched[batch], min(ran, default=None))
            touched[batch] = touched[batch]._replace(status=BatchStatus.RUNNING)


def start_batch(
    core: Core, tx: Transaction, device: DeviceRow, batch: BatchRow, began_at: float | None
) -> None:
    """`began_at`: when its first job did, in seconds since the epoch by the device's clock."""
    moved = core.moves.move_batch(tx, batch.id, BatchEvent.STARTED, device=device.id)
    if moved is None or began_at is None or batch.admitted_at is None:
        return
    # Clocks may differ by a hair.
    took = max(0.0, began_at - batch.admitted_at.timestamp())
    label = counts.kind(device.type, device.transport)
    tx.after_commit(lambda: counts.handover.labels(label).observe(took))


def _has_ended(one: Judged) -> bool:
    """On its device, as far as anybody can tell."""
    if one.fate is Fate.CANCELED:
        return isinstance(one.outcome, Canceled)
    return one.fate in (Fate.DONE, Fate.FAILED, Fate.GIVEN_UP)


def _count(touched: dict[UUID, BatchRow], jobs_left: Mapping[UUID, int]) -> None:
    for batch, left in jobs_left.items():
        touched[batch] = touched[batch]._replace(jobs_left=left)


def _ending(tx: Transaction, one: Judged) -> Ending:
    outcome = one.outcome
    if isinstance(outcome, Lost | Skipped):
        began = getattr(outcome, "began_at", None) or tx.at.timestamp()
        return Ending(
            job=outcome.job,
            run=outcome.run,
            event=JobEvent.FAILED,
            began_at=began,
            ended_at=tx.at.timestamp(),
            reason=LOST_REASON,
            lost=True,
        )
    result = outcome.result if isinstance(outcome, Done) else None
    return Ending(
        job=outcome.job,
        run=outcome.run,
        event=EVENT[one.fate],
        began_at=outcome.began_at,
        ended_at=outcome.ended_at,
        # Postgres keeps no NUL in a text.
        reason=outcome.reason.replace("\0", "\ufffd") if isinstance(outcome, Failed) else None,
        value=None if result is None or result.ref else as_text(result.value),
        ref=None if result is None else result.ref,
        size=None if result is None else result.size,
        sha256=None if result is None else result.sha256,
    )


def as_text(value: object) -> str:
    """The canonical JSON text of a result: the one that its size and sha256 are of."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _keep_evidence(
    core: Core, tx: Transaction, device: DeviceRow, late: Sequence[AnyOutcome]
) -> None:
    """A late twin changes nothing; that it came is worth a line of history."""
    ran = [outcome for outcome in late if not isinstance(outcome, Skipped)]
    for outcome, row in core.jobs.other_runs(tx, [(outcome.job, outcome.run) for outcome in ran]):
        core.devices.log(
            tx,
            device.id,
            "late",
            batch=row,
            detail={"job": outcome[0], "run": outcome[1], "device": device.name},
        )
