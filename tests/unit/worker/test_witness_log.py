"""The journal's witness log: written with the runs or not at all, and never out of order."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.task import Done, Failed, Lost, Result
from schemas.witness import Began, Entry, Finished, Opened, read_lines
from tests.waiting import until
from workers.journal import AlreadyBegan, Journal, JournalError

WRITES = """
import sys, itertools
from pathlib import Path
from schemas.task import Failed
from workers.journal import Journal
journal = Journal(Path(sys.argv[1]), device="d1")
journal.opened()
for n in itertools.count():
    job = f"{sys.argv[2]}-{n}"
    journal.began(job, 1, batch="b", window=n, fence=1, at=1.0)
    journal.finished(Failed(job=job, run=1, began_at=1.0, ended_at=2.0, reason="x"), at=2.0)
"""


def begin(journal: Journal, job: str = "j1", run: int = 1, *, window: int = 1) -> None:
    journal.began(job, run, batch="b", window=window, fence=3, at=1.5)


def end(journal: Journal, job: str = "j1", run: int = 1) -> None:
    result = Result(value={}, size=2, sha256="ab")
    journal.finished(Done(job=job, run=run, began_at=1.0, ended_at=2.0, result=result), at=2.5)


def log(journal: Journal) -> list[Entry]:
    """The whole log, its chain checked."""
    return [each.entry for each in read_lines(journal.witnessed(1, 1_000_000), journal.id)]


def kinds(journal: Journal) -> list[str]:
    return [type(entry).__name__.lower() for entry in log(journal)]


@pytest.fixture
def journal(tmp_path: Path) -> Generator[Journal]:
    with Journal(tmp_path / "journal", device="d1") as journal:
        yield journal


class FullDisk:
    """SQLite's own bound on its file: what is over it fails as on a disk that is full."""

    def __init__(self, journal: Journal) -> None:
        self._db: sqlite3.Connection = journal._db

    def __enter__(self) -> None:
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        self._db.execute(f"PRAGMA max_page_count = {pages}")

    def __exit__(self, *_: object) -> None:
        self._db.execute("PRAGMA max_page_count = 1000000")


def fill(journal: Journal) -> None:
    """Until the pages that the file has are full: the next run finds no room."""
    for n in range(10_000):
        try:
            begin(journal, f"fill-{n}")
            end(journal, f"fill-{n}")
        except JournalError:
            return
    raise AssertionError("the disk took everything")


def test_a_run_is_written_with_all_that_names_it(journal: Journal) -> None:
    begin(journal)
    end(journal)
    opened, began, finished = log(journal)
    assert isinstance(opened, Opened) and isinstance(began, Began)
    assert isinstance(finished, Finished)
    assert (opened.device, opened.journal) == ("d1", journal.id)
    assert began[1:7] == finished[1:7] == ("d1", 3, "b", "j1", 1, 1)
    assert (began.at, finished.at) == (1.5, 2.5)
    assert (finished.end, finished.sha256) == ("done", "ab")
    assert opened.mono <= began.mono <= finished.mono


def test_an_end_is_no_sooner_than_its_beginning(journal: Journal) -> None:
    begin(journal)
    journal.finished(Lost(job="j1", run=1, began_at=1), at=2.0, mono=0.0)
    began, finished = log(journal)[-2:]
    assert finished.mono == began.mono


def test_an_end_that_is_still_to_come_is_now(journal: Journal) -> None:
    begin(journal)
    journal.finished(Lost(job="j1", run=1, began_at=1), at=2.0, mono=time.monotonic() + 3600)
    assert log(journal)[-1].mono <= time.monotonic()


def test_a_run_without_a_result_has_no_hash(journal: Journal) -> None:
    for job, outcome in (
        ("failed", Failed(job="failed", run=1, began_at=1, ended_at=2, reason="no")),
        ("lost", Lost(job="lost", run=1, began_at=1)),
    ):
        begin(journal, job)
        journal.finished(outcome, at=2.0)
        finished = log(journal)[-1]
        assert isinstance(finished, Finished)
        assert (finished.end, finished.sha256) == (job, None)


