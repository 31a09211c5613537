"""A worker's journal in memory: it outlives the process, as one on disk does."""

from dataclasses import dataclass, field

from schemas.task import Canceled, Done, Failed, Lost
from workers.journal import AlreadyBegan, JournalError
from workers.journal import Ending as Ended


@dataclass
class Node:
    """A machine with a journal on its disk; outlives its workers."""

    journal: str
    device: str
    type: str
    runs: dict[tuple[str, int], "Entry"] = field(default_factory=dict)
    session: str | None = None
    full: bool = False
    ended: set[tuple[str, int]] = field(default_factory=set)
    """Runs that came to an end of their own, and the journal knows."""
    stopped: set[tuple[str, int]] = field(default_factory=set)
    """Runs that were interrupted while they ran."""


@dataclass
class Entry:
    window: int
    fence: int
    began_at: float
    outcome: Ended | None = None
    acked: bool = False


class MemoryJournal:
    """As `workers.journal.Journal`, for one process."""

    def __init__(self, node: Node) -> None:
        self.id = node.journal
        self._node = node
        self._live: set[tuple[str, int]] = set()
        self._unsaved: dict[tuple[str, int], Ended] = {}

    def began(self, job: str, run: int, *, batch: str, window: int, fence: int, at: float) -> None:
        if self._node.full:
            raise JournalError("the disk is full")
        if (job, run) in self._node.runs:
            raise AlreadyBegan(job)
        self._node.runs[job, run] = Entry(window, fence, at)
        self._live.add((job, run))

    def finished(self, outcome: Ended, *, at: float, mono: float) -> None:
        key = (outcome.job, outcome.run)
        self._live.discard(key)
        if isinstance(outcome, Canceled):
            self._node.stopped.add(key)
        if self._node.full:
            self._unsaved[key] = outcome
            return
        self._node.runs[key].outcome = outcome
        if isinstance(outcome, Done | Failed):
            self._node.ended.add(key)

    def find(self, job: str, run: int) -> Ended | None:
        if (job, run) in self._unsaved:
            return self._unsaved[job, run]
        entry = self._node.runs.get((job, run))
        if entry is None:
            return None
        return entry.outcome or Lost(job=job, run=run, began_at=entry.began_at)

    def unacknowledged(self) -> list[Ended]:
        return [
            self._unsaved.get(key) or entry.outcome or Lost(job=key[0], run=key[1])
            for key, entry in self._node.runs.items()
            if not entry.acked and key not in self._live
        ]

    def settled_below(self, window: int) -> None:
        for key, entry in self._node.runs.items():
            if not entry.acked and entry.window < window:
                entry.acked, entry.outcome = True, None
                self._unsaved.pop(key, None)
