"""What the devices witnessed, side by side with what the database says: in a file that is thrown
away afterwards, so that millions of runs are sorted and joined on disk and not in memory."""

import sqlite3
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from orchestrator.errors import Unavailable
from orchestrator.store.audit import IN_RANGE, SHOWN, Offences, Question, Snapshot, offences
from orchestrator.store.audit_history import SEATS


class Run(NamedTuple):
    """One run as it was witnessed. `log` numbers a journal, `boot` a node since it started; what
    never was seen to finish has None for its end."""

    device: str
    log: int
    boot: int
    fence: int
    batch: str
    job: str
    run: int
    window: int
    seq: int
    at: float
    mono: float
    ended_at: float | None
    ended_mono: float | None
    end: str | None
    sha256: str | None


class Log(NamedTuple):
    """One journal: what it calls itself, and between which moments of its own clock it tells."""

    id: int
    device: str
    journal: str
    first_at: float
    last_at: float


_SCHEMA: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA temp_store = FILE;
    PRAGMA cache_size = -65536;
    CREATE TABLE log (id INTEGER PRIMARY KEY, device TEXT, journal TEXT, first_at, last_at);
    CREATE TABLE run (
        device TEXT, log INT, boot INT, fence INT, batch TEXT, job TEXT, run INT, "window" INT,
        seq INT, at REAL, mono REAL, ended_at REAL, ended_mono REAL, "end" TEXT, sha256 TEXT
    );
    CREATE TABLE device (name TEXT PRIMARY KEY, online INT, remote INT) WITHOUT ROWID;
    CREATE TABLE batch (
        id TEXT PRIMARY KEY, lanes INT, ended_at REAL, canceled INT
    ) WITHOUT ROWID;
    CREATE TABLE seat (
        batch TEXT, device TEXT, fence INT, at REAL, life INT,
        PRIMARY KEY (device, fence, batch)
    ) WITHOUT ROWID;
    CREATE TABLE job (
        id TEXT PRIMARY KEY, batch TEXT, ordinal INT, status TEXT, run INT, staged INT,
        device TEXT, began INT, interrupted INT, ended_at REAL, kept_at REAL, sha256 TEXT
    ) WITHOUT ROWID;
"""
_DISK_TROUBLE: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_DEVICES: Final = """
    SELECT name, CAST(online AS int), CAST(transport = 'https' AS int) FROM device ORDER BY name
"""
_BATCHES: Final = f"""
    SELECT id, lanes, EXTRACT(epoch FROM ended_at), CAST(status = 'CANCELED' AS int)
    FROM batch WHERE id IN {IN_RANGE} ORDER BY id
"""
# `life`: how often the batch had been revived before it took that seat.
_SEATS: Final = f"""
    SELECT seat.batch_id, device.name, seat.fence, EXTRACT(epoch FROM seat.at), (
        SELECT count(*) FROM event AS again WHERE again.batch_id = seat.batch_id
            AND again.kind = 'revived' AND again.job_id IS NULL AND again.id < seat.event
    ) FROM ({SEATS}) AS seat JOIN device ON device.id = seat.device_id
    WHERE seat.batch_id IN {IN_RANGE} ORDER BY device.name, seat.fence
"""
_JOBS: Final = f"""
    SELECT job.id, job.batch_id, ordinal, job.status, job.run,
        CAST(window_id IS NOT NULL AS int), device.name, CAST(started_at IS NOT NULL AS int),
        CAST(cancel_requested AS int), EXTRACT(epoch FROM job.ended_at),
        EXTRACT(epoch FROM result.created_at), result.sha256
    FROM job LEFT JOIN result ON result.job_id = job.id LEFT JOIN device ON device.id = device_id
    WHERE job.batch_id IN {IN_RANGE} ORDER BY job.id
"""
# On users' own machines, or taken over from a twin: nobody of ours saw them run.
_NO_WITNESS: Final = """
    SELECT count(*) FROM job LEFT JOIN device ON device.name = job.device
    WHERE job.status = 'DONE' AND COALESCE(device.remote, 1)
"""
_COPIED: Final = {"device": _DEVICES, "batch": _BATCHES, "seat": _SEATS, "job": _JOBS}


class Evidence:
    """Raises `Unavailable` when the disk cannot take it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add_runs(self, runs: Iterable[Run]) -> None:
        self._add("run", len(Run._fields), runs)

    def add_log(self, log: Log) -> None:
        self._add("log", len(Log._fields), [log])

    def take_over(self, snapshot: Snapshot) -> None:
        """What the database says about the same."""
        for table, select in _COPIED.items():
            rows = snapshot.copy(select)
            first = next(rows, None)
            if first is not None:
                self._add(table, len(first), _again(first, rows))

    def index(self) -> None:
        """Once everything is there."""
        with _disk():
            self._db.execute("CREATE INDEX run_job ON run (job, run)")

    def ask(self, question: Question, **given: object) -> Offences:
        sql = f"SELECT *, count(*) OVER () AS n_all FROM ({question.sql}) LIMIT {SHOWN}"
        with _disk():
            return offences([dict(row) for row in self._db.execute(sql, given)])

    def counts(self) -> dict[str, int]:
        with _disk():
            return {
                "runs": self._db.execute("SELECT count(*) FROM run").fetchone()[0],
                "logs": self._db.execute("SELECT count(*) FROM log").fetchone()[0],
                "unwitnessed": self._db.execute(_NO_WITNESS).fetchone()[0],
            }

    def _add(self, table: str, columns: int, rows: Iterable[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * columns)
        with _disk():
            self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _again(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


@contextmanager
def gathering() -> Generator[Evidence]:
    """Empty at first; its file is in the folder for temporary files, and gone with the block."""
    with tempfile.TemporaryDirectory(prefix="holdfast-verify-") as folder:
        with _disk():
            db = sqlite3.connect(Path(folder) / "evidence.db", isolation_level=None)
            db.row_factory = sqlite3.Row
            db.executescript(_SCHEMA)
            db.execute("BEGIN")
        try:
            yield Evidence(db)
        finally:
            db.close()


@contextmanager
def _disk() -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _DISK_TROUBLE:
            raise
        why = f"the folder for temporary files (TMPDIR) does not take what is gathered: {error}"
        raise Unavailable(why) from error
