"""A batch takes a device, holds it, and lets go."""

from uuid import UUID

import psycopg
import pytest

from orchestrator.errors import BatchClosed, Conflict, NotFound
from orchestrator.services.append import append, retry
from orchestrator.services.cancel import cancel_batch
from orchestrator.services.close import close
from orchestrator.services.core import Core
from orchestrator.services.rebatch import rebatch
from orchestrator.services.revive import revive
from schemas.batch import RebatchIn
from schemas.job import JobFilter
from schemas.words import JobStatus
from tests.integration.puppet import (
    OTHER_PROJECT,
    PROJECT,
    Puppet,
    add_jobs,
    call,
    failed,
    job_bodies,
    jobs_of,
    new_batch,
    status_of,
)

Sql = psycopg.Connection[tuple[object, ...]]


def test_two_batches_on_one_device_run_one_after_the_other(core: Core, puppet: Puppet) -> None:
    first, second = new_batch(core, 5), new_batch(core, 5)
    served = puppet.serve_all()
    assert served == sorted(served, key=[str(first), str(second)].index)
    assert (status_of(core, first), status_of(core, second)) == ("DONE", "DONE")


def test_jobs_begin_in_the_order_in_which_they_were_submitted(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    new_batch(core, 200)
    puppet.serve_all()
    order = [str(row[0]) for row in sql.execute("SELECT id FROM job ORDER BY ordinal")]
    assert [job for job, _ in puppet.ran] == order


def test_an_open_batch_keeps_its_seat_while_it_waits(core: Core, puppet: Puppet) -> None:
    held, waiting = new_batch(core, 1, open=True), new_batch(core, 1)
    puppet.serve_all()
    assert (status_of(core, held), status_of(core, waiting)) == ("RUNNING", "PENDING")


def test_a_job_added_to_an_open_batch_runs_at_once(core: Core, puppet: Puppet) -> None:
    held = new_batch(core, 1, open=True)
    puppet.serve_all()
    add_jobs(core, held, 2)
    puppet.serve_all()
    assert jobs_of(core, held) == ["DONE"] * 3


def test_closing_an_open_batch_hands_its_device_over(core: Core, puppet: Puppet) -> None:
    held, waiting = new_batch(core, 1, open=True), new_batch(core, 1)
    puppet.serve_all()
    call(core, close, PROJECT, held)
    puppet.serve_all()
    assert (status_of(core, held), status_of(core, waiting)) == ("DONE", "DONE")


def test_an_empty_open_batch_is_done_when_it_is_closed(core: Core) -> None:
    waiting = new_batch_without_device(core)
    call(core, close, PROJECT, waiting)
    assert status_of(core, waiting) == "DONE"


def new_batch_without_device(core: Core) -> UUID:
    Puppet.online(core, "busy")
    new_batch(core, 1)
    return new_batch(core, 0, open=True)


def test_a_failing_job_does_not_end_its_batch(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 3)
    window = puppet.take()
    assert puppet.has_permit(window.jobs[0])
    puppet.answer(window, failed(window.jobs[0], "no atoms"))
    puppet.serve_all()
    assert jobs_of(core, batch) == ["ERROR", "DONE", "DONE"]
    assert status_of(core, batch) == "DONE"


def test_a_higher_priority_goes_first(core: Core, puppet: Puppet) -> None:
    running = new_batch(core, 1, preemptible=False)
    low, high = new_batch(core, 1), new_batch(core, 1, priority=5)
    served = puppet.serve_all()
    assert served == [str(running), str(high), str(low)]


def test_a_batch_with_lanes_takes_several_devices(core: Core, puppet: Puppet) -> None:
    other = Puppet.online(core, "dev-2")
    batch = new_batch(core, 20, lanes=2)
    assert puppet.inbox and other.inbox
    while puppet.inbox or other.inbox:
        for lane in (puppet, other):
            if lane.inbox:
                lane.serve()
    assert status_of(core, batch) == "DONE"
    assert puppet.ran and other.ran


def test_a_batch_with_one_lane_leaves_the_other_device_to_others(
    core: Core, puppet: Puppet
) -> None:
    other = Puppet.online(core, "dev-2")
    first, second = new_batch(core, 2), new_batch(core, 2)
    assert {w.batch for w in puppet.inbox} == {str(first)}
    assert {w.batch for w in other.inbox} == {str(second)}


def test_a_batch_that_names_its_device_waits_for_it(core: Core, puppet: Puppet) -> None:
    other = Puppet.online(core, "dev-2")
    new_batch(core, 1, device="dev-1")
    waiting = new_batch(core, 1, device="dev-1")
    assert not other.inbox
    assert status_of(core, waiting) == "PENDING"


def test_a_batch_runs_when_its_device_first_comes_online(core: Core, puppet: Puppet) -> None:
    puppet.core.permits.client.flushall()
    batch = new_batch(core, 1)
    late = Puppet.online(core, "dev-2")
    assert status_of(core, batch) in ("ADMITTED", "PENDING")
    puppet.serve_all()
    late.serve_all()
    assert status_of(core, batch) == "DONE"


def test_a_closed_batch_takes_no_more_jobs(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    with pytest.raises(BatchClosed, match="closed"):
        call(core, append, PROJECT, batch, job_bodies(1))


def test_a_batch_that_is_over_takes_no_more_jobs(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1, open=True)
    call(core, cancel_batch, PROJECT, batch, interrupt=True)
    with pytest.raises(BatchClosed, match="CANCELED"):
        call(core, append, PROJECT, batch, job_bodies(1))


def test_another_projects_batch_does_not_exist(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1, open=True)
    for verb in (close, lambda *a: cancel_batch(*a, interrupt=True), revive):
        with pytest.raises(NotFound):
            call(core, verb, OTHER_PROJECT, batch)
    with pytest.raises(NotFound):
        call(core, append, OTHER_PROJECT, batch, job_bodies(1))


def test_rebatch_copies_the_jobs_that_the_filter_names(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 2)
    window = puppet.take()
    assert puppet.has_permit(window.jobs[0])
    puppet.answer(window, failed(window.jobs[0]))
    puppet.serve_all()
    body = RebatchIn(filter=JobFilter(statuses=[JobStatus.ERROR]))
    child = call(core, rebatch, PROJECT, None, batch, body)
    puppet.serve_all()
    assert jobs_of(core, child) == ["DONE"]


def test_an_open_batch_is_not_rebatched(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1, open=True)
    with pytest.raises(Conflict, match="open"):
        call(core, rebatch, PROJECT, None, batch, RebatchIn())


def test_retry_puts_a_copy_of_the_job_into_the_same_open_batch(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 1, open=True)
    puppet.serve_all()
    job = sql.execute("SELECT id FROM job").fetchone()
    assert job is not None
    call(core, retry, PROJECT, job[0])
    puppet.serve_all()
    assert jobs_of(core, batch) == ["DONE", "DONE"]


def test_a_revived_batch_runs_only_its_unfinished_jobs(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 6)
    puppet.serve()
    call(core, cancel_batch, PROJECT, batch, interrupt=True)
    puppet.serve_all()
    finished = len(puppet.ran)
    assert status_of(core, batch) == "CANCELED"
    call(core, revive, PROJECT, batch)
    puppet.serve_all()
    assert status_of(core, batch) == "DONE"
    assert len(puppet.ran) == 6 and finished < 6


def test_a_batch_that_is_done_cannot_be_revived(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    puppet.serve_all()
    with pytest.raises(Conflict, match="DONE"):
        call(core, revive, PROJECT, batch)


def test_the_fence_grows_each_time_the_seat_changes_hands(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    for _ in range(3):
        new_batch(core, 1)
    puppet.serve_all()
    assert sql.execute("SELECT fence FROM device").fetchone() == (3,)


def test_the_database_itself_refuses_to_undo_a_done_job(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    new_batch(core, 1)
    puppet.serve_all()
    with pytest.raises(psycopg.errors.CheckViolation, match="stays so"):
        sql.execute("UPDATE job SET status = 'PENDING', ended_at = NULL")
