"""Credits are held when jobs are accepted, and close with each job's own end."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import text

from orchestrator.errors import Conflict, InsufficientBalance
from orchestrator.services.append import append
from orchestrator.services.cancel import cancel_batch, cancel_job
from orchestrator.services.close import close
from orchestrator.services.core import Core
from orchestrator.services.rebatch import rebatch
from orchestrator.services.revive import revive
from orchestrator.services.settle import settle
from orchestrator.services.submit import submit
from orchestrator.store.transaction import Transaction
from schemas.batch import BatchIn, RebatchIn
from schemas.task import Canceled, Settle
from tests.integration.api_stack import counts
from tests.integration.money import HOUR, balances, grant, priced, ran, wrong
from tests.integration.puppet import (
    OTHER_PROJECT,
    PROJECT,
    TYPE,
    Puppet,
    add_jobs,
    call,
    failed,
    job_bodies,
    jobs_of,
    lost,
    new_batch,
)


@pytest.fixture
def paid(core: Core) -> Core:
    """One micro-credit a second; enough for ten jobs."""
    priced(core)
    grant(core, 10 * HOUR)
    return core


def settled(puppet: Puppet, batch: UUID) -> Settle:
    """The next window's end, after 2.5 s for each of its jobs."""
    window = puppet.take()
    assert window.batch == str(batch)
    return Settle(
        window=window.window,
        device=puppet.device,
        session=puppet.session,
        journal=puppet.journal,
        outcomes=[ran(task, 2.5) for task in window.jobs if puppet.has_permit(task)],
    )


def test_a_job_is_held_for_an_hour_and_pays_for_its_seconds(paid: Core, puppet: Puppet) -> None:
    batch = new_batch(paid)
    assert balances(paid) == (9 * HOUR, HOUR, 0)
    settle(paid, settled(puppet, batch))
    assert balances(paid) == (10 * HOUR - 3, 0, 3)
    assert wrong(paid) == []


def test_an_end_that_is_told_three_times_is_paid_once(paid: Core, puppet: Puppet) -> None:
    message = settled(puppet, new_batch(paid))
    for _ in range(3):
        settle(paid, message)
    assert balances(paid) == (10 * HOUR - 3, 0, 3)
    assert wrong(paid) == []


def test_a_job_never_pays_more_than_is_held(paid: Core, puppet: Puppet) -> None:
    new_batch(paid)
    window = puppet.take()
    puppet.answer(window, ran(window.jobs[0], 2 * HOUR))
    assert balances(paid) == (9 * HOUR, 0, HOUR)
    assert wrong(paid) == []


def test_a_job_that_fails_by_its_own_fault_pays(paid: Core, puppet: Puppet) -> None:
    new_batch(paid)
    window = puppet.take()
    end = ran(window.jobs[0], 4)
    outcome = failed(window.jobs[0])
    puppet.answer(window, outcome.model_copy(update=end.model_dump(include={"began_at"})))
    assert balances(paid)[1] == 0
    assert balances(paid)[2] in (4, 5)


def test_a_cancel_before_the_start_gives_everything_back(paid: Core) -> None:
    batch = new_batch(paid, 3)
    assert balances(paid) == (7 * HOUR, 3 * HOUR, 0)
    call(paid, cancel_batch, PROJECT, batch, interrupt=False)
    assert balances(paid) == (10 * HOUR, 0, 0)
    assert wrong(paid) == []


def test_a_cancel_of_what_runs_pays_for_what_it_took(paid: Core, puppet: Puppet) -> None:
    new_batch(paid)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    call(paid, cancel_job, PROJECT, UUID(window.jobs[0].job), interrupt=True)
    now = time.time()
    task = window.jobs[0]
    puppet.answer(window, Canceled(job=task.job, run=task.run, began_at=now, ended_at=now + 7))
    assert balances(paid)[:2] == (10 * HOUR - balances(paid)[2], 0)
    assert 7 <= balances(paid)[2] <= 9
    assert wrong(paid) == []


def test_a_run_that_is_lost_costs_nothing_and_the_next_one_is_paid(
    paid: Core, puppet: Puppet
) -> None:
    batch = new_batch(paid)
    with paid.transaction() as tx:
        tx.connection.execute(text("UPDATE device_type SET on_lost = 'retry'"))
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    puppet.answer(window, lost(window.jobs[0]))
    assert balances(paid) == (9 * HOUR, HOUR, 0)
    settle(paid, settled(puppet, batch))
    assert balances(paid) == (10 * HOUR - 3, 0, 3)
    assert wrong(paid) == []


def test_a_job_lost_for_good_costs_nothing(paid: Core, puppet: Puppet) -> None:
    batch = new_batch(paid)
    with paid.transaction() as tx:
        tx.connection.execute(text("UPDATE device_type SET on_lost = 'fail'"))
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    puppet.answer(window, lost(window.jobs[0]))
    assert jobs_of(paid, batch) == ["ERROR"]
    assert balances(paid) == (10 * HOUR, 0, 0)
    assert wrong(paid) == []


