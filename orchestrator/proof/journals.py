"""One journal's log, read from its first line: entries become runs, and faults are noted."""

from collections.abc import Iterator
from typing import Any, Final

from orchestrator.proof.report import Violation
from orchestrator.store.audit import SHOWN
from orchestrator.store.audit_evidence import Log, Run
from schemas.witness import Began, BrokenLog, Entry, Finished, Opened, Witnessed

CHAIN: Final = "logs are unbroken"
ONE_AT_A_TIME: Final = "one run at a time"
FENCES: Final = "fences only grow"
ENDS: Final = "what ends has begun"
INVARIANT: Final = {CHAIN: 0, ENDS: 0, ONE_AT_A_TIME: 2, FENCES: 2}


class Faults:
    """How many of each kind, and the first of them."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(INVARIANT, 0)
        self.rows: list[Violation] = []

    def note(self, what: str, **row: object) -> None:
        self.counts[what] += 1
        if self.counts[what] <= SHOWN:
            self.rows.append(Violation(INVARIANT[what], what, row))


class Walk:
    """Through one log. `entries` and `log` are there once `runs` is exhausted."""

    def __init__(
        self, number: int, device: str, journal: str, boots: dict[str, int], faults: Faults
    ) -> None:
        """`boots` numbers the boots of all nodes; like `faults`, it is added to."""
        self.number, self.device, self.journal = number, device, journal
        self._faults = faults
        self._boots = boots
        self._boot = 0
        self._fence = 0
        self._first: Entry | None = None
        self._last: Entry | None = None

    @property
    def entries(self) -> int:
        return 0 if self._last is None else self._last.seq

    @property
    def log(self) -> Log | None:
        """None where it has no entry."""
        if self._first is None or self._last is None:
            return None
        return Log(self.number, self.device, self.journal, self._first.at, self._last.at)

    def runs(self, entries: Iterator[Witnessed]) -> Iterator[Run]:
        """Stops at the first line that breaks the chain: what comes after it proves nothing."""
        began: Began | None = None
        entry: Entry | None = None
        try:
            for _, entry in entries:
                # Half of all entries: the end of what has just begun.
                if began is not None and type(entry) is Finished and entry[1:7] == began[1:7]:
                    yield self._run(began, entry[7:])
                    began = None
                    continue
                if began is not None:
                    yield self._run(began, _UNTOLD)
                self._check(entry, began)
                began = entry if isinstance(entry, Began) else None
        except BrokenLog as error:
            self._note(CHAIN, after=self.entries if entry is None else entry.seq, why=str(error))
        if began is not None:
            yield self._run(began, _UNTOLD)
        self._last = entry

    def _run(self, began: Began, end: tuple[Any, ...]) -> Run:
        seq, device, fence, batch, job, run, window, at, mono = began
        return _RUN(
            (device, self.number, self._boot, fence, batch, job, run, window, seq, at, mono, *end)
        )

    def _check(self, entry: Entry, before: Began | None) -> None:
        """`before`: what began last and was not seen to end."""
        if self._first is None:
            self._first = entry
            if not isinstance(entry, Opened):
                self._note(CHAIN, after=0, why="it does not begin with a worker that opened it")
        if entry.device != self.device:
            self._note(CHAIN, after=entry.seq, why=f"it is of device {entry.device!r}")
        if isinstance(entry, Opened):
            self._opened(entry)
        elif isinstance(entry, Finished):
            self._note(ENDS, seq=entry.seq, **_named(entry))
        else:
            self._began(entry, before)

    def _opened(self, entry: Opened) -> None:
        self._boot = self._boots.setdefault(entry.boot, len(self._boots))
        if entry.journal != self.journal:
            self._note(CHAIN, after=entry.seq, why=f"it is of journal {entry.journal!r}")

    def _began(self, entry: Began, before: Began | None) -> None:
        if before is not None:
            self._note(ONE_AT_A_TIME, seq=entry.seq, **_named(entry), unfinished=before.job)
        if entry.fence < self._fence:
            self._note(FENCES, seq=entry.seq, **_named(entry), before=self._fence)
        self._fence = max(self._fence, entry.fence)

    def _note(self, what: str, **row: object) -> None:
        self._faults.note(what, device=self.device, journal=self.journal, **row)


_RUN: Final = Run._make
_UNTOLD: Final = (None, None, None, None)


def _named(entry: Began | Finished) -> dict[str, object]:
    return {"fence": entry.fence, "batch": entry.batch, "job": entry.job, "run": entry.run}
