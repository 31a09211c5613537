"""What the stand-in server remembers. Made with the schemas, so it cannot drift from them."""

import threading
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from schemas.batch import Batch, BatchIn
from schemas.device import Device, Key, Limits
from schemas.event import Event
from schemas.job import Job, JobFilter, JobIn
from schemas.words import BatchStatus, DeviceStatus, JobStatus

BATCH_OVER: Final = ("DONE", "CANCELED", "TIMED_OUT", "ERROR")
COUNTS: Final = ("jobs_total", "jobs_left", "jobs_done", "jobs_failed", "jobs_canceled")
JOB_OVER: Final = ("DONE", "ERROR", "CANCELED")


def now() -> datetime:
    return datetime.now(UTC)


class Model:
    """What the server remembers, and the only way it changes."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.project = uuid.uuid4()
        self.batches: dict[str, Batch] = {}
        self.jobs: dict[str, Job] = {}
        self.results: dict[str, Any] = {}
        self.events: list[Event] = []
        self.keys: dict[str, Key] = {}
        self.devices = {
            "emu-1": Device(name="emu-1", type="EMU_FREE", status=DeviceStatus.ONLINE, fence=1)
        }

    def jobs_of(self, batch_id: Any) -> list[Job]:
        return [job for job in self.jobs.values() if str(job.batch_id) == str(batch_id)]

    def add_batch(self, given: BatchIn, parent: Any = None) -> Batch:
        fields = given.model_dump(exclude={"jobs", "sequence", "payload", "device"})
        batch = Batch.model_validate(
            {
                **fields,
                **dict.fromkeys(COUNTS, 0),
                "preemptible": bool(given.preemptible),
                "idle_timeout_s": given.idle_timeout_s or 300,
                "id": uuid.uuid4(),
                "project_id": self.project,
                "parent_id": parent,
                "status": BatchStatus.PENDING,
                "created_at": now(),
                "updated_at": now(),
            }
        )
        self.batches[str(batch.id)] = batch
        self.tell(batch, None)
        self.add_jobs(batch, given.jobs)
        return batch

    def add_jobs(self, batch: Batch, given: list[JobIn]) -> list[Job]:
        before = len(self.jobs_of(batch.id))
        added = [
            Job(
                **each.model_dump(),
                id=uuid.uuid4(),
                batch_id=batch.id,
                ordinal=before + place,
                status=JobStatus.PENDING,
                run=0,
                created_at=now(),
            )
            for place, each in enumerate(given, 1)
        ]
        self.jobs.update({str(job.id): job for job in added})
        self.count(batch)
        return added

    def count(self, batch: Batch) -> None:
        jobs = [str(job.status) for job in self.jobs_of(batch.id)]
        batch.jobs_total, batch.jobs_done = len(jobs), jobs.count("DONE")
        batch.jobs_failed, batch.jobs_canceled = jobs.count("ERROR"), jobs.count("CANCELED")
        batch.jobs_left = sum(status not in JOB_OVER for status in jobs)

    def end_job(self, job: Job, status: str, result: Any = None, reason: str | None = None) -> None:
        with self.changed:
            job.status, job.reason, job.ended_at = JobStatus(status), reason, now()
            if status == "DONE":
                self.results[str(job.id)] = result
            batch = self.batches[str(job.batch_id)]
            self.count(batch)
            self.tell(batch, job)
            if not batch.jobs_left and not batch.open and batch.status not in BATCH_OVER:
                self.end_batch(batch, "DONE")

    def end_batch(self, batch: Batch, status: str) -> None:
        with self.changed:
            batch.status, batch.open, batch.ended_at = BatchStatus(status), False, now()
            self.tell(batch, None)
            for job in self.jobs_of(batch.id):
                if job.status not in JOB_OVER:
                    self.end_job(job, "CANCELED", reason=f"its batch ended {status}")

    def tell(self, batch: Batch, job: Job | None) -> None:
        with self.changed:
            thing = job or batch
            kind = f"{'job' if job else 'batch'}.{thing.status.value.lower()}"
            self.events.append(
                Event(
                    id=f"{len(self.events) + 1:06d}",
                    kind=kind,
                    batch_id=batch.id,
                    job_id=job.id if job else None,
                    status=thing.status,
                    at=now(),
                )
            )
            self.changed.notify_all()

    def run_all(self, batch_id: str) -> None:
        """Every job of the batch ends DONE with its ordinal as the result."""
        with self.changed:
            for job in self.jobs_of(batch_id):
                if job.status not in JOB_OVER:
                    self.end_job(job, "DONE", {"ordinal": job.ordinal})

    def run_everything(self) -> None:
        for batch_id in list(self.batches):
            self.run_all(batch_id)


def matches(job: Job, only: JobFilter) -> bool:
    return (only.ids is None or job.id in only.ids) and (
        only.statuses is None or job.status in only.statuses
    )


LIMITS: Final = Limits(
    max_batch_size=1000,
    max_body_bytes=1 << 24,
    max_sequence_bytes=1 << 20,
    max_runs=100_000,
    idle_timeout_s=300,
    max_idle_timeout_s=3600,
    max_lanes=64,
    result_inline_bytes=1 << 18,
)


def test_a_batch_of_the_model_is_done_with_its_last_job() -> None:
    model = Model()
    batch = model.add_batch(BatchIn(device_type="EMU_FREE", jobs=[JobIn(), JobIn()]))
    model.run_all(str(batch.id))
    assert (batch.status, batch.jobs_done, batch.jobs_left) == ("DONE", 2, 0)
