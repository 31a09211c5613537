"""`verify` against a database in which one thing is false."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from orchestrator.services.core import Core
from tests.integration.proven import Proven, named, rows
from tests.integration.puppet import new_batch

Sql = psycopg.Connection[tuple[object, ...]]

FENCE = "a fence is of one batch"
JOBS = "jobs move as they may"
BATCHES = "batches move as they may"
COUNTS = "batches count their jobs"
LEFT = "no job outlives its batch"
RESULT = "DONE is one result"
CONTENT = "results are whole"
IDLE = "timed out only when idle"
CALLS = "calls and what they made"
FIRST_JOB = "(SELECT id FROM job WHERE batch_id = :batch AND ordinal = 1)"


@pytest.fixture
def past(core: Core, tmp_path: Path) -> Iterator[Proven]:
    made = Proven.lived(core, tmp_path / "journals")
    yield made
    made.device.journal.close()


def test_a_healthy_past_is_clean(past: Proven) -> None:
    report = past.verify()
    assert (report.violations, report.warnings) == ([], [])
    assert (report.counts["jobs"], report.counts["runs"]) == (12, 8)


def test_a_fence_that_two_batches_had_is_found(past: Proven) -> None:
    past.change("""UPDATE event SET detail = '{"fence": 1}' WHERE kind = 'admitted'""")
    found = past.verify().violations
    assert (1, FENCE) in named(found)
    assert rows(found, FENCE)[0]["fence"] == 1
    assert str(past.done[1]) in rows(found, FENCE)[0]["batches"]


def test_a_device_that_lost_count_of_its_fences_is_found(past: Proven) -> None:
    past.change("UPDATE device SET fence = 4")
    found = past.verify().violations
    assert {row["fence"] for row in rows(found, FENCE)} == {5}


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (f"DELETE FROM event WHERE job_id = {FIRST_JOB}", "no event tells of it"),
        (f"DELETE FROM event WHERE job_id = {FIRST_JOB} AND kind = 'started'", "no legal move"),
        (
            "INSERT INTO event (batch_id, job_id, kind, status, at) SELECT batch_id, id, 'done',"
            f" 'DONE', now() FROM job WHERE id = {FIRST_JOB}",
            "no legal move",
        ),
        (f"UPDATE job SET status = 'ERROR' WHERE id = {FIRST_JOB}", "the row says something else"),
        (
            "UPDATE event SET job_id = gen_random_uuid()"
            f" WHERE job_id = {FIRST_JOB} AND kind = 'done'",
            "there is no such job",
        ),
    ],
)
def test_a_job_whose_events_do_not_lead_to_its_status_is_found(
    past: Proven, statement: str, why: str
) -> None:
    past.change(statement, batch=past.done[0])
    found = past.verify().violations
    assert (4, JOBS) in named(found)
    assert why in {row["why"] for row in rows(found, JOBS)}


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM event WHERE batch_id = :batch AND job_id IS NULL", "no event tells of it"),
        ("DELETE FROM event WHERE batch_id = :batch AND kind = 'admitted'", "no legal move"),
        (
            "INSERT INTO event (batch_id, kind, status, at)"
            " VALUES (:batch, 'drained', 'DONE', now())",
            "no legal move",
        ),
        ("UPDATE batch SET status = 'ERROR' WHERE id = :batch", "the row says something else"),
    ],
)
def test_a_batch_whose_events_do_not_lead_to_its_status_is_found(
    past: Proven, statement: str, why: str
) -> None:
    past.change(statement, batch=past.done[0])
    found = past.verify().violations
    assert (4, BATCHES) in named(found)
    assert {(str(row["batch"]), row["why"]) for row in rows(found, BATCHES)} == {
        (str(past.done[0]), why)
    }


def test_a_batch_that_counts_a_job_which_is_not_there_is_found(past: Proven) -> None:
    past.change(
        "UPDATE batch SET jobs_total = 4, jobs_done = 4 WHERE id = :batch", batch=past.done[0]
    )
    found = past.verify().violations
    assert named(found) == {(4, COUNTS)}
    assert rows(found, COUNTS)[0]["batch"] == past.done[0]


def test_a_job_that_waits_in_a_batch_which_is_over_is_found(past: Proven) -> None:
    past.change(
        "UPDATE job SET status = 'PENDING', ended_at = NULL"
        " WHERE batch_id = :batch AND ordinal = 3",
        batch=past.canceled,
    )
    found = past.verify().violations
    assert (4, LEFT) in named(found)
    assert str(rows(found, LEFT)[0]["job"]) == past.jobs(past.canceled)[2]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (f"DELETE FROM result WHERE job_id = {FIRST_JOB}", "DONE without a result"),
        (f"UPDATE result SET run = 9 WHERE job_id = {FIRST_JOB}", "the result is of another run"),
        (f"UPDATE job SET status = 'ERROR' WHERE id = {FIRST_JOB}", "a result, but not DONE"),
    ],
)
def test_a_done_job_without_its_one_result_is_found(past: Proven, statement: str, why: str) -> None:
    past.change(statement, batch=past.done[0])
    found = past.verify().violations
    assert (5, RESULT) in named(found)
    assert [(str(row["job"]), row["why"]) for row in rows(found, RESULT)] == [
        (past.jobs(past.done[0])[0], why)
    ]


@pytest.mark.parametrize("change", ["""value = '{"of": 7}'""", "size = 7"])
def test_a_result_that_is_not_what_was_stored_is_found(past: Proven, change: str) -> None:
    past.change(f"UPDATE result SET {change} WHERE job_id = {FIRST_JOB}", batch=past.done[0])
    found = past.verify().violations
    assert (5, CONTENT) in named(found)
    assert str(rows(found, CONTENT)[0]["job"]) == past.jobs(past.done[0])[0]


def test_a_batch_that_timed_out_before_its_time_is_found(past: Proven) -> None:
    past.change("UPDATE event SET at = at - interval '1 s' WHERE kind = 'idled'")
    found = past.verify().violations
    assert named(found) == {(7, IDLE)}
    assert rows(found, IDLE)[0]["batch"] == past.idled


def test_a_batch_that_timed_out_while_a_job_was_left_is_found(past: Proven) -> None:
    past.change(
        "INSERT INTO event (batch_id, job_id, kind, status, at)"
        " VALUES (:batch, gen_random_uuid(), 'done', 'DONE', now())",
        batch=past.idled,
    )
    assert rows(past.verify().violations, IDLE)[0]["jobs_went_on"] is True


def test_a_batch_that_timed_out_late_is_told_of_and_no_violation(past: Proven) -> None:
    past.change("UPDATE event SET at = at + interval '3 s' WHERE kind = 'idled'")
    report = past.verify()
    assert report.clean
    assert named(report.warnings) == {(7, "timed out in time")}


@pytest.mark.parametrize(
    "report",
    ["NULL", """'{"batch": "%s"}'""", """'{"job": "%s"}'""", """'{"jobs": ["%s"]}'"""],
)
def test_a_call_whose_work_is_not_there_is_found(past: Proven, report: str) -> None:
    given = report.replace("%s", str(past.done[0]).replace("0", "1"))
    past.change(
        "INSERT INTO submission (id, project_id, door, key, digest, status, report)"
        f" SELECT id, project_id, 'native', 'k', '', 201, CAST({given} AS json) FROM batch"
        " WHERE id = :batch",
        batch=past.done[0],
    )
    found = past.verify().violations
    assert named(found) == {(9, CALLS)}
    assert rows(found, CALLS)[0]["submission"] == past.done[0]


def test_a_key_that_made_two_calls_is_found(past: Proven, sql: Sql) -> None:
    unique = "submission_project_id_key_key"
    sql.execute(f"ALTER TABLE submission DROP CONSTRAINT {unique}".encode())
    try:
        past.change(
            "INSERT INTO submission (id, project_id, door, key, digest, report)"
            " SELECT id, project_id, 'native', 'k', '', json_build_object('batch', id) FROM batch"
        )
        found = past.verify().violations
        assert named(found) == {(9, "a key is one call")}
        assert rows(found, "a key is one call")[0]["key"] == "k"
    finally:
        sql.execute(b"TRUNCATE submission CASCADE")
        sql.execute(
            f"ALTER TABLE submission ADD CONSTRAINT {unique} UNIQUE (project_id, key)".encode()
        )


def test_a_past_before_the_range_is_left_alone(past: Proven) -> None:
    job = past.jobs(past.done[0])[0]
    past.change("UPDATE batch SET jobs_total = 4, jobs_done = 4 WHERE id = :b", b=past.done[0])
    past.change("DELETE FROM event WHERE job_id = CAST(:job AS uuid)", job=job)
    with past.core.transaction() as tx:
        since = tx.at
    new_batch(past.core, 1)
    assert len(past.verify().violations) > 1
    later = past.verify(since=since)
    assert (later.violations, later.counts["batches"]) == ([], 2)


def test_what_came_after_the_range_is_left_alone(past: Proven) -> None:
    with past.core.transaction() as tx:
        until = tx.at
    later = new_batch(past.core, 1)
    past.change("UPDATE batch SET jobs_total = 4, jobs_left = 4 WHERE id = :b", b=later)
    assert past.verify(until=until).clean
    assert not past.verify().clean
