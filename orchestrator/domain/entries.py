"""What the submit-batch door decides by: its words for states, room on a controller, who leads."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from schemas.words import BatchStatus, JobStatus

State = Literal["pending", "running", "done", "failed", "cancelled"]
LONGEST_NAME: Final = 120

STATES: Final[dict[str, State]] = {
    JobStatus.PENDING: "pending",
    JobStatus.RUNNING: "running",
    JobStatus.DONE: "done",
    JobStatus.ERROR: "failed",
    JobStatus.CANCELED: "cancelled",
}


def state_of(status: str, *, left: bool) -> State:
    """`left`: its owner canceled it, while it runs on for its twins."""
    return "cancelled" if left else STATES[status]


def name_flaw(name: str) -> str | None:
    """What is wrong with a name that a user gives a job."""
    if not name.strip():
        return "must not be empty"
    if len(name.strip()) > LONGEST_NAME:
        return f"must have at most {LONGEST_NAME} characters"
    return None if name.isprintable() else "must have printable characters only"


def formula(symbols: Iterable[str]) -> str:
    """In Hill's order: carbon, hydrogen, then by the alphabet."""
    counts = Counter(symbols)
    first = [symbol for symbol in ("C", "H") if "C" in counts and symbol in counts]
    order = [*first, *sorted(symbol for symbol in counts if symbol not in first)]
    return "".join(f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}" for symbol in order)


@dataclass(frozen=True, slots=True)
class Needs:
    """What one job takes of a controller from when it is accepted until it ends."""

    job_type: str
    cores: int = 1
    memory_mb: int = 512


@dataclass(kw_only=True, slots=True)
class Room:
    """A controller, and how much of it pending and running jobs take. `slots`: how many jobs of
    a type it takes; no bound for a type that it does not name."""

    name: str
    cores: int
    memory_mb: int
    slots: Mapping[str, int] = field(default_factory=dict)
    used_cores: int = 0
    used_memory_mb: int = 0
    used_slots: Counter[str] = field(default_factory=Counter)

    def refusal(self, needs: Needs) -> str | None:
        """The first limit that is reached, in words."""
        full = f"BYOC controller '{self.name}' is at capacity"
        most = self.slots.get(needs.job_type)
        taken = self.used_slots[needs.job_type]
        if most is not None and taken >= most:
            return f"{full} for {needs.job_type}: {taken}/{most}"
        if self.used_cores + needs.cores > self.cores:
            return f"{full}: {self.used_cores}/{self.cores} cores"
        if self.used_memory_mb + needs.memory_mb > self.memory_mb:
            return f"{full}: {self.used_memory_mb}/{self.memory_mb} MB memory"
        return None

    def take(self, needs: Needs, jobs: int = 1) -> None:
        self.used_cores += needs.cores * jobs
        self.used_memory_mb += needs.memory_mb * jobs
        self.used_slots[needs.job_type] += jobs


class Course(StrEnum):
    """What becomes of an entry that is accepted."""

    RUN = "run"
    FOLLOW = "follow"
    HIT = "hit"


@dataclass(frozen=True, slots=True)
class Leader:
    """The job that a content key has, and the device type that it is for. `status` None: there is
    no such job yet. `awaited`: it has ended without a result, and twins do not know it yet."""

    job: UUID
    device_type: str
    status: str | None
    awaited: bool = False

    @property
    def is_free(self) -> bool:
        """Nobody can follow it any more."""
        return self.status in (None, JobStatus.ERROR, JobStatus.CANCELED)

    def gives_way_to(self, device_type: str) -> bool:
        """Whether a new job takes its place: those that still wait would then follow that one."""
        return self.is_free and (not self.awaited or self.device_type == device_type)


def course(leader: Leader | None, device_type: str) -> Course:
    """A twin waits only for one that goes where it was to go itself: whoever asks for a fast
    device must not wait for a slow one."""
    if leader is None or leader.is_free:
        return Course.RUN
    if leader.status == JobStatus.DONE:
        return Course.HIT
    return Course.FOLLOW if leader.device_type == device_type else Course.RUN


class Sequel(StrEnum):
    """What followers do when their leader has ended."""

    WAIT = "wait"
    SHARE = "share"
    REPLACE = "replace"


def sequel(leader: str, batch: str) -> Sequel:
    """By the leader's status and its batch's. One that was canceled is replaced; but one that was
    ended because its batch took too long would only take too long again."""
    if leader in (JobStatus.PENDING, JobStatus.RUNNING):
        return Sequel.WAIT
    if leader == JobStatus.CANCELED and batch not in (BatchStatus.TIMED_OUT, BatchStatus.ERROR):
        return Sequel.REPLACE
    return Sequel.SHARE
