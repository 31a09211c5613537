"""The device's own log of what it began and finished, on the worker's disk.

SQLite in WAL mode with synchronous=NORMAL: a commit reaches the operating system, so kill -9
of the worker loses nothing. A power loss may forget the last commits; a forgotten *began* is
harmless, because its permit is gone too and so that run never begins again. What the witness
log has told the object store is synced before.
"""

import fcntl
import logging
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Final, NamedTuple, Self

from schemas.task import OUTCOME, Canceled, Done, Failed, Lost, Skipped
from workers import witness
from workers.witness import WitnessLog

logger = logging.getLogger(__name__)

Ending = Done | Failed | Canceled | Lost
Run = tuple[str, int]

_FILE: Final = "journal.db"
KEPT_RUNS: Final = 200_000
"""Settled runs whose key stays, so that a late copy of their message is still refused."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    job TEXT NOT NULL,
    run INTEGER NOT NULL,
    batch TEXT NOT NULL,
    window INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    began_at REAL NOT NULL,
    ended_at REAL,
    outcome TEXT,
    acked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, run)
);
CREATE INDEX IF NOT EXISTS runs_unacked ON runs (window) WHERE acked = 0;
"""


class JournalError(Exception):
    """The journal could not be written or read; the text says why."""


class AlreadyBegan(Exception):
    """This run has begun before, here."""


class JournalInUse(Exception):
    """Another process on this node holds the journal."""


class _Unsaved(NamedTuple):
    outcome: Ending
    text: str
    at: float
    mono: float