def test_who_lacks_the_credits_leaves_nothing_behind(paid: Core) -> None:
    before = counts(paid)
    with pytest.raises(InsufficientBalance) as refused:
        new_batch(paid, 11)
    assert counts(paid) == before
    assert refused.value.figures == {
        "required": 11 * HOUR,
        "available": 10 * HOUR,
        "shortfall": HOUR,
        "unit": "micro-credits",
        "billable_jobs": 11,
        "assumed_runtime_s": 3600,
    }


def test_a_project_without_an_account_has_nothing(paid: Core) -> None:
    body = BatchIn(device_type=TYPE, jobs=job_bodies(1))
    with pytest.raises(InsufficientBalance):
        call(paid, submit, OTHER_PROJECT, None, body)


def test_an_append_that_cannot_be_paid_is_refused_alone(paid: Core) -> None:
    batch = new_batch(paid, 9, open=True)
    with pytest.raises(InsufficientBalance):
        add_jobs(paid, batch, 2)
    add_jobs(paid, batch, 1)
    assert balances(paid) == (0, 10 * HOUR, 0)
    assert len(jobs_of(paid, batch)) == 10


def test_a_rebatch_is_held_for_anew(paid: Core) -> None:
    batch = new_batch(paid, 6)
    call(paid, cancel_batch, PROJECT, batch, interrupt=False)
    call(paid, rebatch, PROJECT, None, batch, RebatchIn())
    assert balances(paid) == (4 * HOUR, 6 * HOUR, 0)
    with pytest.raises(InsufficientBalance):
        call(paid, rebatch, PROJECT, None, batch, RebatchIn())


def test_a_revived_batch_holds_again_for_what_is_left(paid: Core, puppet: Puppet) -> None:
    batch = new_batch(paid, 3)
    window = puppet.take()
    call(paid, cancel_batch, PROJECT, batch, interrupt=False)
    puppet.answer(window, *[puppet.run(task) for task in window.jobs])
    for _ in range(2):
        call(paid, revive, PROJECT, batch)
        assert balances(paid)[1] == 3 * HOUR
        puppet.drop_messages()
        call(paid, cancel_batch, PROJECT, batch, interrupt=False)
        assert balances(paid)[1] == 0
        vacated(puppet)
    grant_left = balances(paid)[0]
    new_batch(paid, grant_left // HOUR)
    with pytest.raises(InsufficientBalance):
        call(paid, revive, PROJECT, batch)
    assert wrong(paid) == []


def vacated(puppet: Puppet) -> None:
    while puppet.inbox:
        puppet.serve()


def test_free_jobs_touch_no_account(core: Core, puppet: Puppet) -> None:
    grant(core, HOUR)
    batch = new_batch(core, 5)
    puppet.serve_all()
    assert jobs_of(core, batch) == ["DONE"] * 5
    assert balances(core) == (HOUR, 0, 0)
    assert wrong(core) == []


def test_fifty_at_once_on_a_balance_for_thirty_are_thirty(paid: Core) -> None:
    grant(paid, 20 * HOUR)

    def one(_: int) -> bool:
        try:
            new_batch(paid)
        except InsufficientBalance:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        accepted = sum(pool.map(one, range(50)))
    assert accepted == 30
    assert balances(paid) == (0, 30 * HOUR, 0)
    assert wrong(paid) == []


def test_a_grant_under_the_same_key_is_one(core: Core) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: grant(core, 100, key="same"), range(8)))
    assert balances(core) == (100, 0, 0)
    assert wrong(core) == []


def test_who_waits_for_a_batch_has_no_account_locked_yet(paid: Core) -> None:
    """Else the one who has that batch, and wants the account, would wait for him in turn."""
    one, two = new_batch(paid), new_batch(paid)
    first_ended, second_locked = Event(), Event()

    def both() -> None:
        with paid.transaction() as tx:
            cancel_batch(paid, tx, PROJECT, one, interrupt=False)
            first_ended.set()
            assert second_locked.wait(10)
            with suppress(Conflict):
                cancel_batch(paid, tx, PROJECT, two, interrupt=False)

    def second() -> None:
        with paid.transaction() as tx:
            paid.batches.lock(tx, two)
            second_locked.set()
            assert first_ended.wait(10)
            cancel_batch(paid, tx, PROJECT, two, interrupt=False)

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(both), pool.submit(second)]:
            each.result()
    assert balances(paid) == (10 * HOUR, 0, 0)
    assert wrong(paid) == []


def test_a_closed_batch_that_grew_is_billed_job_by_job(paid: Core, puppet: Puppet) -> None:
    batch = new_batch(paid, 0, open=True)
    call(paid, append, PROJECT, batch, job_bodies(2))
    call(paid, close, PROJECT, batch)
    assert balances(paid)[1] == 2 * HOUR
    puppet.serve_all()
    assert balances(paid)[1] == 0
    assert wrong(paid) == []


def test_what_one_call_submits_is_weighed_together(paid: Core) -> None:
    before = counts(paid)
    body = BatchIn(device_type=TYPE, jobs=job_bodies(6))

    def two(core: Core, tx: Transaction) -> None:
        for _ in range(2):
            submit(core, tx, PROJECT, None, body)

    with pytest.raises(InsufficientBalance) as refused:
        call(paid, two)
    assert (refused.value.figures["required"], refused.value.figures["billable_jobs"]) == (
        12 * HOUR,
        12,
    )
    assert counts(paid) == before
