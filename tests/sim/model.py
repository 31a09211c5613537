"""What a user sees of one device, said a second time: statuses, the seat, who comes next.

Nothing of how it is done is here: no windows, no permits, no messages. So none of what goes wrong
with those may show.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

ENDED: Final = frozenset({"DONE", "CANCELED", "TIMED_OUT"})
SEATED: Final = frozenset({"ADMITTED", "RUNNING"})
DRAINABLE: Final = SEATED | {"PENDING"}


@dataclass
class Batch:
    """`jobs` are statuses, in order."""

    open: bool
    priority: int
    preemptible: bool
    jobs: list[str]
    status: str = "PENDING"

    def left(self) -> int:
        return sum(job in ("PENDING", "RUNNING") for job in self.jobs)

    def drain(self) -> None:
        if not self.open and not self.left() and self.status in DRAINABLE:
            self.status = "DONE"


class OnDevice(NamedTuple):
    """The job that runs. While nobody has told that it began, it is shown as PENDING."""

    batch: int
    job: int


@dataclass
class Model:
    """A batch is known by its place in `batches`, which is its age."""

    batches: list[Batch] = field(default_factory=list)
    seat: int | None = None
    paused: bool = False
    online: bool = True
    runs: OnDevice | None = None
    interrupted: bool = False

    # The device: what it does next, by itself.

    def go_on(self) -> None:
        """Its seat is left if it is time to, and is given to the first in the queue."""
        if self.seat is not None and self.is_time_to_leave(self.batches[self.seat]):
            self.seat = None
        first = self.first()
        if self.seat is None and first is not None and self.online and not self.paused:
            self.seat, self.batches[first].status = first, "ADMITTED"
            self.go_on()

    def is_time_to_leave(self, batch: Batch) -> bool:
        batch.drain()
        if self.runs is not None:
            return False
        if batch.status in SEATED and self.paused:
            batch.status = "PAUSED"
        elif batch.status in SEATED and self.is_outranked(batch):
            batch.status = "PENDING"
        return batch.status not in SEATED

    def is_outranked(self, batch: Batch) -> bool:
        first = self.first()
        higher = first is not None and self.batches[first].priority > batch.priority
        return self.online and batch.preemptible and higher

    def first(self) -> int | None:
        waiting = [n for n, batch in enumerate(self.batches) if batch.status == "PENDING"]
        return min(waiting, key=lambda n: (-self.batches[n].priority, n), default=None)

    def next_job(self) -> OnDevice | None:
        """What would begin now."""
        if self.seat is None or not self.online or self.runs is not None:
            return None
        jobs = self.batches[self.seat].jobs
        return OnDevice(self.seat, jobs.index("PENDING")) if "PENDING" in jobs else None

    def begin(self, begun: OnDevice, *, told: bool) -> None:
        self.runs = begun
        if told:
            self.batches[begun.batch].jobs[begun.job] = "RUNNING"
            self.batches[begun.batch].status = "RUNNING"

    def end(self, how: str) -> None:
        """DONE, ERROR or CANCELED: it ended on its device, so it began there."""
        assert self.runs is not None
        batch = self.batches[self.runs.batch]
        batch.jobs[self.runs.job] = how
        if batch.status == "ADMITTED":
            batch.status = "RUNNING"
        self.runs, self.interrupted = None, False
        self.go_on()

    def lose(self) -> None:
        """Nobody knows how it ended: it waits again, unless it is not wanted any more."""
        if self.runs is not None:
            batch = self.batches[self.runs.batch]
            unwanted = self.interrupted or batch.status in ENDED
            batch.jobs[self.runs.job] = "CANCELED" if unwanted else "PENDING"
        self.runs, self.interrupted = None, False
        self.go_on()

    # Users. What is refused changes nothing, and says False.

    def create(self, *, open: bool, priority: int, jobs: int) -> None:
        self.batches.append(Batch(open, priority, not open, ["PENDING"] * jobs))
        self.go_on()

    def add(self, which: int, jobs: int) -> bool:
        batch = self.batches[which]
        if not batch.open or batch.status in ENDED:
            return False
        batch.jobs += ["PENDING"] * jobs
        return True

    def close(self, which: int) -> bool:
        batch = self.batches[which]
        if batch.open and batch.status in ENDED:
            return False
        if not batch.open:
            return True
        batch.open = False
        batch.drain()
        self.go_on()
        return True

    def cancel_job(self, which: int, job: int, *, interrupt: bool) -> str:
        """The verdict."""
        batch = self.batches[which]
        if batch.jobs[job] not in ("PENDING", "RUNNING"):
            return "ended"
        if self.runs == OnDevice(which, job):
            return self.stop(interrupt=interrupt)
        batch.jobs[job] = "CANCELED"
        batch.drain()
        self.go_on()
        return "canceled"

    def stop(self, *, interrupt: bool) -> str:
        """A device that cannot be reached is killed when it is back."""
        self.interrupted = self.interrupted or interrupt
        if interrupt and self.online:
            self.end("CANCELED")
        return "interrupting" if interrupt else "running"

    def cancel_batch(self, which: int, *, interrupt: bool) -> bool:
        batch = self.batches[which]
        if batch.status in ENDED:
            return False
        batch.status = "CANCELED"
        for number, status in enumerate(batch.jobs):
            if status == "PENDING" and self.runs != OnDevice(which, number):
                batch.jobs[number] = "CANCELED"
        if self.runs is not None and self.runs.batch == which:
            self.stop(interrupt=interrupt)
        self.go_on()
        return True

    def revive(self, which: int) -> bool:
        batch = self.batches[which]
        if batch.status != "CANCELED" or self.seat == which:
            return False
        batch.status = "PENDING"
        batch.jobs = [job if job == "DONE" else "PENDING" for job in batch.jobs]
        self.go_on()
        return True

    def idle(self) -> None:
        """For longer than any batch may."""
        batch = None if self.seat is None else self.batches[self.seat]
        if batch is not None and batch.open and not batch.left() and batch.status in SEATED:
            batch.status = "TIMED_OUT"
        self.go_on()

    # The operator, and the network.

    def pause(self) -> None:
        self.paused = True
        self.go_on()

    def resume(self) -> None:
        self.paused = False
        for batch in self.batches:
            if batch.status == "PAUSED":
                batch.status = "PENDING"
                batch.drain()
        self.go_on()

    def fall_silent(self) -> None:
        self.online = False

    def come_back(self) -> None:
        self.online = True
        self.lose()
