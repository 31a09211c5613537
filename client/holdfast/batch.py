"""A batch, as a handle: what the server last said of it, and what can be done with it."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self, TypedDict, Unpack

from holdfast.deadline import NEVER, Backoff, Deadline
from holdfast.errors import Conflict
from holdfast.estimate import Estimate
from holdfast.job import Job, jobs_of, wait_for_jobs
from holdfast.reading import fields_of, given, read
from holdfast.records import BATCH_OVER, CancelVerdict, Event, JobResult, Value
from holdfast.session import Session
from holdfast.transport import path
from holdfast.waiting import Wait

JobSpec = Mapping[str, Any]
"""One job to submit: `runs`, `variables`, `payload`, as its device wants them."""

PROGRESS_PACE_S: Final = 0.1


class JobFilter(TypedDict, total=False):
    """Which jobs are meant; nothing given means all of them."""

    ids: Iterable[Job | str]
    statuses: Iterable[str]
    created_after: datetime
    created_before: datetime
    min_runs: int
    max_runs: int


@dataclass(kw_only=True, eq=False, repr=False)
class Batch(Value):
    """`status` is PENDING, ADMITTED, RUNNING, PAUSED or PREEMPTED, and at the end DONE,
    CANCELED, TIMED_OUT or ERROR. Two handles on one batch are equal."""

    id: str
    project_id: str
    status: str
    open: bool
    device_type: str
    priority: int
    preemptible: bool
    lanes: int
    idle_timeout_s: float
    jobs_total: int
    jobs_left: int
    jobs_done: int
    jobs_failed: int
    jobs_canceled: int
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    device: str | None = None
    devices: list[str] = field(default_factory=list)
    max_duration_s: float | None = None
    tags: list[str] = field(default_factory=list)
    parent_id: str | None = None
    reason: str | None = None
    queue_position: int | None = None
    admitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    idle_deadline: datetime | None = None
    _session: Session = field(kw_only=True)

    def __repr__(self) -> str:
        over = self.jobs_total - self.jobs_left
        state = f"{self.status}{' open' if self.open else ''}"
        return f"<Batch {self.id} {state} {over}/{self.jobs_total} jobs>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batch) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def is_over(self) -> bool:
        return self.status in BATCH_OVER

    def refresh(self) -> Self:
        """Ask the server, and update this handle in place."""
        return self._ask(NEVER)

    def jobs(self, *statuses: str) -> list[Job]:
        """Its jobs in the order of submission, as they are now; those with one of `statuses`
        where any is given."""
        wanted = given(batch_id=self.id, status=list(statuses) or None)
        return jobs_of(self._session, self._session.transport.pages(path("jobs"), **wanted))

    def add_jobs(
        self, jobs: Sequence[JobSpec], wait: bool = False, *, idempotency_key: str | None = None
    ) -> list[Job]:
        """Append to an open batch; with `wait`, return when these jobs are over."""
        body = {"jobs": [dict(job) for job in jobs]}
        return self._added(self._post("jobs", body=body, key=idempotency_key), wait)

    def retry(self, job: Job | str, wait: bool = False) -> Job:
        """Append a new job like that one to this open batch."""
        answer = self._session.transport.post(path("jobs", _id(job), "retry"))
        return self._added(answer, wait)[0]

    def close(self, wait: bool = False) -> Self:
        """It takes no more jobs, and ends when those it has are over; with `wait`, return
        then."""
        self._take(self._post("close"))
        return self.wait() if wait else self

    def cancel(self, interrupt: bool = True) -> Self:
        """Without `interrupt`, what runs now is left to end."""
        self._take(self._post("cancel", body={"interrupt": interrupt}))
        return self

    def cancel_jobs(
        self, *, interrupt: bool = True, **only: Unpack[JobFilter]
    ) -> list[CancelVerdict]:
        """One verdict for each job that the filter names."""
        body = {"interrupt": interrupt, "filter": _filter(only)}
        report = self._post("jobs", "cancel", body=body)
        return [read(CancelVerdict, verdict) for verdict in report["verdicts"]]

    def rebatch(
        self, *, open: bool = False, name: str | None = None, **only: Unpack[JobFilter]
    ) -> "Batch":
        """A new batch from those jobs of this one that the filter names."""
        body = {"filter": _filter(only), "open": open, **given(name=name)}
        return read(Batch, self._post("rebatch", body=body), _session=self._session)

    def revive(self) -> Self:
        """Take up a batch that was canceled or broke: its unfinished jobs, under this id."""
        self._take(self._post("revive"))
        return self

    def set_tags(self, *tags: str) -> Self:
        """Replace its tags."""
        where = path("batches", self.id, "tags")
        self._take(self._session.transport.call("PUT", where, body={"tags": tags}))
        return self

    def wait(
        self, timeout: float | None = None, progress: Callable[["Batch"], object] | None = None
    ) -> Self:
        """Until it is over, however it ends; WaitTimeout after `timeout` seconds.

        `progress` is called with this batch at the start and after changes, at most about ten
        times a second. An open batch ends only when it is closed, or, left idle, TIMED_OUT; to
        wait for its jobs alone use `wait_jobs` or `results`.
        """
        deadline = Deadline(timeout)

        def over() -> bool:
            self._ask(deadline)
            if progress is not None:
                progress(self)
            return self.is_over

        self._wait(
            over,
            Event.ends_batch if progress is None else _any_event,
            deadline,
            pace_s=0.0 if progress is None else PROGRESS_PACE_S,
        )
        self._session.cursors.forget(self.id)
        return self

    def wait_jobs(
        self, jobs: Iterable[Job] | None = None, timeout: float | None = None
    ) -> list[Job]:
        """Until these jobs (None: all that it has now) are over, updated in place."""
        wanted = self.jobs() if jobs is None else list(jobs)
        wait_for_jobs(self._session, wanted, Deadline(timeout))
        return wanted

    def results(self, timeout: float | None = None) -> list[JobResult]:
        """The end of each of its jobs, in the order of submission; waits until none is left.

        A failed job is an entry like any other: see `JobResult.ok`, or call `unwrap`. On an
        open batch these are the jobs that it has so far.
        """
        self._wait_for_no_job_left(Deadline(timeout))
        pages = self._session.transport.pages(path("batches", self.id, "results"))
        results = [read(JobResult, {**each, "value": self._value(each)}) for each in pages]
        return sorted(results, key=lambda result: result.ordinal)

    def estimate(self) -> Estimate:
        """When it is expected to begin and to end, how good such figures were, and why it
        waits."""
        return Estimate.of(self._session.transport.get(path("batches", self.id, "estimate")))

    def certificate(self, timeout: float | None = 60.0) -> dict[str, Any]:
        """That it was alone on its devices, by their own logs, signed; `holdfast verify
        --certificate` checks it. Waits for the batch and for the logs, which come some seconds
        after it; Conflict where there will never be one."""
        deadline = Deadline(timeout)
        self.wait(timeout)
        backoff = Backoff(0.2, 2.0)
        while True:
            try:
                signed: dict[str, Any] = self._session.transport.get(
                    path("batches", self.id, "certificate"), deadline
                )
                return signed
            except Conflict as error:
                if error.code != "certificate_not_ready" or deadline.passed():
                    raise
            time.sleep(deadline.cap(backoff.pause()))

    def _value(self, row: Mapping[str, Any]) -> Any:
        """A result too large for a listing has an address of its own."""
        large = row.get("result") is None and row.get("result_url")
        if not large:
            return row.get("result")
        return self._session.transport.get(path("jobs", str(row["job_id"]), "result"))

    def _wait_for_no_job_left(self, deadline: Deadline) -> None:
        untold = 0

        def over() -> bool:
            nonlocal untold
            untold = self._ask(deadline).jobs_left
            return untold == 0

        def touches(event: Event) -> bool:
            nonlocal untold
            untold -= event.ends_job()
            return untold <= 0 or event.ends_batch()

        self._wait(over, touches, deadline)

    def _wait(
        self,
        over: Callable[[], bool],
        touches: Callable[[Event], bool],
        deadline: Deadline,
        pace_s: float = 0.0,
    ) -> None:
        Wait(
            session=self._session,
            batch_id=self.id,
            what=f"batch {self.id}",
            over=over,
            touches=touches,
            deadline=deadline,
            pace_s=pace_s,
        ).run()

    def _added(self, answer: Any, wait: bool) -> list[Job]:
        jobs = jobs_of(self._session, answer["jobs"])
        if wait:
            wait_for_jobs(self._session, jobs, NEVER)
        return jobs

    def _post(self, *verb: str, body: Any = None, key: str | None = None) -> Any:
        return self._session.transport.post(path("batches", self.id, *verb), body, key=key)

    def _ask(self, deadline: Deadline) -> Self:
        self._take(self._session.transport.get(path("batches", self.id), deadline))
        return self

    def _take(self, data: Any) -> None:
        for name, value in fields_of(Batch, data).items():
            setattr(self, name, value)


def _filter(only: JobFilter) -> dict[str, Any]:
    wanted: dict[str, Any] = given(**only)
    if "ids" in wanted:
        wanted["ids"] = [_id(job) for job in wanted["ids"]]
    if "statuses" in wanted:
        wanted["statuses"] = list(wanted["statuses"])
    return wanted


def _any_event(_: Event) -> bool:
    return True


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id
