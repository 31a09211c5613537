"""What each rule forgot beside the case that it was made for."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from orchestrator.control.tasks import Rounds
from orchestrator.services import silence
from orchestrator.services.core import Core
from orchestrator.services.sweep import sweep
from schemas.task import Window, beat_key, session_key
from tests.integration.money import HOUR, balances, grant, priced
from tests.integration.puppet import Puppet, done, new_batch, status_of
from tests.waiting import until

Sql = psycopg.Connection[tuple[object, ...]]


def paid_for(core: Core, puppet: Puppet) -> Window:
    """Its job has just begun, and an hour of ten is held for it."""
    priced(core)
    grant(core, 10 * HOUR)
    new_batch(core)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    return window


def test_a_job_of_a_device_that_is_not_heard_is_held_no_further_for(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    """Whether it runs at all, nobody knows: its project would pay for the wait."""
    paid_for(core, puppet)
    sql.execute("""UPDATE "window" SET staged_at = staged_at - interval '3 hours'""")
    sql.execute("UPDATE job SET started_at = started_at - interval '3 hours'")
    sql.execute("UPDATE device SET online = false")
    sweep(core)
    assert balances(core) == (9 * HOUR, HOUR, 0)


def test_a_device_whose_clock_is_hours_behind_costs_nobody_more(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    window = paid_for(core, puppet)
    puppet.beat(window.window)
    sql.execute("UPDATE job SET started_at = started_at - interval '3 hours'")
    sweep(core)
    assert balances(core) == (9 * HOUR, HOUR, 0)


def test_a_silent_device_that_was_asked_to_yield_is_not_waited_for(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    other = Puppet.online(core, "dev-2")
    silent, _ = new_batch(core, 2), new_batch(core, 2, priority=-1)
    sql.execute("UPDATE device SET yielding = true, online = false WHERE seat = %s", (silent,))
    window = other.take()
    other.begin(window, window.jobs[0])
    new_batch(core, 1, priority=5)
    sweep(core)
    found = sql.execute("SELECT yielding FROM device WHERE name = 'dev-2'").fetchone()
    assert found == (True,)


def test_a_heartbeat_that_was_read_before_another_took_the_device_is_not_heeded(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    new_batch(core)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    core.permits.client.set(session_key("dev-1"), puppet.session)
    former = Puppet(core, "dev-1", "an older session", "another journal")
    former.beat()
    sweep(core)
    puppet.answer(window, done(window.jobs[0]))
    assert sql.execute("SELECT status, run FROM job").fetchall() == [("DONE", 1)]


def test_one_device_whose_turn_breaks_keeps_no_other_from_its_own(
    core: Core, puppet: Puppet, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    Puppet.online(core, "dev-2")
    sweep(core)
    rows = sql.execute("SELECT id FROM device ORDER BY id").fetchall()
    real = silence.go_offline

    def go_offline(core: Core, device: int) -> None:
        if device == rows[0][0]:
            raise RuntimeError("this one always breaks")
        real(core, device)

    monkeypatch.setattr(silence, "go_offline", go_offline)
    sql.execute("UPDATE device SET heard_at = now() - interval '20 seconds'")
    sweep(core)
    assert sql.execute("SELECT online FROM device ORDER BY id").fetchall() == [(True,), (False,)]


def test_a_heartbeat_of_another_version_does_not_hide_who_is_silent(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    Puppet.online(core, "dev-2")
    sweep(core)
    core.permits.client.set(beat_key("dev-1"), '{"from": "the future"}', px=4000)
    sql.execute("UPDATE device SET heard_at = now() - interval '20 seconds' WHERE name = 'dev-2'")
    sweep(core)
    assert sql.execute("SELECT online FROM device ORDER BY name").fetchall() == [(True,), (False,)]


def test_a_pile_of_the_same_word_is_one_sweep() -> None:
    rounds = Rounds(least_s=60)
    answers = []
    for _ in range(3):
        with rounds.one() as due:
            answers.append(due)
    assert answers == [True, False, False]


def test_sweeps_that_are_held_up_leave_threads_to_settle() -> None:
    rounds = Rounds(least_s=0, most=2)
    with rounds.one() as first, rounds.one() as second, rounds.one() as third:
        assert (first, second, third) == (True, True, False)
    with rounds.one() as fourth:
        assert fourth


def test_a_device_that_nobody_can_lock_delays_no_deadline(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    """A process that is frozen may hold it for half a minute."""
    Puppet.online(core, "dev-2", device_type="OTHER").beat()
    batch = new_batch(core, 1, open=True)
    puppet.serve_all()
    sql.execute("UPDATE batch SET idle_deadline = now() - interval '1 second'")
    sql.execute("UPDATE device SET heard_at = now() - interval '9 s' WHERE name = 'dev-2'")
    url = core.settings.database_url.replace("+psycopg", "")
    with psycopg.connect(url) as frozen, ThreadPoolExecutor(1) as sweeping:
        frozen.execute("SELECT 1 FROM device WHERE name = 'dev-2' FOR UPDATE")
        done_by = sweeping.submit(sweep, core)
        until(lambda: status_of(core, batch) == "TIMED_OUT", 5)
        assert not done_by.done()
        frozen.rollback()
        done_by.result(timeout=20)
