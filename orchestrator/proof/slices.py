"""Cuts what a certificate shows out of the devices' logs: a batch's entries, all that lies between
them, and their neighbours."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from orchestrator.store.witnesses import Segment, Witnesses
from schemas.certificate import Slice
from schemas.witness import (
    Began,
    BrokenLog,
    Finished,
    Opened,
    first_head,
    hash_of,
    read_line,
)

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""By which the clocks of nodes, database and object store may differ without harm."""
Run = tuple[str, int]


class NotAlone(Exception):
    """An entry of somebody else lies between two of the batch; the text names it."""


class TooManyEntries(Exception):
    """The batch has more than a certificate may hold."""


@dataclass
class Gathered:
    """What the logs say of one batch. `running`: begun, and neither finished nor ended with its
    worker."""

    slices: list[Slice] = field(default_factory=list)
    began: set[Run] = field(default_factory=set)
    done: dict[Run, str | None] = field(default_factory=dict)
    running: set[Run] = field(default_factory=set)
    entries: int = 0


def gather(
    witnesses: Witnesses,
    batch: str,
    device: str,
    into: Gathered,
    *,
    since: datetime,
    until: datetime,
    most: int,
) -> None:
    """Everything that the logs of this device say of the batch, which began there no sooner than
    `since` and ended by `until`. Raises `BrokenLog`, `NotAlone`, `TooManyEntries`."""
    for journal in witnesses.journals(device):
        segments = witnesses.segments(device, journal)
        cutter: _Cutter | None = None
        for segment in _touched(segments, since):
            lines = witnesses.lines_of(segment)
            if cutter is None:
                whole = segment is segments[0]
                head = first_head(journal) if whole else hash_of(next(lines, b""))
                cutter = _Cutter(batch, device, journal, head, into, most)
            for line in lines:
                cutter.read(line)
            if cutter.last_at > (until + CLOCKS_DIFFER).timestamp():
                break
        if cutter is not None:
            cutter.close()


def _touched(segments: list[Segment], since: datetime) -> list[Segment]:
    """Those that may hold something as young, and the one before for the neighbour."""
    young = [n for n, each in enumerate(segments) if each.written_at >= since - CLOCKS_DIFFER]
    return segments[max(0, young[0] - 1) :] if young else []


@dataclass
class _Cutting:
    """A slice that may still grow. `openings` lie behind its last entry: they become part of it
    if another one follows."""

    fence: int
    head: str
    before: str | None
    entries: list[str] = field(default_factory=list)
    openings: list[str] = field(default_factory=list)
    after: str | None = None


class _Cutter:
    """Reads one log, line by line."""

    def __init__(
        self, batch: str, device: str, journal: str, head: str, into: Gathered, most: int
    ) -> None:
        self._batch, self._device, self._journal = batch, device, journal
        self._into, self._most = into, most
        self._head = head
        self._seq: int | None = None
        self._line: tuple[str, str | None] = head, None
        self._cutting: _Cutting | None = None
        self._strangers: dict[int, Began | Finished] = {}
        self._running: Run | None = None
        self.last_at = 0.0

    def read(self, line: bytes) -> None:
        head, entry = read_line(line, self._head)
        if self._seq is not None and entry.seq != self._seq + 1:
            raise BrokenLog(f"entry {entry.seq} stands where {self._seq + 1} should be")
        text = line.decode()
        if isinstance(entry, Opened):
            self._running = None
            if self._cutting:
                self._cutting.after = self._cutting.after or text
                self._cutting.openings.append(text)
        elif entry.batch == self._batch:
            self._take(entry, text)
        else:
            self._end(entry, text)
        self._line = self._head, text
        self._head, self._seq, self.last_at = head, entry.seq, entry.at

    def close(self) -> None:
        if self._running:
            self._into.running.add(self._running)
        if self._cutting:
            self._keep(self._cutting)

    def _take(self, entry: Began | Finished, text: str) -> None:
        if self._cutting and self._cutting.fence != entry.fence:
            self._end(entry, text)
        if stranger := self._strangers.get(entry.fence):
            raise NotAlone(
                f"on {self._device}, job {stranger.job} of batch {stranger.batch} (entry"
                f" {stranger.seq} of its log) lies before entry {entry.seq}, of this batch"
            )
        if self._cutting is None:
            self._cutting = _Cutting(entry.fence, *self._line)
        self._cutting.entries += [*self._cutting.openings, text]
        self._cutting.openings, self._cutting.after = [], None
        self._note(entry)

    def _end(self, stranger: Began | Finished, text: str) -> None:
        if self._cutting:
            self._cutting.after = self._cutting.after or text
            self._strangers[self._cutting.fence] = stranger
            self._keep(self._cutting)
            self._cutting = None

    def _note(self, entry: Began | Finished) -> None:
        self._into.entries += 1
        if self._into.entries > self._most:
            raise TooManyEntries
        run = entry.job, entry.run
        if isinstance(entry, Began):
            self._into.began.add(run)
            self._running = run
        else:
            self._running = None
            if entry.end == "done":
                self._into.done[run] = entry.sha256

    def _keep(self, cutting: _Cutting) -> None:
        self._into.slices.append(
            Slice(
                device=self._device,
                journal=self._journal,
                fence=cutting.fence,
                head=cutting.head,
                before=cutting.before,
                entries=cutting.entries,
                after=cutting.after,
            )
        )
