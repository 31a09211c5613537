"""The witness log's own table, beside the journal's runs and within its transactions.

Each line is written by the same commit as the run that it tells of, so that neither is ever
there without the other. The lines stay until the object store has them.
"""

import sqlite3
import time
import uuid
from pathlib import Path
from typing import Final

from schemas.task import Canceled, Done, Failed, Lost
from schemas.witness import Began, Entry, Finished, Opened, first_head, hash_of, line_of

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS witness (seq INTEGER PRIMARY KEY, line BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS segment (first_seq INTEGER NOT NULL);
INSERT INTO segment SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM segment);
"""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

Of = tuple[int, str, str, int, int]
"""Fence, batch, job, run and window."""


class WitnessLog:
    """Not safe for several threads. Call `committed` or `undone` after each transaction."""

    def __init__(self, db: sqlite3.Connection, *, device: str, journal: str) -> None:
        self._db = db
        self._device = device
        self._journal = journal
        self._opened = journal, _boot_id(), time.time(), time.monotonic()
        self._is_open = self._was_open = False
        self._last: tuple[int, str] | None = None

    def opened(self) -> None:
        """The first of every process, whatever it writes."""
        if not self._is_open:
            self._append(Opened(self._next(), self._device, *self._opened))
            self._is_open = True

    def began(self, of: Of, *, at: float) -> float:
        """Gives the time.monotonic() that it wrote down."""
        self.opened()
        mono = time.monotonic()
        self._append(Began(self._next(), self._device, *of, at, mono))
        return mono

    def finished(
        self, of: Of, end: Done | Failed | Canceled | Lost, *, at: float, mono: float
    ) -> None:
        self.opened()
        sha256 = end.result.sha256 if isinstance(end, Done) else None
        self._append(Finished(self._next(), self._device, *of, at, mono, end.kind, sha256))

    def committed(self) -> None:
        self._was_open = self._is_open

    def undone(self) -> None:
        # What the disk has is asked anew: a commit that failed may have come through.
        self._last, self._is_open = None, self._was_open

    def segment(self) -> int:
        """The first entry that the object store may not have."""
        first: int = self._db.execute("SELECT first_seq FROM segment").fetchone()[0]
        return first

    def lines(self, first: int, limit: int) -> list[bytes]:
        rows = self._db.execute(
            "SELECT line FROM witness WHERE seq >= ? ORDER BY seq LIMIT ?", (first, limit)
        )
        return [row[0] for row in rows]

    def forget_below(self, first: int) -> None:
        """The object store has them for good. The last line stays: the next one follows it."""
        self._db.execute("UPDATE segment SET first_seq = ?", (first,))
        self._db.execute(
            "DELETE FROM witness WHERE seq < ? AND seq < (SELECT max(seq) FROM witness)", (first,)
        )

    def _next(self) -> int:
        if self._last is None:
            row = self._db.execute(
                "SELECT seq, line FROM witness ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            self._last = (row[0], hash_of(row[1])) if row else (0, first_head(self._journal))
        return self._last[0] + 1

    def _append(self, entry: Entry) -> None:
        assert self._last is not None
        own, line = line_of(entry, self._last[1])
        self._db.execute("INSERT INTO witness VALUES (?, ?)", (entry.seq, line))
        self._last = entry.seq, own


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        # Then no two processes can compare their monotonic clocks, and none does.
        return str(uuid.uuid4())
