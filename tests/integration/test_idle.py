"""An open batch is timed out when its owner has gone, not before."""

import psycopg
import pytest

from orchestrator.errors import BatchClosed
from orchestrator.services.append import append
from orchestrator.services.core import Core
from orchestrator.services.sweep import sweep
from tests.integration.puppet import (
    PROJECT,
    Puppet,
    add_jobs,
    call,
    job_bodies,
    jobs_of,
    new_batch,
    status_of,
)

Sql = psycopg.Connection[tuple[object, ...]]


def pass_time(sql: Sql, seconds: float) -> None:
    sql.execute(
        "UPDATE batch SET idle_deadline = idle_deadline - %(s)s * interval '1 second',"
        " overrun_deadline = overrun_deadline - %(s)s * interval '1 second'",
        {"s": seconds},
    )


def test_an_idle_open_batch_times_out_and_lets_go(core: Core, puppet: Puppet, sql: Sql) -> None:
    held, waiting = new_batch(core, 1, open=True, idle_timeout_s=10), new_batch(core, 1)
    puppet.serve_all()
    puppet.beat()
    pass_time(sql, 10.1)
    sweep(core)
    puppet.serve_all()
    assert (status_of(core, held), status_of(core, waiting)) == ("TIMED_OUT", "DONE")


def test_it_does_not_time_out_before_its_allowance(core: Core, puppet: Puppet, sql: Sql) -> None:
    held = new_batch(core, 1, open=True, idle_timeout_s=10)
    puppet.serve_all()
    puppet.beat()
    pass_time(sql, 9)
    sweep(core)
    assert status_of(core, held) == "RUNNING"


def test_a_job_added_before_the_deadline_is_run(core: Core, puppet: Puppet, sql: Sql) -> None:
    held = new_batch(core, 1, open=True, idle_timeout_s=10)
    puppet.serve_all()
    pass_time(sql, 9.9)
    add_jobs(core, held, 1)
    puppet.beat()
    sweep(core)
    puppet.serve_all()
    assert (status_of(core, held), jobs_of(core, held)) == ("RUNNING", ["DONE", "DONE"])


def test_an_empty_open_batch_on_a_device_times_out_too(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    held = new_batch(core, 0, open=True, idle_timeout_s=10)
    puppet.beat()
    pass_time(sql, 11)
    sweep(core)
    assert status_of(core, held) == "TIMED_OUT"


def test_a_batch_that_waits_in_the_queue_is_never_idle(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    new_batch(core, 1, open=True)
    waiting = new_batch(core, 0, open=True, idle_timeout_s=1)
    pass_time(sql, 1000)
    sweep(core)
    assert status_of(core, waiting) == "PENDING"


def test_a_timed_out_batch_takes_no_more_jobs(core: Core, puppet: Puppet, sql: Sql) -> None:
    held = new_batch(core, 1, open=True, idle_timeout_s=10)
    puppet.serve_all()
    puppet.beat()
    pass_time(sql, 11)
    sweep(core)
    with pytest.raises(BatchClosed, match="TIMED_OUT"):
        call(core, append, PROJECT, held, job_bodies(1))


def test_a_batch_that_overran_loses_its_leftovers(core: Core, puppet: Puppet, sql: Sql) -> None:
    batch, waiting = new_batch(core, 9, max_duration_s=10), new_batch(core, 1)
    puppet.serve()
    puppet.beat()
    pass_time(sql, 11)
    sweep(core)
    puppet.serve_all()
    assert status_of(core, batch) == "TIMED_OUT"
    assert set(jobs_of(core, batch)) == {"DONE", "CANCELED"}
    assert status_of(core, waiting) == "DONE"
