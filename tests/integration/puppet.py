"""A worker without a device: the test takes its messages and decides what it does with them.

The database and the broker are real; only what would leave for the device's queue is caught.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from uuid import UUID

from sqlalchemy import text

from orchestrator.broker.chains import NONE, Chains
from orchestrator.services.append import append
from orchestrator.services.core import Core
from orchestrator.services.hello import hello
from orchestrator.services.settle import began, settle
from orchestrator.services.submit import submit
from schemas.batch import BatchIn
from schemas.job import JobIn
from schemas.task import (
    Beat,
    Began,
    Canceled,
    Done,
    Failed,
    Hello,
    JobTask,
    Lost,
    Result,
    Settle,
    Skipped,
    Window,
    beat_key,
    permit_key,
)

PROJECT = UUID(int=1)
OTHER_PROJECT = UUID(int=2)
TYPE = "TEST"

Outcome = Done | Failed | Canceled | Lost | Skipped


def empty_database(core: Core) -> None:
    """Tables empty but for two projects, broker empty."""
    with core.transaction() as tx:
        tx.connection.execute(
            text(
                'TRUNCATE event, result, job, "window", device, device_type, batch, submission,'
                ' computation, api_key, membership, "user", project, watch CASCADE'
            )
        )
        for project in (PROJECT, OTHER_PROJECT):
            tx.connection.execute(
                text("INSERT INTO project (id, name) VALUES (:id, :name)"),
                {"id": project, "name": str(project)},
            )
    core.permits.client.flushall()


class Caught(Chains):
    """Windows that would have left for a device, by device."""

    def __init__(self, real: Chains) -> None:
        super().__init__(real.app)
        object.__setattr__(self, "windows", [])

    windows: list[Window]

    def send(self, window: Window, headers: Mapping[str, str] = NONE) -> None:
        self.windows.append(window)


def job_bodies(n: int, **payload: Any) -> list[JobIn]:
    return [JobIn(payload={"do": "noop", **payload}) for _ in range(n)]


def new_batch(core: Core, jobs: int = 1, **fields: Any) -> UUID:
    body = BatchIn(device_type=fields.pop("device_type", TYPE), jobs=job_bodies(jobs), **fields)
    with core.transaction() as tx:
        return submit(core, tx, PROJECT, None, body)


def add_jobs(core: Core, batch: UUID, n: int) -> list[UUID]:
    with core.transaction() as tx:
        return append(core, tx, PROJECT, batch, job_bodies(n))


def status_of(core: Core, batch: UUID) -> str:
    with core.transaction() as tx:
        found: str = tx.connection.execute(
            text("SELECT status FROM batch WHERE id = :id"), {"id": batch}
        ).scalar_one()
        return found


def jobs_of(core: Core, batch: UUID) -> list[str]:
    """Statuses by ordinal."""
    with core.transaction() as tx:
        rows = tx.connection.execute(
            text("SELECT status FROM job WHERE batch_id = :id ORDER BY ordinal"), {"id": batch}
        )
        return [row.status for row in rows]


def call(core: Core, verb: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A service, in a transaction of its own."""
    with core.transaction() as tx:
        return verb(core, tx, *args, **options)


@dataclass
class Puppet:
    core: Core
    device: str
    session: str
    journal: str
    type: str = TYPE
    ran: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def online(cls, core: Core, device: str, *, device_type: str = TYPE, journal: str = "") -> Self:
        if not isinstance(core.chains, Caught):
            object.__setattr__(core, "chains", Caught(core.chains))
        journal = journal or f"journal of {device}"
        made = cls(core, device, str(uuid.uuid4()), journal, device_type)
        made.say_hello()
        return made

    def say_hello(self, *outcomes: Outcome) -> None:
        hello(
            self.core,
            Hello(
                device=self.device,
                type=self.type,
                session=self.session,
                journal=self.journal,
                executor="scripted",
                outcomes=list(outcomes),
            ),
        )

    def restarted(self, *outcomes: Outcome, journal: str | None = None) -> "Puppet":
        """A new process for the same device; the same journal unless told otherwise."""
        new = replace(self, session=str(uuid.uuid4()), journal=journal or self.journal)
        new.say_hello(*outcomes)
        return new

    @property
    def inbox(self) -> list[Window]:
        """Messages on this device's queue, oldest first."""
        assert isinstance(self.core.chains, Caught)
        return [w for w in self.core.chains.windows if w.device == self.device]

    def take(self) -> Window:
        """The next message, off the queue."""
        assert isinstance(self.core.chains, Caught)
        window = self.inbox[0]
        self.core.chains.windows.remove(window)
        return window

    def drop_messages(self) -> None:
        assert isinstance(self.core.chains, Caught)
        self.core.chains.windows.clear()

    def has_permit(self, task: JobTask) -> bool:
        """Takes it, as a worker does before it begins."""
        client = self.core.permits.client
        return client.getdel(permit_key(task.job, task.run)) is not None

    def run(self, task: JobTask) -> Outcome:
        if not self.has_permit(task):
            return skipped(task)
        self.ran.append((task.job, task.run))
        return done(task)

    def begin(self, window: Window, task: JobTask) -> None:
        assert self.has_permit(task)
        self.ran.append((task.job, task.run))
        began(
            self.core,
            Began(
                device=self.device,
                session=self.session,
                window=window.window,
                job=task.job,
                run=task.run,
                began_at=time.time(),
            ),
        )

    def answer(self, window: Window, *outcomes: Outcome) -> None:
        settle(
            self.core,
            Settle(
                window=window.window,
                device=self.device,
                session=self.session,
                journal=self.journal,
                outcomes=list(outcomes),
            ),
        )

    def serve(self, window: Window | None = None) -> Window:
        """Run the next message to its end, and settle it."""
        window = window or self.take()
        self.answer(window, *[self.run(task) for task in window.jobs])
        return window

    def serve_all(self, limit: int = 1000) -> list[str]:
        """Until nothing is left to do; the batches of the windows, in the order served."""
        return list(self._serve_each(limit))

    def _serve_each(self, limit: int) -> Iterator[str]:
        for _ in range(limit):
            if not self.inbox:
                return
            yield self.serve().batch
        raise AssertionError(f"{self.device} still had work after {limit} windows")

    def beat(self, window: int | None = None, idle_s: float = 60) -> None:
        beat = Beat(
            type=self.type,
            session=self.session,
            journal=self.journal,
            window=window,
            idle_s=idle_s,
        )
        self.core.permits.client.set(beat_key(self.device), beat.model_dump_json(), ex=60)


def done(task: JobTask, value: Any = None, took_s: float = 0.001) -> Done:
    now = time.time()
    return Done(
        job=task.job,
        run=task.run,
        began_at=now - took_s,
        ended_at=now,
        result=_result({"of": task.ordinal} if value is None else value),
    )


def _result(value: Any) -> Result:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Result(value=value, size=len(text), sha256=hashlib.sha256(text).hexdigest())


def failed(task: JobTask, reason: str = "it broke") -> Failed:
    now = time.time()
    return Failed(job=task.job, run=task.run, began_at=now, ended_at=now, reason=reason)


def skipped(task: JobTask, *, gone: bool = True) -> Skipped:
    return Skipped(job=task.job, run=task.run, gone=gone)


def lost(task: JobTask) -> Lost:
    return Lost(job=task.job, run=task.run, began_at=time.time())
