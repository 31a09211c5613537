"""A canceled job never begins; a running one is left to end, or killed."""

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from uuid import UUID, uuid4

import psycopg
import pytest

from orchestrator import embedded
from orchestrator.errors import Conflict, Unavailable
from orchestrator.services.cancel import cancel_batch, cancel_batches, cancel_job, cancel_jobs
from orchestrator.services.core import Core
from schemas.job import JobFilter
from schemas.task import Canceled, interrupt_key
from tests.integration.puppet import (
    PROJECT,
    Puppet,
    call,
    done,
    jobs_of,
    new_batch,
    skipped,
    status_of,
)

Sql = psycopg.Connection[tuple[object, ...]]


def cancel(core: Core, batch: UUID, *, interrupt: bool = True) -> None:
    call(core, cancel_batch, PROJECT, batch, interrupt=interrupt)


def test_a_canceled_batch_never_begins_its_waiting_jobs(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 10)
    cancel(core, batch)
    puppet.serve_all()
    assert puppet.ran == []
    assert jobs_of(core, batch) == ["CANCELED"] * 10


def test_a_canceled_batch_lets_go_of_its_device(core: Core, puppet: Puppet) -> None:
    batch, waiting = new_batch(core, 3), new_batch(core, 1)
    cancel(core, batch)
    puppet.serve_all()
    assert status_of(core, waiting) == "DONE"


def test_a_staged_job_that_is_canceled_is_skipped_by_the_device(core: Core, puppet: Puppet) -> None:
    new_batch(core, 1)
    window = puppet.take()
    verdict = call(core, cancel_job, PROJECT, UUID(window.jobs[0].job), interrupt=False)
    assert verdict == "canceled"
    assert not puppet.has_permit(window.jobs[0])


def test_a_running_job_is_left_to_end_without_interrupt(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    verdict = call(core, cancel_job, PROJECT, UUID(window.jobs[0].job), interrupt=False)
    assert verdict == "running"
    puppet.answer(window, done(window.jobs[0]))
    assert jobs_of(core, batch) == ["DONE"]


def test_a_running_job_is_interrupted_when_asked_for(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    task = window.jobs[0]
    puppet.begin(window, task)
    assert call(core, cancel_job, PROJECT, UUID(task.job), interrupt=True) == "interrupting"
    assert core.permits.client.exists(interrupt_key(task.job, task.run))
    puppet.answer(window, Canceled(job=task.job, run=task.run, began_at=1.0, ended_at=2.0))
    assert jobs_of(core, batch) == ["CANCELED"]


def test_a_canceled_batch_keeps_its_seat_until_the_device_is_empty(
    core: Core, puppet: Puppet
) -> None:
    batch, waiting = new_batch(core, 2), new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    cancel(core, batch, interrupt=False)
    assert (status_of(core, batch), status_of(core, waiting)) == ("CANCELED", "PENDING")
    puppet.answer(window, done(window.jobs[0]))
    assert jobs_of(core, batch) == ["DONE", "CANCELED"]
    puppet.serve_all()
    assert status_of(core, waiting) == "DONE"


def test_a_job_whose_permit_redis_lost_does_not_begin_after_its_cancel(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    core.permits.client.flushall()
    job = UUID(window.jobs[0].job)
    assert call(core, cancel_job, PROJECT, job, interrupt=True) == "interrupting"
    puppet.answer(window, skipped(window.jobs[0]))
    puppet.serve_all()
    assert puppet.ran == []
    assert jobs_of(core, batch) == ["CANCELED"]


def test_filtered_jobs_get_a_verdict_each(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 3, open=True)
    window = puppet.serve()
    ended, unknown = UUID(window.jobs[0].job), uuid4()
    chosen = JobFilter(ids=[ended, unknown])
    verdicts = call(core, cancel_jobs, PROJECT, batch, chosen, interrupt=True)
    assert verdicts == [(ended, "ended"), (unknown, "not_found")]


def test_a_closed_batch_that_lost_its_last_job_is_done(core: Core, puppet: Puppet) -> None:
    new_batch(core, 1)
    waiting = new_batch(core, 2)
    call(core, cancel_jobs, PROJECT, waiting, JobFilter(), interrupt=True)
    assert status_of(core, waiting) == "DONE"
    assert jobs_of(core, waiting) == ["CANCELED", "CANCELED"]


def test_many_batches_get_a_verdict_each(core: Core, puppet: Puppet) -> None:
    over, alive, unknown = new_batch(core, 1), new_batch(core, 1), uuid4()
    puppet.serve()
    ids = [unknown, alive, over]
    verdicts = call(core, cancel_batches, PROJECT, ids, interrupt=True)
    assert verdicts == [(unknown, "not_found"), (alive, "canceled"), (over, "ended")]


def test_a_batch_that_is_over_cannot_be_canceled(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    puppet.serve_all()
    with pytest.raises(Conflict, match="DONE"):
        cancel(core, batch)


def test_nothing_is_canceled_when_the_broker_cannot_tell_what_has_begun(
    core: Core, puppet: Puppet, servers: embedded.Servers
) -> None:
    assert servers.valkey is not None
    batch = new_batch(core, 1)
    servers.valkey.stop()
    try:
        with pytest.raises(Unavailable):
            cancel(core, batch)
    finally:
        servers.valkey.start()
    assert (status_of(core, batch), jobs_of(core, batch)) == ("ADMITTED", ["PENDING"])


def test_a_canceled_job_never_begins_in_a_thousand_races(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    """The device begins jobs from the near end while they are canceled from the far one."""
    batch = new_batch(core, 1000, open=True)
    rows = sql.execute("SELECT id::text FROM job ORDER BY ordinal DESC")
    ids = [UUID(str(row[0])) for row in rows]
    acknowledged: set[str] = set()

    def cancel_one(job: UUID) -> None:
        if call(core, cancel_job, PROJECT, job, interrupt=False) == "canceled":
            acknowledged.add(str(job))

    with ThreadPoolExecutor(3) as pool:
        alive = {pool.submit(cancel_one, job) for job in ids}
        while alive or puppet.inbox:
            if puppet.inbox:
                puppet.serve()
            ended, alive = wait(alive, timeout=0.01, return_when=FIRST_COMPLETED)
            for race in ended:
                race.result()
    began = {job for job, _ in puppet.ran}
    assert not began & acknowledged
    assert began and acknowledged
    assert sorted(set(jobs_of(core, batch))) == ["CANCELED", "DONE"]