class Journal:
    """One per device and node. Safe to use from several threads."""

    def __init__(self, folder: Path, *, device: str) -> None:
        """Raises `JournalInUse` while another process has it, `JournalError` if unusable."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = _lock(folder / "lock")
            self._db = _open(folder / _FILE)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{folder}: {error}") from error
        self._mutex = threading.Lock()
        self._live: dict[Run, float] = {}
        self._unsaved: dict[Run, _Unsaved] = {}
        self._settled_below = 0
        self.id = self._meta("id") or self._set_meta("id", str(uuid.uuid4()))
        owner = self._meta("device") or self._set_meta("device", device)
        if owner != device:
            self.close()
            raise JournalError(f"{folder} is the journal of {owner}, not of {device}")
        self._witness = WitnessLog(self._db, device=device, journal=self.id)

    @property
    def last_session(self) -> str | None:
        """The last session that this journal's device had, in this process or a former one."""
        return self._meta("session")

    def remember_session(self, session: str) -> None:
        self._set_meta("session", session)

    def opened(self) -> None:
        """Nothing that a former process began runs any more; said once the disk takes it."""
        with self._mutex:
            try:
                with self._transaction():
                    self._witness.opened()
            except sqlite3.Error:
                logger.exception("the witness log could not be opened")

    def began(self, job: str, run: int, *, batch: str, window: int, fence: int, at: float) -> None:
        """Raises `AlreadyBegan`, or `JournalError` when it could not be written down."""
        with self._mutex:
            try:
                with self._transaction():
                    self._db.execute(
                        "INSERT INTO runs (job, run, batch, window, fence, began_at)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        (job, run, batch, window, fence, at),
                    )
                    mono = self._witness.began((fence, batch, job, run, window), at=at)
            except sqlite3.IntegrityError as error:
                raise AlreadyBegan(f"job {job} run {run}") from error
            except sqlite3.Error as error:
                raise JournalError(str(error)) from error
            self._live[job, run] = mono

    def finished(self, outcome: Ending, *, at: float, mono: float = inf) -> None:
        """`mono`: when the device was free of it; taken as no sooner than it began, nor later than
        now. Kept in memory when the disk refuses: this process re-sends it, and writes it next."""
        key = (outcome.job, outcome.run)
        with self._mutex:
            mono = min(max(mono, self._live.pop(key, mono)), time.monotonic())
            self._unsaved[key] = _Unsaved(outcome, outcome.model_dump_json(), at, mono)
            try:
                with self._transaction():
                    pass
            except sqlite3.Error:
                logger.exception("job %s run %d: its end is not in the journal", *key)

    def find(self, job: str, run: int) -> Ending | None:
        """How this run ended; `Lost` when it began and nobody knows; None: never begun here."""
        with self._answering():
            if unsaved := self._unsaved.get((job, run)):
                return unsaved.outcome
            row = self._db.execute(
                "SELECT job, run, began_at, outcome FROM runs WHERE job = ? AND run = ?",
                (job, run),
            ).fetchone()
        return _ending(*row) if row else None

    def unacknowledged(self) -> list[Ending]:
        """In the order of beginning. What is running now is left out: it is not lost."""
        with self._answering():
            rows = self._db.execute(
                "SELECT job, run, began_at, outcome FROM runs WHERE acked = 0 ORDER BY rowid"
            ).fetchall()
            live, unsaved = set(self._live), dict(self._unsaved)
        return [
            unsaved[key].outcome if (key := (row[0], row[1])) in unsaved else _ending(*row)
            for row in rows
            if (row[0], row[1]) not in live
        ]

    def settled_below(self, window: int) -> None:
        """Windows with a smaller id have come home: forget their outcomes, keep their keys."""
        with self._mutex:
            if window <= self._settled_below:
                return
            try:
                with self._transaction():
                    self._db.execute(
                        "UPDATE runs SET acked = 1, outcome = NULL WHERE acked = 0 AND window < ?",
                        (window,),
                    )
                    self._prune()
            except sqlite3.Error:
                logger.exception("the journal could not be pruned")
                return
            self._settled_below = window

    def segment(self) -> int:
        """The first entry of the witness log that is not in the object store for good."""
        with self._answering():
            return self._witness.segment()

    def witnessed(self, first: int, limit: int) -> list[bytes]:
        """Lines of the witness log from entry `first` on, at most so many."""
        with self._answering():
            return self._witness.lines(first, limit)

    def forget_witnessed(self, below: int) -> None:
        """The object store has the entries below for good. Raises `JournalError`."""
        with self._answering(), self._transaction():
            self._witness.forget_below(below)

    def sync(self) -> None:
        """What is committed by now outlives a power loss, too. Raises `OSError`."""
        with (self.folder / f"{_FILE}-wal").open("rb") as log:
            os.fsync(log.fileno())

    def close(self) -> None:
        with self._mutex:
            self._db.close()
            os.close(self._lock_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """One commit for what the runs and what the witness log say, beginning with the ends that
        the disk has refused so far."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for unsaved in self._unsaved.values():
                self._save(*unsaved)
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
        self._witness.committed()
        self._unsaved.clear()

    def _undo(self) -> None:
        self._witness.undone()
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            logger.exception("the journal's transaction could not be rolled back")

    def _save(self, outcome: Ending, text: str, at: float, mono: float) -> None:
        began = self._db.execute(
            "UPDATE runs SET ended_at = ?, outcome = ? WHERE job = ? AND run = ?"
            " AND ended_at IS NULL RETURNING fence, batch, job, run, window",
            (at, text, outcome.job, outcome.run),
        ).fetchone()
        if began:
            self._witness.finished(began, outcome, at=at, mono=mono)

    @contextmanager
    def _answering(self) -> Generator[None]:
        with self._mutex:
            try:
                yield
            except sqlite3.Error as error:
                raise JournalError(f"{self.folder}: {error}") from error

    def _prune(self) -> None:
        self._db.execute(
            "DELETE FROM runs WHERE acked = 1 AND rowid < (SELECT max(rowid) FROM runs) - ?",
            (KEPT_RUNS,),
        )

    def _meta(self, key: str) -> str | None:
        with self._mutex:
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _set_meta(self, key: str, value: str) -> str:
        with self._answering():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        return value


def kept(outcome: Ending | Skipped) -> Ending:
    """A journal holds what began; `Skipped` never did."""
    assert not isinstance(outcome, Skipped)
    return outcome


def _ending(job: str, run: int, began_at: float, outcome: str | None) -> Ending:
    if outcome is None:
        return Lost(job=job, run=run, began_at=began_at)
    return kept(OUTCOME.validate_json(outcome))


def _lock(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise JournalInUse(str(path.parent)) from error
    return file


def _open(path: Path) -> sqlite3.Connection:
    # Autocommit: a statement is its own transaction, where none is begun.
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(_SCHEMA + witness.SCHEMA)
    return db
