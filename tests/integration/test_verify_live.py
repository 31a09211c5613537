"""`verify` on what is in motion: seats, windows, and what waits for too long."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from orchestrator.services.core import Core
from orchestrator.store.audit import Question, Range, snapshot
from schemas.task import Done, JobTask, Result
from tests.integration.proven import Proven, named, rows
from tests.integration.puppet import Puppet, done, new_batch

LANES = (1, "no more seats than lanes")
WINDOWS = (1, "windows are of the seat")
HELD = (1, "seats are let go")
UNHELD = (8, "who is seated has a seat")
STRAY = (8, "no job is astray")
VACANT = (8, "no batch is passed over")
STILL = (8, "no seat stands still")
WAITS = (8, "who gave way waits again")
OVERDUE = (8, "deadlines are kept")
ANSWERED = (8, "windows are answered")
OBJECTS = (5, "stored results are there")
LONG_AGO = "now() - interval '1 hour'"


@pytest.fixture
def past(core: Core, tmp_path: Path) -> Iterator[Proven]:
    made = Proven.lived(core, tmp_path / "journals")
    made.swept()
    yield made
    made.device.journal.close()


def test_a_batch_with_more_seats_than_lanes_is_found(past: Proven) -> None:
    Puppet.online(past.core, "dev-2")
    past.change("UPDATE device SET seat = :batch, fence = 1", batch=past.running)
    found = past.verify().violations
    assert LANES in named(found)
    assert rows(found, LANES[1])[0]["batch"] == past.running


@pytest.mark.parametrize("change", ["seat = NULL", "fence = fence + 1"])
def test_a_window_of_who_has_not_the_seat_is_found(past: Proven, change: str) -> None:
    past.change(f"UPDATE device SET {change}")
    found = past.verify().violations
    assert WINDOWS in named(found)
    assert rows(found, WINDOWS[1])[0]["batch"] == past.running


def test_a_seat_of_a_batch_that_is_long_over_is_found(past: Proven) -> None:
    Puppet.online(past.core, "dev-2")
    old = past.done[0]
    past.change(f"UPDATE batch SET updated_at = {LONG_AGO} WHERE id = :b", b=old)
    past.change("UPDATE device SET seat = :b WHERE name = 'dev-2'", b=old)
    found = past.verify().violations
    assert named(found) == {HELD}
    assert (rows(found, HELD[1])[0]["device"], rows(found, HELD[1])[0]["batch"]) == ("dev-2", old)


def test_a_running_batch_without_a_device_is_found(past: Proven) -> None:
    past.change("UPDATE device SET seat = NULL")
    past.change(f"UPDATE batch SET updated_at = {LONG_AGO} WHERE id = :b", b=past.running)
    found = past.verify().violations
    assert UNHELD in named(found)
    assert rows(found, UNHELD[1])[0]["batch"] == past.running


@pytest.mark.parametrize("window", ["NULL", "999999"])
def test_a_running_job_that_no_window_has_is_found(past: Proven, window: str) -> None:
    past.change(f"UPDATE job SET window_id = {window} WHERE status = 'RUNNING'")
    found = past.verify().violations
    assert STRAY in named(found)
    assert str(rows(found, STRAY[1])[0]["job"]) == past.jobs(past.running)[0]


def aged(past: Proven, batch: UUID, status: str = "PENDING") -> None:
    past.change("UPDATE event SET at = at - interval '1 hour'")
    past.change(
        f"UPDATE batch SET status = :status, updated_at = {LONG_AGO} WHERE id = :b",
        b=batch,
        status=status,
    )


def test_a_batch_that_waits_for_a_free_device_is_found(past: Proven) -> None:
    waiting = new_batch(past.core, 1)
    past.change("INSERT INTO device (name, type, online) VALUES ('dev-2', 'TEST', true)")
    aged(past, waiting)
    found = past.verify().violations
    assert VACANT in named(found)
    assert rows(found, VACANT[1])[0]["batch"] == waiting


def test_what_waits_is_only_a_warning_while_no_sweep_is_alive(past: Proven) -> None:
    waiting = new_batch(past.core, 1)
    past.change("INSERT INTO device (name, type, online) VALUES ('dev-2', 'TEST', true)")
    aged(past, waiting)
    past.change(f"UPDATE watch SET beats_read_at = {LONG_AGO}")
    report = past.verify()
    assert VACANT in named(report.warnings)
    assert VACANT not in named(report.violations)


def test_a_seat_whose_jobs_nobody_stages_is_found(past: Proven) -> None:
    aged(past, past.running, status="RUNNING")
    past.change(
        "UPDATE job SET window_id = NULL, status = 'PENDING' WHERE batch_id = :b", b=past.running
    )
    found = past.verify().violations
    assert STILL in named(found)
    assert rows(found, STILL[1])[0]["device"] == "dev-1"


@pytest.mark.parametrize("status", ["PREEMPTED", "PAUSED"])
def test_a_batch_that_nobody_puts_back_into_the_queue_is_found(past: Proven, status: str) -> None:
    waiting = new_batch(past.core, 1)
    aged(past, waiting, status)
    found = past.verify().violations
    assert WAITS in named(found)
    assert rows(found, WAITS[1])[0]["batch"] == waiting


@pytest.mark.parametrize("deadline", ["idle_deadline", "overrun_deadline"])
def test_a_deadline_that_nobody_kept_is_found(past: Proven, deadline: str) -> None:
    past.change(f"UPDATE batch SET {deadline} = {LONG_AGO} WHERE id = :b", b=past.running)
    found = past.verify().violations
    assert named(found) == {OVERDUE}
    assert rows(found, OVERDUE[1])[0]["batch"] == past.running


def test_a_window_that_nobody_answers_for_is_told_of(past: Proven) -> None:
    past.change("UPDATE job SET status = 'PENDING' WHERE status = 'RUNNING'")
    past.change(f'UPDATE "window" SET sent_at = {LONG_AGO}')
    assert ANSWERED in named(past.verify().warnings)


def stored(past: Proven, task: JobTask, size: int) -> Done:
    """An end whose result lies in the object store, of three bytes."""
    path = past.log().parents[3] / "results" / f"{task.job}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"abc")
    ref = f"results/{task.job}.json"
    return done(task).model_copy(update={"result": Result(ref=ref, size=size, sha256="0" * 64)})


@pytest.mark.parametrize(("size", "read", "red"), [(3, False, False), (3, True, True)])
def test_a_stored_result_is_asked_for_or_read(
    past: Proven, size: int, read: bool, red: bool
) -> None:
    assert (OBJECTS in _after_storing(past, size, read=read)) is red


def test_a_stored_result_of_another_size_is_found(past: Proven) -> None:
    assert OBJECTS in _after_storing(past, 4)


def test_a_stored_result_that_is_gone_is_found(past: Proven) -> None:
    assert OBJECTS in _after_storing(past, 3, lost=True)


def _after_storing(
    past: Proven, size: int, *, read: bool = False, lost: bool = False
) -> set[tuple[int, str]]:
    puppet = Puppet.online(past.core, "dev-2", device_type="OTHER")
    new_batch(past.core, 1, device_type="OTHER")
    window = puppet.take()
    puppet.answer(window, stored(past, window.jobs[0], size))
    if lost:
        past.change("UPDATE result SET ref = 'results/none' WHERE ref IS NOT NULL")
    return named(past.verify(read_objects=read).violations)


def test_the_snapshot_cannot_write(past: Proven) -> None:
    with (
        snapshot(past.core.settings.database_url, Range()) as database,
        pytest.raises(DBAPIError, match="read-only"),
    ):
        database.ask(Question(invariant=1, what="", of="", sql="SELECT nextval('batch_seq_seq')"))
