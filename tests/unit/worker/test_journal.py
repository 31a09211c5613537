from pathlib import Path

import pytest

from schemas.task import Done, Lost, Result
from workers.journal import AlreadyBegan, Journal, JournalError, JournalInUse


def done(job: str = "j1", run: int = 1) -> Done:
    result = Result(value={}, size=2, sha256="0" * 64)
    return Done(job=job, run=run, began_at=1.0, ended_at=2.0, result=result)


def begin(journal: Journal, job: str = "j1", run: int = 1, *, window: int = 1) -> None:
    journal.began(job, run, batch="b", window=window, fence=1, at=1.0)


def reopened(journal: Journal) -> Journal:
    journal.close()
    return Journal(journal.folder, device="d1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_a_run_begins_once(folder: Path) -> None:
    with Journal(folder, device="d1") as journal:
        begin(journal)
        with pytest.raises(AlreadyBegan):
            begin(journal)


def test_another_run_of_the_same_job_may_begin(folder: Path) -> None:
    with Journal(folder, device="d1") as journal:
        begin(journal, run=1)
        begin(journal, run=2)


def test_a_finished_run_is_found_after_a_restart(folder: Path) -> None:
    journal = Journal(folder, device="d1")
    begin(journal)
    journal.finished(done(), at=2.0)
    with reopened(journal) as again:
        assert again.find("j1", 1) == done()


def test_a_run_that_never_finished_is_lost_after_a_restart(folder: Path) -> None:
    journal = Journal(folder, device="d1")
    begin(journal)
    with reopened(journal) as again:
        assert again.unacknowledged() == [Lost(job="j1", run=1, began_at=1.0)]


def test_what_runs_now_is_not_lost(folder: Path) -> None:
    with Journal(folder, device="d1") as journal:
        begin(journal)
        assert journal.unacknowledged() == []


def test_outcomes_are_resent_in_the_order_of_beginning(folder: Path) -> None:
    with Journal(folder, device="d1") as journal:
        for job in ("b", "a", "c"):
            begin(journal, job)
            journal.finished(done(job), at=2.0)
        assert [outcome.job for outcome in journal.unacknowledged()] == ["b", "a", "c"]


def test_a_settled_window_is_not_resent(folder: Path) -> None:
    with Journal(folder, device="d1") as journal:
        for window in (1, 2):
            begin(journal, f"j{window}", window=window)
            journal.finished(done(f"j{window}"), at=2.0)
        journal.settled_below(2)
        assert [outcome.job for outcome in journal.unacknowledged()] == ["j2"]


def test_a_settled_run_still_never_begins_again(folder: Path) -> None:
    with Journal(folder, device="d1") as journal:
        begin(journal)
        journal.finished(done(), at=2.0)
        journal.settled_below(2)
        with pytest.raises(AlreadyBegan):
            begin(journal)


def test_a_journal_keeps_its_name(folder: Path) -> None:
    journal = Journal(folder, device="d1")
    name = journal.id
    with reopened(journal) as again:
        assert again.id == name


def test_two_processes_cannot_share_a_journal(folder: Path) -> None:
    with Journal(folder, device="d1"), pytest.raises(JournalInUse):
        Journal(folder, device="d1")


def test_a_journal_belongs_to_one_device(folder: Path) -> None:
    Journal(folder, device="d1").close()
    with pytest.raises(JournalError, match="of d1, not of d2"):
        Journal(folder, device="d2")
    Journal(folder, device="d1").close()