def test_a_run_that_may_not_begin_again_leaves_no_entry(journal: Journal) -> None:
    begin(journal)
    with pytest.raises(AlreadyBegan):
        begin(journal)
    end(journal)
    assert kinds(journal) == ["opened", "began", "finished"]


def test_an_end_that_is_told_twice_is_written_once(journal: Journal) -> None:
    begin(journal)
    end(journal)
    end(journal)
    assert kinds(journal) == ["opened", "began", "finished"]


def test_every_process_says_that_it_opened_the_log(tmp_path: Path) -> None:
    for job in ("a", "b"):
        with Journal(tmp_path, device="d1") as journal:
            journal.opened()
            begin(journal, job)
            end(journal, job)
            written = kinds(journal)
    assert written == ["opened", "began", "finished"] * 2


def test_a_process_opens_the_log_once(journal: Journal) -> None:
    journal.opened()
    begin(journal)
    journal.opened()
    assert kinds(journal) == ["opened", "began"]


def test_a_run_that_finds_no_room_does_not_begin_and_breaks_no_chain(journal: Journal) -> None:
    with FullDisk(journal):
        fill(journal)
        written = len(log(journal))
        with pytest.raises(JournalError):
            begin(journal, "x" * 10_000)
        assert len(log(journal)) == written
    begin(journal)
    assert kinds(journal)[-1] == "began"


def test_an_end_that_found_no_room_is_written_before_the_next_run(journal: Journal) -> None:
    begin(journal, "first")
    with FullDisk(journal):
        fill(journal)
        begun = len(log(journal))
        reason = "x" * 100_000
        outcome = Failed(job="first", run=1, began_at=1, ended_at=2, reason=reason)
        journal.finished(outcome, at=2.0)
        assert len(log(journal)) == begun
        assert journal.find("first", 1) == outcome
    begin(journal, "next")
    finished, began = log(journal)[-2:]
    assert isinstance(finished, Finished) and finished.job == "first"
    assert isinstance(began, Began) and began.job == "next"


def killed_while_writing(folder: Path, generation: int) -> None:
    enough = lines_in(folder) + 200
    with subprocess.Popen([sys.executable, "-c", WRITES, folder, str(generation)]) as child:
        try:
            until(lambda: lines_in(folder) > enough, 30)
        finally:
            child.send_signal(signal.SIGKILL)


def test_a_kill_at_any_moment_leaves_a_whole_chain(tmp_path: Path) -> None:
    for generation in range(3):
        killed_while_writing(tmp_path, generation)
    with Journal(tmp_path, device="d1") as journal:
        written = kinds(journal)
        unknown = {end.job for end in journal.unacknowledged() if isinstance(end, Lost)}
    assert written.count("opened") == 3
    assert written.count("began") == written.count("finished") + len(unknown)


def lines_in(folder: Path) -> int:
    """Past the journal's lock; 0 while there is nothing to read."""
    if not (folder / "journal.db").exists():
        return 0
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        try:
            (count,) = db.execute("SELECT count(*) FROM witness").fetchone()
        except sqlite3.OperationalError:
            return 0
    return int(count)


def test_what_the_store_has_is_forgotten_and_the_chain_goes_on(tmp_path: Path) -> None:
    with Journal(tmp_path, device="d1") as journal:
        begin(journal)
        end(journal)
        before = journal.witnessed(1, 10)
        journal.forget_witnessed(4)
    with Journal(tmp_path, device="d1") as journal:
        assert journal.segment() == 4
        begin(journal, "j2")
        after = journal.witnessed(4, 10)
        lines = [*before, *after]
        assert [each.entry.seq for each in read_lines(lines, journal.id)] == [1, 2, 3, 4, 5]


def test_a_sync_reaches_the_disk_while_the_journal_is_open(journal: Journal) -> None:
    begin(journal)
    journal.sync()
    assert (journal.folder / "journal.db-wal").stat().st_size > 0
