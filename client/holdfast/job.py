"""A job, as a handle: what the server last said of it, and what can be done with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from typing import Any, Final, Self

from holdfast.compute_job import ComputeJob
from holdfast.deadline import NEVER, Deadline
from holdfast.errors import Conflict, JobFailed
from holdfast.reading import fields_of, read
from holdfast.records import JOB_OVER, CancelVerdict, Event, Value
from holdfast.session import Session
from holdfast.transport import path
from holdfast.waiting import Wait

FEW: Final = 8
"""Up to so many jobs are asked for one by one; more are cheaper as a listing."""


@dataclass(kw_only=True, eq=False, repr=False)
class Job(Value):
    """`status` is PENDING, RUNNING, DONE, ERROR or CANCELED; `run` counts the hand-overs to a
    device, `runs` is how many shots were asked for. Two handles on one job are equal."""

    id: str
    batch_id: str
    ordinal: int
    status: str
    run: int
    created_at: datetime
    runs: int | None = None
    variables: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None
    reason: str | None = None
    device: str | None = None
    parent_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    _session: Session = field(kw_only=True)

    @staticmethod
    def load(saved: Mapping[str, Any] | str | PathLike[str]) -> ComputeJob:
        """A job of the submit-batch door, from a snapshot or the file of one, or from its entry
        in the answer of `submit_batch`. Finds it again; never submits it again."""
        return ComputeJob.load(saved)

    def __repr__(self) -> str:
        return f"<Job {self.ordinal} {self.id} {self.status}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def is_over(self) -> bool:
        return self.status in JOB_OVER

    def refresh(self) -> Self:
        """Ask the server, and update this handle in place."""
        return self._ask(NEVER)

    def wait(self, timeout: float | None = None) -> Self:
        """Until it is over, however it ends; WaitTimeout after `timeout` seconds."""
        wait_for_jobs(self._session, [self], Deadline(timeout))
        return self

    def result(self, timeout: float | None = None) -> Any:
        """What it gave, usually a dict; waits until it is over. JobFailed if it gave nothing,
        WaitTimeout after `timeout` seconds."""
        self.wait(timeout)
        if self.status != "DONE":
            raise JobFailed(self.id, self.status, self.reason)
        return self._session.transport.get(path("jobs", self.id, "result"))

    def result_now(self) -> Any:
        """The result without waiting; None while there is none, JobFailed if there never is."""
        try:
            return self._session.transport.get(path("jobs", self.id, "result"))
        except Conflict:
            if self.refresh().status in ("ERROR", "CANCELED"):
                raise JobFailed(self.id, self.status, self.reason) from None
            return None

    def cancel(self, interrupt: bool = True) -> CancelVerdict:
        """The verdict says what became of it; it does not change this handle. Without `interrupt`,
        a job that runs is left to end, and this raises `Conflict`."""
        body = {"interrupt": interrupt}
        verdict = self._session.transport.post(path("jobs", self.id, "cancel"), body)
        return read(CancelVerdict, verdict)

    def withdraw(self) -> None:
        """Nobody is given its result from the cache any more; for operators."""
        self._session.transport.post(path("jobs", self.id, "withdraw"), {})

    def _ask(self, deadline: Deadline) -> Self:
        self._take(self._session.transport.get(path("jobs", self.id), deadline))
        return self

    def _take(self, data: Any) -> None:
        for name, value in fields_of(Job, data).items():
            setattr(self, name, value)


def jobs_of(session: Session, data: Iterable[Any]) -> list[Job]:
    return [read(Job, each, _session=session) for each in data]


def wait_for_jobs(session: Session, jobs: Iterable[Job], deadline: Deadline) -> None:
    """Until each is over. All are of one batch; their handles are updated in place."""
    wanted = {job.id: job for job in jobs if not job.is_over}
    if not wanted:
        return
    watch = _Unfinished(session, wanted)
    Wait(
        session=session,
        batch_id=watch.batch_id,
        what=f"{len(wanted)} job(s) of batch {watch.batch_id}",
        over=lambda: watch.ask(deadline),
        touches=watch.touched_by,
        deadline=deadline,
    ).run()


class _Unfinished:
    """Those of the wanted jobs that are not known to be over."""

    def __init__(self, session: Session, wanted: dict[str, Job]) -> None:
        self._session = session
        self._wanted = wanted
        self._untold = set(wanted)
        self.batch_id = next(iter(wanted.values())).batch_id

    def ask(self, deadline: Deadline) -> bool:
        left = [job for job in self._wanted.values() if not job.is_over]
        if len(left) <= FEW:
            for job in left:
                job._ask(deadline)
        else:
            self._list(deadline)
        self._untold = {job.id for job in left if not job.is_over}
        return not self._untold

    def touched_by(self, event: Event) -> bool:
        if event.ends_job() and event.job_id in self._untold:
            self._untold.discard(event.job_id)
            return not self._untold
        return event.ends_batch()

    def _list(self, deadline: Deadline) -> None:
        pages = self._session.transport.pages(path("jobs"), deadline, batch_id=self.batch_id)
        for data in pages:
            job = self._wanted.get(data.get("id", ""))
            if job is not None:
                job._take(data)
