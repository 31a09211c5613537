"""Workers that die, come back, are replaced, or only seem to be gone."""

import psycopg

from orchestrator.services.core import Core
from orchestrator.services.sweep import sweep
from schemas.task import beat_key, met_key
from tests.integration.puppet import Puppet, done, jobs_of, lost, new_batch, status_of

Sql = psycopg.Connection[tuple[object, ...]]


def silence(core: Core, puppet: Puppet, sql: Sql, seconds: float) -> None:
    """The device was last heard so long ago, and the sweep has looked all the while."""
    core.permits.client.delete(beat_key(puppet.device))
    sweep(core)
    sql.execute(
        "UPDATE device SET heard_at = now() - %s * interval '1 second' WHERE name = %s",
        (seconds, puppet.device),
    )
    for _ in range(2):  # one finds it silent, the next finds it gone
        sweep(core)


def online(sql: Sql, device: str = "dev-1") -> bool:
    row = sql.execute("SELECT online FROM device WHERE name = %s", (device,)).fetchone()
    assert row is not None
    return bool(row[0])


def test_an_unheard_device_goes_offline(core: Core, puppet: Puppet, sql: Sql) -> None:
    silence(core, puppet, sql, 16)
    assert not online(sql)


def test_a_device_heard_a_moment_ago_stays_online(core: Core, puppet: Puppet, sql: Sql) -> None:
    silence(core, puppet, sql, 5)
    assert online(sql)


def test_a_beating_device_stays_online(core: Core, puppet: Puppet, sql: Sql) -> None:
    puppet.beat()
    sql.execute("UPDATE device SET heard_at = now() - interval '10 minutes'")
    sweep(core)
    assert online(sql)


def test_silence_does_not_count_while_redis_has_forgotten_everything(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    sweep(core)
    sql.execute("UPDATE device SET heard_at = now() - interval '10 minutes'")
    core.permits.client.flushall()
    sweep(core)
    assert online(sql)


def test_silence_does_not_count_while_nobody_was_listening(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    sweep(core)
    sql.execute("UPDATE device SET heard_at = now() - interval '10 minutes'")
    sql.execute("UPDATE watch SET beats_read_at = now() - interval '10 minutes'")
    sweep(core)
    assert online(sql)


def test_a_device_heard_again_is_online_again(core: Core, puppet: Puppet, sql: Sql) -> None:
    silence(core, puppet, sql, 16)
    puppet.beat()
    sweep(core)
    assert online(sql)


def test_a_restarted_worker_runs_what_was_staged_for_its_former_self(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 5)
    puppet.drop_messages()
    new = puppet.restarted()
    new.serve_all()
    assert jobs_of(core, batch) == ["DONE"] * 5
    assert len(new.ran) == len(set(new.ran)) == 5


def test_what_a_restarted_worker_had_finished_is_not_run_again(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    outcome = puppet.run(window.jobs[0])
    new = puppet.restarted(outcome)
    assert not new.inbox
    assert (jobs_of(core, batch), status_of(core, batch)) == (["DONE"], "DONE")


def test_what_a_restarted_worker_had_only_begun_runs_again(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 3)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    new = puppet.restarted(lost(window.jobs[0]))
    new.serve_all()
    assert jobs_of(core, batch) == ["DONE"] * 3


def test_a_standby_with_another_journal_takes_over(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 4)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    standby = puppet.restarted(journal="another disk")
    standby.serve_all()
    assert jobs_of(core, batch) == ["DONE"] * 4
    assert (window.jobs[0].job, 2) in standby.ran


def test_a_worker_whose_hello_was_lost_is_known_by_its_heartbeat(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 2)
    puppet.drop_messages()
    puppet.session = "a new process"
    puppet.beat()
    sweep(core)
    assert puppet.take().session == "a new process"
    assert status_of(core, batch) == "ADMITTED"


def test_jobs_that_had_not_begun_on_a_silent_device_come_back(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 2)
    window = puppet.take()
    silence(core, puppet, sql, 16)
    assert not puppet.has_permit(window.jobs[0])
    assert jobs_of(core, batch) == ["PENDING"] * 2


def test_in_a_pool_the_batch_of_a_silent_device_moves_on(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 2)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    other = Puppet.online(core, "dev-2")
    other.beat()
    silence(core, puppet, sql, 20)
    other.serve_all()
    assert jobs_of(core, batch) == ["DONE"] * 2
    assert (window.jobs[0].job, 2) in other.ran


def test_a_unique_device_is_waited_for(core: Core, puppet: Puppet, sql: Sql) -> None:
    batch = new_batch(core, 2)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    silence(core, puppet, sql, 1000)
    assert jobs_of(core, batch) == ["RUNNING", "PENDING"]
    back = puppet.restarted(done(window.jobs[0]))
    back.serve_all()
    assert jobs_of(core, batch) == ["DONE"] * 2
    assert back.ran.count((window.jobs[0].job, 1)) == 1


def test_the_result_of_a_device_given_up_on_comes_too_late(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    other = Puppet.online(core, "dev-2")
    other.beat()
    silence(core, puppet, sql, 20)
    other.serve_all()
    puppet.answer(window, done(window.jobs[0], value="late"))
    assert sql.execute("SELECT value->>'of' FROM result").fetchall() == [("1",)]
    assert status_of(core, batch) == "DONE"


def test_an_answer_that_was_lost_is_asked_for_while_the_next_window_runs(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 2)
    first, second = puppet.take(), puppet.take()
    told_nobody = puppet.run(first.jobs[0])
    puppet.begin(second, second.jobs[0])
    sql.execute("UPDATE \"window\" SET sent_at = sent_at - interval '1 minute'")
    puppet.beat(second.window)
    sweep(core)
    assert core.permits.client.get(met_key(puppet.device)) is None
    puppet.say_hello(told_nobody)
    assert jobs_of(core, batch) == ["DONE", "RUNNING"]
    assert core.permits.client.get(met_key(puppet.device)) == puppet.session


def test_a_worker_with_nothing_to_answer_for_is_not_asked(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    new_batch(core, 2)
    first, second = puppet.take(), puppet.take()
    puppet.serve(first)
    sql.execute("UPDATE \"window\" SET sent_at = sent_at - interval '1 minute'")
    puppet.beat(second.window)
    sweep(core)
    assert core.permits.client.get(met_key(puppet.device)) == puppet.session
