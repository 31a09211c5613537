"""Moves and the sweep's questions in memory: the guards are those of the table of transitions."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from orchestrator.domain.transitions import BATCH_MOVES, JOB_MOVES, SEATED, BatchEvent, JobEvent
from orchestrator.store.batches import BatchRow
from orchestrator.store.devices import DeviceRow
from orchestrator.store.endings import Ending
from orchestrator.store.transaction import Transaction
from orchestrator.store.watch import Due, Silent, Watched
from schemas.words import BatchStatus
from tests.sim.device import Violation
from tests.sim.memory import (
    PENDING,
    START,
    Ended,
    Job,
    Rows,
    after,
    count_ended,
    named,
    rows_of,
)
from tests.sim.memory_batches import wants_a_lane

E = BatchEvent
ENDS = frozenset({E.DRAINED, E.IDLED, E.OVERRAN, E.CANCELED, E.BROKE})
LEAVES = frozenset({E.PREEMPTED, E.REQUEUED, E.PAUSED})
NEITHER_RUNS: dict[str, Any] = {"idle_deadline": None, "overrun_deadline": None}


class Moves:
    def move_batch(
        self,
        tx: Transaction,
        batch: UUID,
        event: BatchEvent,
        *,
        at: datetime | None = None,
        device: int | None = None,
        reason: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> BatchStatus | None:
        rows = rows_of(tx)
        row, move = rows.batches.get(batch), BATCH_MOVES[event]
        if row is None or row.status not in move.sources:
            return None
        also: dict[str, Any] = {}
        if event in ENDS:
            also = NEITHER_RUNS
        elif event in LEAVES:
            also = {**NEITHER_RUNS, "admitted_at": None}
        elif event is E.ADMITTED:
            also = {"admitted_at": tx.at, "overrun_deadline": after(tx.at, rows.limits[batch])}
        rows.put(rows.batches, batch, row._replace(status=move.target.value, **also))
        rows.log(
            at or tx.at, event.value, move.target.value, batch=batch, device=device, detail=detail
        )
        return move.target

    def start_job(self, tx: Transaction, device: int, job: str, run: int, began_at: float) -> bool:
        rows, row = rows_of(tx), rows_of(tx).jobs.get(job)
        move = JOB_MOVES[JobEvent.STARTED]
        if row is None or row.run != run or row.window_id is None:
            return False
        if row.status not in move.sources:
            return False
        rows.put(rows.jobs, job, row._replace(status=move.target.value, device_id=device))
        _log(tx, row, JobEvent.STARTED, device)
        return True

    def finish_jobs(
        self, tx: Transaction, device: int, endings: Sequence[Ending]
    ) -> dict[UUID, int]:
        rows = rows_of(tx)
        sources = JOB_MOVES[JobEvent.STARTED].sources | JOB_MOVES[JobEvent.DONE].sources
        ended: list[Job] = []
        for ending in endings:
            row, target = rows.jobs.get(ending.job), JOB_MOVES[ending.event].target
            if row is None or row.run != ending.run or row.status not in sources:
                continue
            if row.status == PENDING:
                _log(tx, row, JobEvent.STARTED, device)
            rows.put(
                rows.jobs,
                row.id,
                row._replace(status=target.value, window_id=None, device_id=device),
            )
            if ending.event is JobEvent.DONE:
                if row.id in rows.results:
                    raise Violation(f"job {row.id} has a result already")
                rows.put(rows.results, row.id, Ended(ending.run, ending.sha256))
            _log(tx, row, ending.event, device)
            ended.append(row)
        return count_ended(rows, ended)

    def cancel_jobs(
        self, tx: Transaction, jobs: Sequence[str], *, reason: str | None = None
    ) -> dict[UUID, int]:
        return count_ended(rows_of(tx), _move_jobs(tx, jobs, JobEvent.CANCELED))

    def return_jobs(
        self, tx: Transaction, jobs: Sequence[str], event: JobEvent, *, reason: str
    ) -> set[str]:
        return {job.id for job in _move_jobs(tx, jobs, event)}

    def revive_jobs(self, tx: Transaction, batch: UUID) -> list[UUID]:
        rows = rows_of(tx)
        again = _move_jobs(tx, rows.of_batch[batch], JobEvent.REVIVED)
        for job in again:
            revived = rows.jobs[job.id]._replace(cancel_requested=False)
            rows.put(rows.jobs, job.id, revived)
        row = rows.batches[batch]
        rows.put(rows.batches, batch, row._replace(jobs_left=row.jobs_left + len(again)))
        return cast(list[UUID], [job.id for job in again])


def _move_jobs(tx: Transaction, jobs: Sequence[str], event: JobEvent) -> list[Job]:
    rows, move = rows_of(tx), JOB_MOVES[event]
    moved = [job for job in named(rows, jobs) if job.status in move.sources]
    for job in moved:
        rows.put(rows.jobs, job.id, job._replace(status=move.target.value, window_id=None))
        _log(tx, job, event, None if event is JobEvent.REVIVED else job.device_id)
    return moved


def _log(tx: Transaction, job: Job, event: JobEvent, device: int | None) -> None:
    target = JOB_MOVES[event].target.value
    rows_of(tx).log(tx.at, event.value, target, batch=job.batch_id, job=job.id, device=device)


class Watch:
    def devices(self, tx: Transaction) -> list[Watched]:
        rows = rows_of(tx)
        return [
            Watched(row.id, row.name, row.online, row.session, _oldest(rows, row.id))
            for row in rows.devices.values()
        ]

    def due(self, tx: Transaction) -> Due:
        rows = rows_of(tx)
        batches = rows.batches.values()
        return Due(
            idle=[b.id for b in batches if _past(b.idle_deadline, tx.at)],
            overrun=[b.id for b in batches if _past(b.overrun_deadline, tx.at)],
            preempted=[b.id for b in batches if b.status == "PREEMPTED"],
            resumable=[b.id for b in batches if b.status == "PAUSED" and _serving(rows, b)],
            unseated=[
                b.id
                for b in batches
                if b.lanes > 1 and b.status in SEATED and not rows.holders(b.id)
            ],
            stuck=[d.id for d in rows.devices.values() if _is_stuck(rows, d)],
            outranked=sorted({d.type for d in rows.devices.values() if _is_outranked(rows, d)}),
            unheeded=[
                f"{job.id} {job.run}"
                for job in rows.jobs.values()
                if job.window_id is not None
                and (job.cancel_requested or rows.windows[job.window_id].interrupted)
            ],
            overheld=[],
        )

    def beats_read(self, tx: Transaction, *, restart: bool) -> bool:
        rows = rows_of(tx)
        before = rows.beats_read.get("at")
        anew: list[DeviceRow] = []
        if restart or before is None or before <= tx.at - timedelta(seconds=3.5):
            anew = [row for row in rows.devices.values() if row.online]
        for row in anew:
            rows.put(rows.devices, row.id, row._replace(heard_at=tx.at))
        if before is None or before < tx.at - timedelta(seconds=1):
            rows.put(rows.beats_read, "at", tx.at)
        return bool(anew)

    def silent(self, tx: Transaction, *, after: timedelta, gone_after: timedelta) -> Silent:
        unheard: list[int] = []
        gone: list[int] = []
        for row in rows_of(tx).devices.values():
            heard = row.heard_at or START
            if row.online and heard < tx.at - after:
                unheard.append(row.id)
            elif not row.online and row.seat is not None and heard < tx.at - gone_after:
                gone.append(row.id)
        return Silent(unheard, gone)


def _oldest(rows: Rows, device: int) -> int | None:
    return min(rows.of_device.get(device, ()), default=None)


def _past(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline < now


def _serving(rows: Rows, batch: BatchRow) -> bool:
    return any(
        row.type == batch.device_type
        and row.service in ("active", "draining")
        and batch.device_name in (None, row.name)
        for row in rows.devices.values()
    )


def _could_take(device: DeviceRow, batch: BatchRow) -> bool:
    return batch.device_type == device.type and batch.device_name in (None, device.name)


def _is_stuck(rows: Rows, device: DeviceRow) -> bool:
    if device.seat is None:
        usable = device.online and device.service == "active"
        return usable and any(
            (b.status == PENDING and _could_take(device, b))
            or (b.device_type == device.type and wants_a_lane(rows, b))
            for b in rows.batches.values()
        )
    if any(map(rows.staged, rows.of_device.get(device.id, ()))):
        return False
    batch = rows.batches[device.seat]
    nothing_left = batch.jobs_left == 0 and (not batch.open or batch.idle_deadline is None)
    leaving = device.service in ("paused", "retired") or device.yielding
    return (
        batch.status not in SEATED
        or nothing_left
        or leaving
        or (device.online and bool(rows.waiting(batch.id)))
    )


def _is_outranked(rows: Rows, device: DeviceRow) -> bool:
    if device.seat is None or not device.online or device.service != "active":
        return False
    batch = rows.batches[device.seat]
    if not batch.preemptible or batch.status not in SEATED:
        return False
    return any(
        b.status == PENDING and b.device_type == device.type and b.priority > batch.priority
        for b in rows.batches.values()
    )
