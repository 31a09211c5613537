"""A job that runs for longer than is held for it: another hour, or the end."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from orchestrator.services.cancel import cancel_batch
from orchestrator.services.core import Core
from orchestrator.services.revive import revive
from orchestrator.services.sweep import sweep
from schemas.task import Canceled, JobTask, Window, interrupt_key
from tests.integration.money import HOUR, balances, grant, priced, wrong
from tests.integration.puppet import PROJECT, Puppet, call, jobs_of, new_batch


def running(core: Core, puppet: Puppet, hours: float) -> tuple[UUID, Window, JobTask]:
    """A job that began so long ago."""
    batch = new_batch(core)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    puppet.beat(window.window)
    age(core, hours)
    return batch, window, window.jobs[0]


def age(core: Core, hours: float) -> None:
    by = {"by": timedelta(hours=hours)}
    with core.transaction() as tx:
        for change in ('"window" SET staged_at = staged_at', "job SET started_at = started_at"):
            tx.connection.execute(text(f"UPDATE {change} - :by"), by)


def reason(core: Core, task: JobTask) -> str | None:
    with core.transaction() as tx:
        found: str | None = tx.connection.execute(
            text("SELECT reason FROM job WHERE id = :id"), {"id": task.job}
        ).scalar_one()
    return found


def test_each_hour_begun_is_held_once(core: Core, puppet: Puppet) -> None:
    priced(core)
    grant(core, 10 * HOUR)
    running(core, puppet, 0.9)
    sweep(core)
    assert balances(core) == (9 * HOUR, HOUR, 0)
    age(core, 1.5)
    for _ in range(4):
        sweep(core)
    assert balances(core) == (7 * HOUR, 3 * HOUR, 0)
    assert wrong(core) == []


def test_who_cannot_pay_for_the_next_hour_is_stopped(core: Core, puppet: Puppet) -> None:
    priced(core)
    grant(core, HOUR)
    batch, window, task = running(core, puppet, 1.1)
    sweep(core)
    assert core.permits.client.exists(interrupt_key(task.job, task.run))
    puppet.answer(window, Canceled(job=task.job, run=task.run, began_at=0, ended_at=2 * HOUR))
    assert jobs_of(core, batch) == ["CANCELED"]
    assert reason(core, task) == "balance exhausted"
    assert balances(core)[1] == 0
    assert wrong(core) == []


def test_an_operator_may_let_it_run_on(core: Core, puppet: Puppet) -> None:
    object.__setattr__(core, "settings", replace(core.settings, overdraft=True))
    priced(core)
    grant(core, HOUR)
    _, _, task = running(core, puppet, 1.1)
    sweep(core)
    assert not core.permits.client.exists(interrupt_key(task.job, task.run))
    assert reason(core, task) is None


@pytest.mark.parametrize("status", ["free", "waiting"])
def test_only_what_runs_and_costs_is_looked_at(core: Core, puppet: Puppet, status: str) -> None:
    priced(core, rate=0 if status == "free" else 1)
    grant(core, 10 * HOUR)
    if status == "free":
        running(core, puppet, 5)
    else:
        new_batch(core)
    with core.transaction() as tx:
        assert core.watch.due(tx).overheld == []


def test_a_revived_job_may_be_extended_as_the_first_time(core: Core, puppet: Puppet) -> None:
    priced(core)
    grant(core, 2 * HOUR)
    batch, window, task = running(core, puppet, 1.1)
    sweep(core)
    age(core, 1)
    sweep(core)
    call(core, cancel_batch, PROJECT, batch, interrupt=True)
    outcome = Canceled(job=task.job, run=task.run, began_at=0, ended_at=1)
    puppet.answer(window, outcome)
    grant(core, 2 * HOUR)
    call(core, revive, PROJECT, batch)
    again = puppet.take()
    puppet.begin(again, again.jobs[0])
    age(core, 1.1)
    held = balances(core)[1]
    sweep(core)
    assert balances(core)[1] == held + HOUR
    assert wrong(core) == []
