"""What a reviewer broke once."""

from uuid import UUID

import psycopg
import pytest
from pydantic import ValidationError

from orchestrator.broker.permits import Permits
from orchestrator.errors import Rejected, Unavailable
from orchestrator.services.cancel import cancel_batch, cancel_job
from orchestrator.services.core import Core
from orchestrator.services.rebatch import rebatch
from orchestrator.services.submit import submit
from orchestrator.services.sweep import sweep
from schemas.batch import BatchIn, RebatchIn
from schemas.job import JobIn
from schemas.task import interrupt_key, session_key
from tests.integration.puppet import (
    PROJECT,
    Puppet,
    add_jobs,
    call,
    jobs_of,
    lost,
    new_batch,
    status_of,
)

Sql = psycopg.Connection[tuple[object, ...]]


def session_of(sql: Sql, device: str) -> object:
    row = sql.execute("SELECT session FROM device WHERE name = %s", (device,)).fetchone()
    return row and row[0]


def test_a_worker_of_another_type_is_never_taken_for_the_devices_own(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    wrong = Puppet.online(core, "dev-1", device_type="OTHER", journal="another")
    wrong.beat()
    sweep(core)
    assert session_of(sql, "dev-1") == puppet.session


def test_an_old_hello_does_not_take_the_device_back(core: Core, puppet: Puppet, sql: Sql) -> None:
    new = puppet.restarted(journal="another disk")
    core.permits.client.set(session_key("dev-1"), new.session)
    puppet.say_hello()
    assert session_of(sql, "dev-1") == new.session


class NoPermits(Permits):
    def grant(self, runs: object) -> None:
        raise Unavailable("the broker does not answer")


def test_a_wide_batch_that_could_not_be_staged_keeps_its_seat(core: Core, puppet: Puppet) -> None:
    real = core.permits
    object.__setattr__(core, "permits", NoPermits(real.client, real.ttl_s))
    batch = new_batch(core, 3, lanes=2)
    object.__setattr__(core, "permits", real)
    puppet.beat()
    sweep(core)
    puppet.serve_all()
    assert status_of(core, batch) == "DONE"


def test_jobs_added_to_a_wide_open_batch_bring_it_another_device(
    core: Core, puppet: Puppet
) -> None:
    other = Puppet.online(core, "dev-2")
    batch = new_batch(core, 0, lanes=2, open=True)
    add_jobs(core, batch, 50)
    assert puppet.inbox and other.inbox


def test_no_lane_is_taken_beyond_those_asked_for(core: Core, puppet: Puppet, sql: Sql) -> None:
    for name in ("dev-2", "dev-3", "dev-4"):
        Puppet.online(core, name)
    new_batch(core, 50, lanes=2)
    sweep(core)
    assert sql.execute("SELECT count(*) FROM device WHERE seat IS NOT NULL").fetchone() == (2,)


def test_an_open_batch_that_is_over_can_be_rebatched(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1, open=True)
    puppet.serve_all()
    call(core, cancel_batch, PROJECT, batch, interrupt=True)
    child = call(core, rebatch, PROJECT, None, batch, RebatchIn())
    puppet.serve_all()
    assert jobs_of(core, child) == ["DONE"]


def test_a_late_copy_that_no_longer_knows_its_end_changes_nothing(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 1)
    window = puppet.serve()
    puppet.answer(window, lost(window.jobs[0]))
    puppet.say_hello(lost(window.jobs[0]))
    assert (jobs_of(core, batch), status_of(core, batch)) == (["DONE"], "DONE")


@pytest.mark.parametrize("waiting", [1, 3])
def test_one_seat_at_a_time_is_asked_to_yield(
    core: Core, puppet: Puppet, sql: Sql, waiting: int
) -> None:
    other = Puppet.online(core, "dev-2")
    for device in (puppet, other):
        new_batch(core, 2)
        window = device.take()
        device.begin(window, window.jobs[0])
    for _ in range(waiting):
        new_batch(core, 1, priority=1)
    sweep(core)
    assert sql.execute("SELECT count(*) FROM device WHERE yielding").fetchone() == (1,)


def test_what_came_back_counts_even_if_the_next_batch_cannot_be_admitted(
    core: Core, puppet: Puppet, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    first = new_batch(core, 1, preemptible=False)
    second = new_batch(core, 1)
    sql.execute("UPDATE batch SET max_duration_s = 1e300 WHERE id = %s", (second,))
    puppet.serve()
    assert (jobs_of(core, first), status_of(core, second)) == (["DONE"], "PENDING")


@pytest.mark.parametrize("seconds", [1e12, 1e300, float("inf"), float("nan"), 0, -1])
def test_a_duration_that_is_no_date_is_refused(seconds: float) -> None:
    with pytest.raises(ValidationError):
        BatchIn(device_type="T", max_duration_s=seconds)


@pytest.mark.parametrize("seconds", [1e12, 1e300])
def test_an_idle_timeout_is_bounded_by_the_operator(
    core: Core, puppet: Puppet, seconds: float
) -> None:
    body = BatchIn(device_type="TEST", open=True, idle_timeout_s=seconds)
    with pytest.raises(Rejected, match="idle_timeout_s: must be at most 3600"):
        call(core, submit, PROJECT, None, body)


def test_a_number_that_json_cannot_say_is_refused_with_its_place(
    core: Core, puppet: Puppet
) -> None:
    jobs = [JobIn(payload={"x": "Infinity"}), JobIn(payload={"x": float("inf")})]
    body = BatchIn(device_type="TEST", jobs=jobs)
    with pytest.raises(Rejected, match=r"jobs\[1\]"):
        call(core, submit, PROJECT, None, body)


def test_an_interrupt_that_was_lost_is_sent_again(core: Core, puppet: Puppet) -> None:
    new_batch(core, 1)
    window = puppet.take()
    task = window.jobs[0]
    puppet.begin(window, task)
    call(core, cancel_job, PROJECT, UUID(task.job), interrupt=True)
    core.permits.client.delete(interrupt_key(task.job, task.run))
    puppet.beat(window=window.window, idle_s=0)
    sweep(core)
    assert core.permits.client.exists(interrupt_key(task.job, task.run))
