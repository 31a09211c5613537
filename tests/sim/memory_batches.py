"""Batches and jobs in memory."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from orchestrator.domain.transitions import SEATED
from orchestrator.store.batches import BatchRow, NewBatch, Seated
from orchestrator.store.jobs import JobRow, NewJob
from orchestrator.store.ledger import Price
from orchestrator.store.transaction import Transaction
from schemas.job import JobFilter
from tests.sim.memory import PENDING, Job, Rows, named, rows_of


class Batches:
    def lock(self, tx: Transaction, batch: UUID, *, project: UUID | None = None) -> BatchRow | None:
        row = rows_of(tx).batches.get(batch)
        return None if row is None or project not in (None, row.project_id) else row

    def lock_concerned(
        self, tx: Transaction, device: int, seat: UUID | None, jobs: Sequence[str]
    ) -> dict[UUID, BatchRow]:
        rows = rows_of(tx)
        found = {rows.jobs[job].batch_id for job in jobs if job in rows.jobs}
        found |= {rows.windows[window].batch_id for window in rows.of_device.get(device, ())}
        if seat is not None:
            found.add(seat)
        return {batch: rows.batches[batch] for batch in sorted(found)}

    def next_for(self, tx: Transaction, device_type: str, device: str) -> BatchRow | None:
        rows = rows_of(tx)
        found = [
            row
            for row in rows.batches.values()
            if row.device_type == device_type
            and row.device_name in (None, device)
            and (row.status == PENDING or wants_a_lane(rows, row))
        ]
        return min(found, key=_rank, default=None)

    def top_priority(self, tx: Transaction, device_type: str, device: str) -> int | None:
        waiting = [row.priority for row in _pending(rows_of(tx), device_type, device)]
        return max(waiting, default=None)

    def set_idle_deadline(self, tx: Transaction, batch: UUID, deadline: datetime | None) -> None:
        rows = rows_of(tx).batches
        rows_of(tx).put(rows, batch, rows[batch]._replace(idle_deadline=deadline))

    def close(self, tx: Transaction, batch: UUID) -> None:
        rows = rows_of(tx).batches
        rows_of(tx).put(rows, batch, rows[batch]._replace(open=False, idle_deadline=None))

    def set_tags(self, tx: Transaction, batch: UUID, tags: Sequence[str]) -> None:
        """Nothing here looks at tags."""

    def insert(self, tx: Transaction, new: NewBatch, jobs: int) -> None:
        rows = rows_of(tx)
        row = BatchRow(
            id=new.id,
            project_id=new.project_id,
            device_type=new.device_type,
            device_name=new.device_name,
            status=PENDING,
            open=new.open,
            priority=new.priority,
            seq=len(rows.batches),
            preemptible=new.preemptible,
            lanes=new.lanes,
            idle_timeout_s=new.idle_timeout_s,
            jobs_total=jobs,
            jobs_left=jobs,
            admitted_at=None,
            idle_deadline=None,
            overrun_deadline=None,
            jobs_last_at=tx.at if jobs else None,
        )
        rows.put(rows.batches, new.id, row)
        rows.put(rows.limits, new.id, new.max_duration_s)
        rows.put(rows.of_batch, new.id, ())
        rows.log(tx.at, "created", PENDING, batch=new.id)

    def insert_copy(
        self,
        tx: Transaction,
        new: UUID,
        parent: UUID,
        *,
        user: UUID | None,
        key: UUID | None,
        is_open: bool,
        name: str | None,
        jobs: int,
    ) -> None:
        raise NotImplementedError("a rebatch is a new batch as any other")

    def is_pending(self, tx: Transaction, batch: UUID) -> bool:
        row = rows_of(tx).batches.get(batch)
        return row is not None and row.status == PENDING

    def preemptible(self, tx: Transaction, device_type: str) -> list[Seated]:
        found: list[tuple[int, int, Seated]] = []
        rows = rows_of(tx)
        for device in rows.devices.values():
            usable = device.type == device_type and device.online and device.service == "active"
            if not usable or device.seat is None:
                continue
            row = rows.batches[device.seat]
            if row.preemptible and row.status in SEATED:
                found.append((row.priority, -row.seq, Seated(device.id, row.id, row.priority)))
        return [seated for _, _, seated in sorted(found)]

    def paused_for(self, tx: Transaction, device_type: str, device: str) -> list[UUID]:
        found = [
            row
            for row in rows_of(tx).batches.values()
            if row.status == "PAUSED"
            and row.device_type == device_type
            and row.device_name in (None, device)
        ]
        return [row.id for row in sorted(found, key=_rank)]


class Ledger:
    def price(self, tx: Transaction, device_type: str) -> Price | None:
        """Everything here is free."""
        return None


def wants_a_lane(rows: Rows, row: BatchRow) -> bool:
    return (
        row.lanes > 1
        and row.status in SEATED
        and row.lanes > len(rows.holders(row.id))
        and bool(rows.waiting(row.id))
    )


def _rank(row: BatchRow) -> tuple[int, int]:
    return -row.priority, row.seq


def _pending(rows: Rows, device_type: str, device: str | None) -> list[BatchRow]:
    return [
        row
        for row in rows.batches.values()
        if row.status == PENDING
        and row.device_type == device_type
        and row.device_name in (None, device)
    ]


class Jobs:
    def insert(
        self, tx: Transaction, batch: UUID, project: UUID, new: Sequence[NewJob]
    ) -> list[UUID]:
        rows = rows_of(tx)
        known = rows.of_batch[batch]
        ids = [f"{batch}.{ordinal}" for ordinal in range(len(known) + 1, len(known) + len(new) + 1)]
        for ordinal, (job, one) in enumerate(zip(ids, new, strict=True), len(known) + 1):
            row = Job(job, batch, ordinal, PENDING, 0, None, None, False, one.payload)
            rows.put(rows.jobs, job, row)
        rows.put(rows.of_batch, batch, known + tuple(ids))
        return cast(list[UUID], ids)

    def add(self, tx: Transaction, batch: BatchRow, new: Sequence[NewJob]) -> list[UUID]:
        ids = self.insert(tx, batch.id, batch.project_id, new)
        rows = rows_of(tx)
        row = rows.batches[batch.id]
        grown = row._replace(
            jobs_total=row.jobs_total + len(new),
            jobs_left=row.jobs_left + len(new),
            idle_deadline=None,
            jobs_last_at=tx.at,
        )
        rows.put(rows.batches, batch.id, grown)
        rows.log(tx.at, "jobs_added", row.status, batch=batch.id)
        return ids

    def filtered(self, tx: Transaction, batch: UUID, chosen: JobFilter) -> list[JobRow]:
        rows = rows_of(tx)
        wanted = None if chosen.ids is None else set(map(str, chosen.ids))
        named = (rows.jobs[job] for job in rows.of_batch[batch] if not wanted or job in wanted)
        return [
            _shown(job) for job in named if chosen.statuses is None or job.status in chosen.statuses
        ]

    def get(self, tx: Transaction, project: UUID, job: UUID) -> JobRow | None:
        row = rows_of(tx).jobs.get(cast(str, job))
        return None if row is None else _shown(row)

    def request_cancel(
        self, tx: Transaction, jobs: Sequence[str], *, reason: str | None = None
    ) -> None:
        rows = rows_of(tx)
        for job in named(rows, jobs):
            rows.put(rows.jobs, job.id, job._replace(cancel_requested=True))

    def other_runs(
        self, tx: Transaction, runs: Sequence[tuple[str, int]]
    ) -> list[tuple[tuple[str, int], UUID]]:
        known = rows_of(tx).jobs
        return [
            ((job, run), known[job].batch_id)
            for job, run in runs
            if job in known and known[job].run != run
        ]


def _shown(job: Job) -> JobRow:
    return JobRow(cast(UUID, job.id), job.batch_id, job.status, job.run, job.window_id, job.payload)
