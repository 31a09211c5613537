"""The engine's store in memory: the same ports, the same guards, no database.

What it does is held against Postgres by test_memory_is_postgres. Ids are short strings: hundreds of
histories a second leave no time for UUIDs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from orchestrator.store.batches import BatchRow
from orchestrator.store.devices import DeviceRow
from orchestrator.store.transaction import Transaction
from orchestrator.store.windows import InFlight

START: Final = datetime(2030, 1, 1, tzinfo=UTC)
PENDING, RUNNING = "PENDING", "RUNNING"


class Job(NamedTuple):
    """One row of the job table."""

    id: str
    batch_id: UUID
    ordinal: int
    status: str
    run: int
    window_id: int | None
    device_id: int | None
    cancel_requested: bool
    payload: dict[str, Any]


class Event(NamedTuple):
    """One row of the event table."""

    at: datetime
    kind: str
    status: str | None
    batch: UUID | None
    job: str | None
    device: int | None
    detail: Mapping[str, Any] | None


class Ended(NamedTuple):
    """One row of the result table."""

    run: int
    sha256: str | None


@dataclass
class Rows:
    """The tables. Rows are never changed, only replaced, so that whoever read one keeps it."""

    now: Callable[[], datetime]
    on_lost: str | None = None
    batches: dict[UUID, BatchRow] = field(default_factory=dict)
    limits: dict[UUID, float | None] = field(default_factory=dict)
    devices: dict[int, DeviceRow] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    of_batch: dict[UUID, tuple[str, ...]] = field(default_factory=dict)
    windows: dict[int, InFlight] = field(default_factory=dict)
    of_device: dict[int, tuple[int, ...]] = field(default_factory=dict)
    results: dict[str, Ended] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    beats_read: dict[str, datetime] = field(default_factory=dict)
    last_window: int = 0
    undo: list[tuple[dict[Any, Any], Any, Any]] = field(default_factory=list)

    def waiting(self, batch: UUID) -> list[Job]:
        """Jobs that could be staged, by ordinal."""
        rows = map(self.jobs.__getitem__, self.of_batch[batch])
        return [job for job in rows if job.status == PENDING and job.window_id is None]

    def staged(self, window: int) -> list[Job]:
        """By ordinal; a window that is forgotten has none."""
        known = self.windows.get(window)
        if known is None:
            return []
        rows = map(self.jobs.__getitem__, self.of_batch[known.batch_id])
        return [job for job in rows if job.window_id == window]

    def holders(self, batch: UUID) -> list[int]:
        return [device.id for device in self.devices.values() if device.seat == batch]

    def put(self, table: dict[Any, Any], key: Any, row: Any) -> None:
        self.undo.append((table, key, table.get(key)))
        table[key] = row

    def drop(self, table: dict[Any, Any], key: Any) -> None:
        self.undo.append((table, key, table.pop(key)))

    def log(
        self,
        at: datetime,
        kind: str,
        status: str | None,
        *,
        batch: UUID | None = None,
        job: str | None = None,
        device: int | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        self.events.append(Event(at, kind, status, batch, job, device, detail))


class MemoryTransaction(Transaction):
    """Undone as a whole unless it is committed. There is never more than one at a time."""

    def __init__(self, rows: Rows, on_commit: "OnCommit") -> None:
        self.rows = rows
        self.hooks = []
        self.set_clock(rows.now())
        self._on_commit = on_commit
        rows.undo.clear()
        self._events = len(rows.events)

    def rollback(self) -> None:
        for table, key, old in reversed(self.rows.undo):
            if old is None:
                table.pop(key, None)
            else:
                table[key] = old
        del self.rows.events[self._events :]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.rollback()
            return
        self._on_commit(self)


class OnCommit:
    """What a commit does: nothing goes wrong, every hook runs."""

    def __call__(self, tx: MemoryTransaction) -> None:
        for hook in tx.hooks:
            hook()


rows_of: Final[Callable[[Transaction], Rows]] = attrgetter("rows")


def after(moment: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else moment + timedelta(seconds=seconds)


def count_ended(rows: Rows, ended: Iterable[Job]) -> dict[UUID, int]:
    """How many jobs are left, by batch, now that these are over."""
    left: dict[UUID, int] = {}
    for job in ended:
        batch = rows.batches[job.batch_id]
        left[batch.id] = batch.jobs_left - 1
        rows.put(rows.batches, batch.id, batch._replace(jobs_left=batch.jobs_left - 1))
    return left


def named(rows: Rows, ids: Sequence[str]) -> list[Job]:
    return [rows.jobs[job] for job in ids if job in rows.jobs]
