"""What an operator does with a device, and what a higher priority may."""

import psycopg
import pytest

from orchestrator.errors import NotFound
from orchestrator.services.cancel import cancel_batch, cancel_jobs
from orchestrator.services.core import Core
from orchestrator.services.device import drain, pause, resume, retire
from orchestrator.services.revive import revive
from orchestrator.services.sweep import sweep
from schemas.job import JobFilter
from tests.integration.puppet import (
    PROJECT,
    Puppet,
    call,
    done,
    jobs_of,
    new_batch,
    status_of,
)

Sql = psycopg.Connection[tuple[object, ...]]


def kinds(sql: Sql, batch: object) -> list[object]:
    rows = sql.execute(
        "SELECT kind FROM event WHERE batch_id = %s AND job_id IS NULL ORDER BY id", (batch,)
    )
    return [row[0] for row in rows]


def batch_of(sql: Sql, job: str) -> object:
    row = sql.execute("SELECT batch_id FROM job WHERE id = %s", (job,)).fetchone()
    assert row is not None
    return row[0]


def test_a_paused_device_lets_the_running_job_end_and_begins_no_other(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 3)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    call(core, pause, "dev-1", "laser calibration")
    puppet.answer(window, done(window.jobs[0]))
    puppet.serve_all()
    assert jobs_of(core, batch) == ["DONE", "PENDING", "PENDING"]
    assert status_of(core, batch) == "PAUSED"


def test_the_owner_of_a_paused_batch_reads_why(core: Core, puppet: Puppet, sql: Sql) -> None:
    new_batch(core, 1)
    call(core, pause, "dev-1", "laser calibration")
    row = sql.execute("SELECT reason FROM batch").fetchone()
    assert row is not None and "laser calibration" in str(row[0])


def test_a_resumed_device_takes_its_batch_up_again(core: Core, puppet: Puppet) -> None:
    batch, younger = new_batch(core, 2), new_batch(core, 1)
    call(core, pause, "dev-1", "calibration")
    puppet.serve_all()
    call(core, resume, "dev-1")
    served = puppet.serve_all()
    assert list(dict.fromkeys(served)) == [str(batch), str(younger)]
    assert jobs_of(core, batch) == ["DONE", "DONE"]


def test_a_draining_device_ends_its_batch_and_takes_no_other(core: Core, puppet: Puppet) -> None:
    batch, waiting = new_batch(core, 3), new_batch(core, 1)
    call(core, drain, "dev-1", "maintenance at noon")
    puppet.serve_all()
    assert (status_of(core, batch), status_of(core, waiting)) == ("DONE", "PENDING")


def test_a_retired_device_breaks_its_batch_which_can_be_revived_elsewhere(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 2)
    call(core, retire, "dev-1", "sold")
    assert status_of(core, batch) == "ERROR"
    puppet.serve_all()
    other = Puppet.online(core, "dev-2")
    call(core, revive, PROJECT, batch)
    other.serve_all()
    assert status_of(core, batch) == "DONE"


def test_a_retired_device_is_gone(core: Core, puppet: Puppet) -> None:
    call(core, retire, "dev-1", "sold")
    with pytest.raises(NotFound):
        call(core, resume, "dev-1")


def test_an_unknown_device_is_not_found(core: Core) -> None:
    with pytest.raises(NotFound, match="dev-9"):
        call(core, pause, "dev-9", "?")


def test_a_higher_priority_takes_the_seat_at_a_job_boundary(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    low = new_batch(core, 3)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    high = new_batch(core, 1, priority=1)
    assert status_of(core, low) == "RUNNING"
    puppet.answer(window, done(window.jobs[0]))
    puppet.serve_all()
    ran = [batch_of(sql, job) for job, _ in puppet.ran]
    assert ran == [low, high, low, low]
    assert status_of(core, high) == status_of(core, low) == "DONE"
    assert kinds(sql, low).count("preempted") == kinds(sql, low).count("requeued") == 1


def test_an_equal_priority_waits(core: Core, puppet: Puppet, sql: Sql) -> None:
    first = new_batch(core, 3)
    new_batch(core, 1)
    puppet.serve_all()
    assert "preempted" not in kinds(sql, first)


def test_an_open_batch_is_not_preempted_unless_it_says_so(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    held = new_batch(core, 1, open=True)
    high = new_batch(core, 1, priority=9)
    puppet.serve_all()
    sweep(core)
    assert (status_of(core, held), status_of(core, high)) == ("RUNNING", "PENDING")


def test_an_open_batch_that_says_so_is_preempted(core: Core, puppet: Puppet) -> None:
    new_batch(core, 1, open=True, preemptible=True)
    puppet.serve_all()
    high = new_batch(core, 1, priority=9)
    puppet.serve_all()
    assert status_of(core, high) == "DONE"


def test_a_batch_asked_to_yield_stays_when_the_other_one_is_canceled(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    low = new_batch(core, 3)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    high = new_batch(core, 1, priority=1)
    call(core, cancel_batch, PROJECT, high, interrupt=True)
    puppet.answer(window, done(window.jobs[0]))
    puppet.serve_all()
    assert "preempted" not in kinds(sql, low)
    assert status_of(core, low) == "DONE"


def test_a_preempted_batch_goes_before_younger_ones_of_its_priority(
    core: Core, puppet: Puppet
) -> None:
    low = new_batch(core, 1)
    younger, high = new_batch(core, 1), new_batch(core, 1, priority=1)
    served = [batch for batch in puppet.serve_all() if batch != str(high)]
    assert served.index(str(low)) < served.index(str(younger))


def test_a_paused_batch_whose_last_job_was_canceled_is_done_when_it_is_back(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 1)
    call(core, pause, puppet.device, "calibration")
    call(core, cancel_jobs, PROJECT, batch, JobFilter(), interrupt=False)
    assert status_of(core, batch) == "PAUSED"
    call(core, resume, puppet.device)
    assert status_of(core, batch) == "DONE"
