"""What comes back from a device, once, twice, late, or never."""

import psycopg

from orchestrator.services.core import Core
from orchestrator.services.sweep import sweep
from schemas.task import Result
from tests.integration.puppet import (
    Puppet,
    add_jobs,
    done,
    failed,
    jobs_of,
    lost,
    new_batch,
    skipped,
    status_of,
)

Sql = psycopg.Connection[tuple[object, ...]]


def stale(sql: Sql) -> None:
    """As if every window had been sent a while ago."""
    sql.execute("UPDATE \"window\" SET sent_at = now() - interval '1 minute'")


def test_a_settle_that_comes_twice_changes_nothing(core: Core, puppet: Puppet, sql: Sql) -> None:
    new_batch(core, 1)
    window = puppet.take()
    outcome = puppet.run(window.jobs[0])
    puppet.answer(window, outcome)
    before = sql.execute("SELECT count(*) FROM event").fetchone()
    puppet.answer(window, outcome)
    assert sql.execute("SELECT count(*) FROM event").fetchone() == before


def test_a_result_of_an_earlier_run_is_dropped_and_kept_as_evidence(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    puppet.answer(window, lost(window.jobs[0]))
    puppet.answer(window, done(window.jobs[0], value="late"))
    assert jobs_of(core, batch) == ["PENDING"]
    puppet.serve_all()
    assert sql.execute("SELECT value->>'of' FROM result").fetchall() == [("1",)]
    assert sql.execute("SELECT count(*) FROM event WHERE kind = 'late'").fetchone() == (1,)


def test_a_lost_job_runs_again_before_those_behind_it(core: Core, puppet: Puppet) -> None:
    new_batch(core, 3)
    window = puppet.take()
    task = window.jobs[0]
    puppet.begin(window, task)
    puppet.answer(window, lost(task))
    puppet.serve_all()
    assert puppet.ran[0] == (task.job, 1)
    assert (task.job, 2) in puppet.ran


def test_a_skipped_job_whose_permit_was_lost_is_staged_again(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    core.permits.client.flushall()
    puppet.answer(window, *[puppet.run(task) for task in window.jobs])
    assert jobs_of(core, batch) == ["PENDING"]
    puppet.serve_all()
    assert jobs_of(core, batch) == ["DONE"]
    assert len(puppet.ran) == 1


def test_a_job_that_could_not_begin_just_then_waits_again(core: Core, puppet: Puppet) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.answer(window, skipped(window.jobs[0], gone=False))
    assert not puppet.has_permit(window.jobs[0])
    puppet.serve_all()
    assert jobs_of(core, batch) == ["DONE"]


def test_a_copy_that_was_skipped_does_not_unstage_what_its_twin_runs(
    core: Core, puppet: Puppet
) -> None:
    batch = new_batch(core, 1)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    puppet.answer(window, skipped(window.jobs[0], gone=False))
    assert jobs_of(core, batch) == ["RUNNING"]
    puppet.answer(window, done(window.jobs[0]))
    assert (jobs_of(core, batch), len(puppet.ran)) == (["DONE"], 1)


def test_a_lost_job_fails_where_a_type_says_so(core: Core, puppet: Puppet, sql: Sql) -> None:
    sql.execute("UPDATE device_type SET on_lost = 'fail'")
    batch = new_batch(core, 2)
    window = puppet.take()
    puppet.begin(window, window.jobs[0])
    puppet.answer(window, lost(window.jobs[0]))
    puppet.serve_all()
    assert jobs_of(core, batch) == ["ERROR", "DONE"]


def test_a_window_whose_message_was_lost_is_sent_again(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 1)
    puppet.drop_messages()
    puppet.beat()
    stale(sql)
    sweep(core)
    puppet.serve_all()
    assert status_of(core, batch) == "DONE"


def test_a_window_that_the_worker_holds_is_not_sent_again(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    new_batch(core, 1)
    window = puppet.take()
    puppet.beat(window=window.window, idle_s=0)
    stale(sql)
    sweep(core)
    assert not puppet.inbox


def test_everything_runs_after_redis_lost_all_it_had(core: Core, puppet: Puppet, sql: Sql) -> None:
    batch, other = new_batch(core, 20), new_batch(core, 3)
    puppet.serve()
    core.permits.client.flushall()
    puppet.drop_messages()
    for _ in range(60):
        puppet.beat()
        stale(sql)
        sweep(core)
        puppet.serve_all()
        if status_of(core, other) == "DONE":
            break
    assert (status_of(core, batch), status_of(core, other)) == ("DONE", "DONE")
    assert len({job for job, _ in puppet.ran}) == len(puppet.ran) == 23


def test_a_device_left_without_a_message_is_found_by_the_sweep(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    batch = new_batch(core, 1, open=True)
    puppet.serve_all()
    # A process that died between the commit and its hooks leaves just this.
    sql.execute(
        "INSERT INTO job (id, batch_id, project_id, ordinal, payload) SELECT gen_random_uuid(),"
        " id, project_id, 2, '{}' FROM batch"
    )
    sql.execute("UPDATE batch SET jobs_total = 2, jobs_left = 1, idle_deadline = NULL")
    puppet.beat()
    sweep(core)
    puppet.serve_all()
    assert jobs_of(core, batch) == ["DONE", "DONE"]


def test_the_history_of_a_job_is_complete_and_in_order(
    core: Core, puppet: Puppet, sql: Sql
) -> None:
    new_batch(core, 1)
    puppet.serve_all()
    kinds = [row[0] for row in sql.execute("SELECT kind FROM event ORDER BY id")]
    assert [k for k in kinds if k != "online"] == [
        "created",
        "admitted",
        "started",
        "started",
        "done",
        "drained",
    ]


def test_a_result_by_reference_keeps_its_reference(core: Core, puppet: Puppet, sql: Sql) -> None:
    new_batch(core, 1)
    window = puppet.take()
    assert puppet.has_permit(window.jobs[0])
    outcome = done(window.jobs[0])
    big = Result(ref="results/x/1.json", size=300_000, sha256="f" * 64)
    puppet.answer(window, outcome.model_copy(update={"result": big}))
    row = sql.execute("SELECT value, ref, size FROM result").fetchone()
    assert row == (None, "results/x/1.json", 300_000)


def test_windows_grow_while_jobs_are_tiny(core: Core, puppet: Puppet) -> None:
    new_batch(core, 200)
    sizes = []
    while puppet.inbox:
        sizes.append(len(puppet.serve().jobs))
    assert sizes[0] == 1
    assert max(sizes) == 64


def test_a_window_stays_small_while_jobs_are_long(core: Core, puppet: Puppet) -> None:
    new_batch(core, 6)
    sizes = []
    while puppet.inbox:
        window = puppet.take()
        sizes.append(len(window.jobs))
        outcomes = [done(t, took_s=10) if puppet.has_permit(t) else skipped(t) for t in window.jobs]
        puppet.answer(window, *outcomes)
    assert sizes == [1] * 6


def test_a_reason_reaches_the_owner_of_a_failed_job(core: Core, puppet: Puppet, sql: Sql) -> None:
    batch = new_batch(core, 1, open=True)
    add_jobs(core, batch, 1)
    window = puppet.take()
    assert puppet.has_permit(window.jobs[0])
    puppet.answer(window, failed(window.jobs[0], "omega_max is above the limit"))
    row = sql.execute("SELECT reason FROM job WHERE ordinal = 1").fetchone()
    assert row == ("omega_max is above the limit",)
