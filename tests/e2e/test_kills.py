"""Whatever is killed, every accepted job ends exactly once, in order, with one result."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.embedded import Stop
from tests.e2e.stack import LEASE_S, Part, Stack, began, check_history, deeds, running_stack
from tests.waiting import until

JOBS = 25


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack for each test: what is killed here should not trouble the next."""
    with running_stack(tmp_path) as stack:
        yield stack


@pytest.fixture
def worker(stack: Stack) -> Part:
    worker = stack.worker("dev-1")
    stack.online("dev-1")
    return worker


def survives(stack: Stack, log: Path, trouble: Callable[[], None], timeout_s: float = 60) -> None:
    """Two batches are on their way when the trouble comes; both end as if it had not."""
    with stack.client() as client:
        batches = [client.create_batch("TEST", deeds(JOBS, log)) for _ in range(2)]
        until(lambda: len(began(log)) > JOBS // 3, 20)
        trouble()
        wait_for_all(stack, timeout_s)
        until(stack.api_answers, 30)
        assert {client.attach(batch.id).status for batch in batches} == {"DONE"}
    check_history(stack, log)


def wait_for_all(stack: Stack, timeout_s: float) -> None:
    def settled() -> bool:
        return stack.sql("SELECT 1 FROM batch WHERE status <> 'DONE' LIMIT 1") == []

    until(settled, timeout_s)


def executor_of(worker: Part) -> psutil.Process:
    children = psutil.Process(worker.pid).children(recursive=True)
    return next(c for c in children if "workers.executors.host" in c.cmdline())


def test_the_executor_is_killed(stack: Stack, worker: Part, log: Path) -> None:
    """Its one job is ERROR, with the reason; the others run."""
    with stack.client() as client:
        batch = client.create_batch("TEST", deeds(JOBS, log))
        until(lambda: len(began(log)) > 5, 20)
        executor_of(worker).send_signal(signal.SIGKILL)
        batch.wait(timeout=30)
        failed = [job for job in batch.jobs() if job.status != "DONE"]
    assert batch.status == "DONE"
    assert len(failed) <= 1
    assert all("SIGKILL" in (job.reason or "") for job in failed)
    assert len(began(log)) == JOBS


def test_the_worker_is_killed_and_started_again(stack: Stack, worker: Part, log: Path) -> None:
    survives(stack, log, worker.restart)


def test_the_worker_is_killed_and_a_standby_on_another_node_takes_over(
    stack: Stack, worker: Part, log: Path
) -> None:
    stack.worker("dev-1", journal="another-node")
    survives(stack, log, worker.kill, timeout_s=LEASE_S + 2 + 20)


def test_a_standby_is_at_work_within_a_lease_and_two_seconds(
    stack: Stack, worker: Part, log: Path
) -> None:
    stack.worker("dev-1", journal="another-node")
    with stack.client() as client:
        client.create_batch("TEST", deeds(JOBS, log, seconds=0.5))
        until(lambda: len(began(log)) > 2, 20)
        worker.kill()
        before = len(began(log))
        until(lambda: len(began(log)) > before, LEASE_S + 2)


def test_a_killed_worker_leaves_no_process(stack: Stack, worker: Part, log: Path) -> None:
    executor = executor_of(worker)
    worker.kill()
    until(lambda: not executor.is_running(), 5)


def test_control_is_killed(stack: Stack, worker: Part, log: Path) -> None:
    survives(stack, log, stack.parts["control"].restart)


def test_beat_is_killed(stack: Stack, worker: Part, log: Path) -> None:
    survives(stack, log, stack.parts["beat"].restart)


def test_the_api_is_killed(stack: Stack, worker: Part, log: Path) -> None:
    survives(stack, log, stack.parts["api"].restart)


def test_redis_loses_everything_in_a_restart(stack: Stack, worker: Part, log: Path) -> None:
    def lose() -> None:
        valkey = stack.servers.valkey
        assert valkey is not None
        stack.sql("SELECT 1")
        flush(stack)
        valkey.kill()
        valkey.start()
        flush(stack)

    survives(stack, log, lose, timeout_s=90)


def flush(stack: Stack) -> None:
    import redis

    with redis.Redis.from_url(stack.servers.broker) as client:
        client.flushall()


def test_redis_is_flushed(stack: Stack, worker: Part, log: Path) -> None:
    survives(stack, log, lambda: flush(stack), timeout_s=60)


def test_redis_restarts_with_its_data(stack: Stack, worker: Part, log: Path) -> None:
    def restart() -> None:
        assert stack.servers.valkey is not None
        stack.servers.valkey.restart()

    survives(stack, log, restart, timeout_s=90)


def test_postgres_restarts(stack: Stack, worker: Part, log: Path) -> None:
    def restart() -> None:
        assert stack.servers.postgres is not None
        stack.servers.postgres.stop(Stop.IMMEDIATE)
        stack.servers.postgres.start()

    survives(stack, log, restart, timeout_s=90)


def test_everything_is_killed_at_once(stack: Stack, worker: Part, log: Path) -> None:
    def kill_all() -> None:
        for part in stack.parts.values():
            os.kill(part.pid, signal.SIGKILL)
        for part in stack.parts.values():
            part.restart()

    survives(stack, log, kill_all, timeout_s=90)


def test_a_batch_submitted_while_redis_is_down_runs_when_it_is_back(
    stack: Stack, worker: Part, log: Path
) -> None:
    valkey = stack.servers.valkey
    assert valkey is not None
    valkey.stop()
    try:
        with stack.client() as client:
            batch = client.create_batch("TEST", deeds(3, log))
            assert (batch.is_over, batch.jobs_left) == (False, 3)
    finally:
        valkey.start()
    wait_for_all(stack, 60)
    check_history(stack, log)


def test_without_postgres_the_answer_is_503_and_comes_soon(stack: Stack, worker: Part) -> None:
    import httpx

    postgres = stack.servers.postgres
    assert postgres is not None
    postgres.stop()
    try:
        answer = httpx.get(
            f"{stack.url}/v1/batches",
            headers={"Authorization": f"Bearer {stack.api_key}"},
            timeout=15,
        )
    finally:
        postgres.start()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
