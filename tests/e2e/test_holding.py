"""A batch takes a device, holds it, and lets go: through HTTP, with real workers."""

from pathlib import Path

from tests.e2e.stack import Stack, began, deeds
from tests.waiting import until


def type_of(device: str) -> str:
    return device.replace("dev-", "T")


def test_two_batches_sent_at_once_do_not_interleave(stack: Stack, device: str, log: Path) -> None:
    with stack.client() as client:
        batches = [client.create_batch(type_of(device), deeds(10, log)) for _ in range(2)]
        for batch in batches:
            batch.wait(timeout=60)
        owner = {job.id: batch.id for batch in batches for job in batch.jobs()}
    owners = [owner[job] for job, _ in began(log)]
    assert owners == [batches[0].id] * 10 + [batches[1].id] * 10


def test_an_open_batch_keeps_its_device_and_runs_what_is_added(
    stack: Stack, device: str, log: Path
) -> None:
    with stack.client() as client:
        held = client.create_batch(type_of(device), deeds(1, log), open=True)
        held.wait_jobs(timeout=30)
        waiting = client.create_batch(type_of(device), deeds(1, log))
        held.add_jobs(deeds(2, log), wait=True)
        waiting.refresh()
        assert (waiting.status, waiting.queue_position) == ("PENDING", 1)
        held.close()
        waiting.wait(timeout=30)
    assert len(began(log)) == 4


def test_an_idle_batch_is_timed_out_soon_after_its_allowance(
    stack: Stack, device: str, log: Path
) -> None:
    with stack.client() as client:
        held = client.create_batch(type_of(device), deeds(1, log), open=True, idle_timeout_s=2)
        held.wait(timeout=30)
        assert held.status == "TIMED_OUT"
    waited = stack.sql(
        "SELECT extract(epoch FROM batch.ended_at - job.ended_at)::float8 FROM batch"
        " JOIN job ON job.batch_id = batch.id WHERE batch.id = %s",
        held.id,
    )[0][0]
    assert 2 <= waited <= 4


def test_a_result_of_a_megabyte_comes_back_whole(stack: Stack, device: str) -> None:
    with stack.client() as client:
        batch = client.create_batch(type_of(device), [{"payload": {"do": "big", "bytes": 2**20}}])
        (result,) = batch.results(timeout=30)
    assert result.unwrap() == {"big": "x" * 2**20}
    assert stack.sql("SELECT ref IS NOT NULL FROM result WHERE job_id = %s", result.job_id) == [
        (True,)
    ]


def test_a_running_job_is_killed_when_its_batch_is_canceled(
    stack: Stack, device: str, log: Path
) -> None:
    with stack.client() as client:
        batch = client.create_batch(type_of(device), deeds(2, log, seconds=60, do="ignore-signals"))
        until(lambda: began(log), 20)
        batch.cancel()
        until(lambda: {job.status for job in batch.jobs()} == {"CANCELED"}, 20)
        after = client.create_batch(type_of(device), deeds(1, log))
        after.wait(timeout=30)
    assert after.status == "DONE"


def test_a_device_that_crashes_on_one_job_runs_the_next(stack: Stack, device: str) -> None:
    jobs = [{"payload": {"do": word}} for word in ("echo", "segfault", "nan", "fail", "echo")]
    with stack.client() as client:
        batch = client.create_batch(type_of(device), jobs)
        batch.wait(timeout=60)
        statuses = [job.status for job in batch.jobs()]
        reasons = [job.reason or "" for job in batch.jobs()]
    assert statuses == ["DONE", "ERROR", "ERROR", "ERROR", "DONE"]
    assert "SIGSEGV" in reasons[1]


def test_thousands_of_tiny_jobs_keep_their_order(stack: Stack, device: str, log: Path) -> None:
    with stack.client() as client:
        batch = client.create_batch(type_of(device), deeds(1000, log, do="echo"))
        batch.wait(timeout=60)
        order = [job.id for job in batch.jobs()]
    assert [job for job, _ in began(log)] == order
