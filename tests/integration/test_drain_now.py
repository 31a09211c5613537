"""A device that is taken out of service at once: what runs there is stopped, and runs again."""

import time
from uuid import UUID

import psycopg

from orchestrator.services.cancel import cancel_job
from orchestrator.services.core import Core
from orchestrator.services.device import drain, interrupt, resume
from orchestrator.services.sweep import sweep
from schemas.task import Canceled, JobTask, interrupt_key
from tests.integration.puppet import (
    PROJECT,
    Puppet,
    call,
    done,
    jobs_of,
    new_batch,
    status_of,
)
from tests.integration.remote_stack import controller, look_around

Sql = psycopg.Connection[tuple[object, ...]]


def stopped(task: JobTask) -> Canceled:
    now = time.time()
    return Canceled(job=task.job, run=task.run, began_at=now - 1, ended_at=now)


def is_asked_to_stop(core: Core, task: JobTask) -> bool:
    return bool(core.permits.client.exists(interrupt_key(task.job, task.run)))


def test_what_runs_is_stopped_and_runs_again_as_the_first(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 3)
    window = puppet.take()
    first = window.jobs[0]
    puppet.begin(window, first)
    call(core, interrupt, "dev-1", "smoke in the cryostat")
    assert is_asked_to_stop(core, first)
    puppet.answer(window, stopped(first))
    assert jobs_of(core, batch) == ["PENDING"] * 3
    assert status_of(core, batch) == "PAUSED"
    call(core, resume, "dev-1")
    puppet.serve_all()
    assert jobs_of(core, batch) == ["DONE"] * 3
    assert [job for job, _ in puppet.ran].count(first.job) == 2


def test_a_run_that_had_just_ended_counts(core: Core, puppet: Puppet, sql: Sql) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    call(core, interrupt, "dev-1", "now")
    puppet.answer(window, done(window.jobs[0]))
    assert status_of(core, batch) == "DONE"
    assert sql.execute("SELECT count(*) FROM result").fetchone() == (1,)


def test_a_stopped_run_is_no_failure_and_its_history_says_so(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    call(core, interrupt, "dev-1", "now")
    puppet.answer(window, stopped(window.jobs[0]))
    told = sql.execute(
        "SELECT kind, status FROM event WHERE job_id IS NOT NULL ORDER BY id"
    ).fetchall()
    assert told == [("started", "RUNNING"), ("preempted", "PENDING")]
    counts = "SELECT jobs_left, jobs_failed, jobs_canceled FROM batch WHERE id = %s"
    assert sql.execute(counts, (batch,)).fetchone() == (1, 0, 0)


def test_its_second_word_changes_nothing(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    call(core, interrupt, "dev-1", "now")
    call(core, interrupt, "dev-1", "now")
    puppet.answer(window, stopped(window.jobs[0]))
    call(core, resume, "dev-1")
    again = puppet.take()
    puppet.begin(again, again.jobs[0])
    puppet.answer(window, stopped(window.jobs[0]))
    assert jobs_of(core, batch) == ["RUNNING"]
    assert not is_asked_to_stop(core, again.jobs[0])


def test_the_sweep_asks_again_after_redis_forgot(core: Core, puppet: Puppet) -> None:
    new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    call(core, interrupt, "dev-1", "now")
    core.permits.client.flushall()
    puppet.beat(window.window, idle_s=0)
    sweep(core)
    assert is_asked_to_stop(core, window.jobs[0])


def test_nothing_of_the_batch_overtakes_the_run_that_is_being_stopped(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 3)
    window = puppet.take()
    first = window.jobs[0]
    puppet.begin(window, first)
    call(core, interrupt, "dev-1", "now")
    puppet.drop_messages()
    call(core, resume, "dev-1")
    call(core, drain, "dev-1", "after this one")
    assert puppet.inbox == []
    puppet.answer(window, stopped(first))
    puppet.serve_all()
    assert [job for job, _ in puppet.ran][:2] == [first.job] * 2
    assert status_of(core, batch) == "DONE"


def test_a_job_that_its_user_cancels_meanwhile_is_canceled(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    call(core, interrupt, "dev-1", "now")
    call(core, cancel_job, PROJECT, UUID(window.jobs[0].job), interrupt=True)
    puppet.answer(window, stopped(window.jobs[0]))
    assert jobs_of(core, batch) == ["CANCELED"]


def test_what_waits_reads_the_message(core: Core, puppet: Puppet, sql: Sql) -> None:
    new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    call(core, interrupt, "dev-1", "smoke in the cryostat")
    puppet.answer(window, stopped(window.jobs[0]))
    row = sql.execute("SELECT reason FROM batch").fetchone()
    assert row is not None and "smoke in the cryostat" in str(row[0])
    call(core, resume, "dev-1")
    assert sql.execute("SELECT reason FROM batch").fetchone() == (None,)


def lane_of(sql: Sql) -> str:
    row = sql.execute("SELECT name FROM device").fetchone()
    assert row is not None
    return str(row[0])


def test_the_job_of_a_controller_is_stopped_by_the_heartbeat_and_runs_again(
    core: Core, sql: Sql
) -> None:
    with controller(core) as one:
        one.submit()
        lease = one.begin()
        call(core, interrupt, lane_of(sql), "now")
        assert one.beat(lease) == ["cancel"]
        assert one.complete(lease, "cancelled").status_code == 200
        assert one.job_of(lease)["status"] == "PENDING"
        assert one.complete(lease, "cancelled").status_code == 409
        call(core, resume, lane_of(sql))
        again = one.begin()
        assert again["epoch"] > lease["epoch"]
        assert one.complete(again).status_code == 200


def test_a_lane_that_is_back_before_anybody_looked_goes_on_though_redis_forgot(
    core: Core, sql: Sql
) -> None:
    """Whether the job had begun, only its permit could have told."""
    with controller(core) as one:
        one.submit()
        [lease] = one.acquire()
        core.permits.client.flushall()
        call(core, interrupt, lane_of(sql), "now")
        call(core, resume, lane_of(sql))
        assert one.start(lease).status_code == 410
        look_around(core)
        assert one.complete(one.begin()).status_code == 200
